// `npm run bench:plots [-- FILE ...]`: draws docs/roofline.svg and docs/ladder.svg from the newest files of bench/results/ that hold rows of conv3d and of the ladder (or from
// those named), and writes the ladder's figures into the table of bench/kernels/conv3d/README.md. Each plot names the command, machine, date and commit of its figures.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { document } = parseHTML('<!doctype html><html><body></body></html>');
/** Winograd's W(2,4,4) has a sixth of the definition's multiplications. */
const WINOGRAD = 6;

function files() {
  const named = process.argv.slice(2);
  if (named.length > 0) return named;
  const folder = join(root, 'bench', 'results');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
}

/** The first result that has rows of a bench, with only these. */
function resultOf(bench) {
  for (const file of files()) {
    const result = JSON.parse(readFileSync(file, 'utf8'));
    const rows = result.rows.filter((row) => row.name.startsWith(`${bench}/`));
    if (rows.length > 0 && rows.some((row) => row.peak_gflops))
      return { ...result, rows, file: relative(root, file) };
  }
  console.error(`no rows of ${bench} with a measured peak: npm run bench:results -- ${bench}`);
  return undefined;
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const sourceOf = ({ command, machine, date, commit, file }) =>
  `${command}, ${date}, commit ${commit.slice(0, 10)}, ${machine.processor}, ${machine.threads} threads (${file}); drawn by npm run bench:plots`;

function svg(title, options) {
  const figure = Plot.plot({ document, ...options });
  const drawn = figure.tagName.toLowerCase() === 'svg' ? figure : figure.querySelector('svg');
  const text = drawn.outerHTML;
  const standing = text.includes('xmlns=')
    ? text
    : text.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"');
  // Where a page is dark, black text would be lost.
  return standing.replace(
    /<svg([^>]*)>/,
    `<svg style="background: white" role="img"$1><title>${title}</title>`,
  );
}

/** Convolutions by their arithmetic intensity, under the roofs that were measured with them. */
function roofline(result) {
  // Gradients and the small grids of training would crowd the picture; the table has them.
  const left = / (dgrad|wgrad)|\/\d+x/;
  const forward = result.rows.filter(
    (row) => row.gflops && row.flops_per_byte && !left.test(row.name),
  );
  const points = forward.map((row) => ({
    x: row.flops_per_byte,
    y: row.gflops,
    algorithm: /winograd/.test(row.algorithm ?? row.name) ? 'Winograd' : 'direct',
    name: row.name.replace(/^conv3d\//, '').replace(/ (auto|direct|winograd)$/, ''),
    auto: row.name.endsWith(' auto'),
  }));
  const theirs = forward
    .filter((row) => row.peer_median_s && row.name.endsWith('direct'))
    .map((row) => ({
      x: row.flops_per_byte,
      y: (row.gflops * row.median_s) / row.peer_median_s,
      algorithm: 'onnxruntime',
      name: '',
    }));
  const peak = median(forward.map((row) => row.peak_gflops));
  const copy = median(forward.flatMap((row) => row.copy_gbps ?? []));
  const [low, high] = [
    0.5 * Math.min(...points.map((p) => p.x)),
    2 * Math.max(...points.map((p) => p.x)),
  ];
  const roof = (top) => [
    { x: low, y: low * copy },
    { x: top / copy, y: top },
    { x: high, y: top },
  ];
  const best = [...new Set(points.map((p) => p.name))].map((name) =>
    points.filter((p) => p.name === name).reduce((a, b) => (a.y > b.y ? a : b)),
  );
  return svg('Convolutions under the roofline', {
    ...{
      width: 900,
      height: 520,
      marginLeft: 60,
      marginBottom: 70,
      marginTop: 50,
      marginRight: 30,
    },
    x: {
      type: 'log',
      label: 'operations of the definition per byte that must move',
      domain: [low, high],
    },
    y: { type: 'log', label: 'GFLOP/s of the definition', grid: true },
    color: {
      domain: ['direct', 'Winograd', 'onnxruntime'],
      range: ['#2b78c5', '#b0322b', '#888888'],
    },
    marks: [
      Plot.line(roof(peak), { x: 'x', y: 'y', stroke: '#333' }),
      Plot.line(roof(WINOGRAD * peak), { x: 'x', y: 'y', stroke: '#333', strokeDasharray: '4,4' }),
      note(peak / copy, peak, `multiply-adds on registers: ${peak.toFixed(0)} GFLOP/s`),
      note(
        (WINOGRAD * peak) / copy,
        WINOGRAD * peak,
        'the same with a sixth of the multiplications',
      ),
      note(2 * low, 2 * low * copy, `memory copied: ${copy.toFixed(1)} GB/s`, 12),
      Plot.dot([...theirs, ...points], { x: 'x', y: 'y', fill: 'algorithm', r: 4 }),
      Plot.dot(
        points.filter((p) => p.auto),
        { x: 'x', y: 'y', stroke: '#333', r: 7 },
      ),
      Plot.text(best, { x: 'x', y: 'y', text: 'name', dy: -9, fontSize: 9 }),
      ...legend(['direct', 'Winograd', 'onnxruntime'], ['#2b78c5', '#b0322b', '#888888']),
      legendText('○ what the library takes', 3, '#333'),
      caption(result),
    ],
  });
}

/** A line's name, above its left end or, `lowered`, right of it. */
function note(x, y, text, lowered = 0) {
  const place = { textAnchor: 'start', dx: 4 + 2 * lowered, dy: lowered === 0 ? -8 : lowered };
  return Plot.text([{ x, y, text }], { x: 'x', y: 'y', text: 'text', ...place });
}

/** The ladder's shares of the peak of one thread, by processor time, which neighbours disturb least. */
function ladder(result) {
  const bars = result.rows
    .filter((row) => row.share_of_peak_cpu)
    .map((row) => ({ name: row.name.replace('ladder/', ''), share: row.share_of_peak_cpu }));
  const first = result.rows.find((row) => row.peer_cpu_s);
  const peer = first && (first.share_of_peak_cpu * first.cpu_s) / first.peer_cpu_s;
  return svg('One convolution, step by step: share of the multiply-add peak', {
    ...{
      width: 900,
      height: 90 + 28 * bars.length,
      marginLeft: 190,
      marginRight: 60,
      marginTop: 30,
      marginBottom: 70,
    },
    x: {
      label: 'share of the multiply-add peak that the definition would need (processor time)',
      grid: true,
    },
    y: { label: null, domain: bars.map((bar) => bar.name) },
    marks: [
      Plot.barX(bars, {
        x: 'share',
        y: 'name',
        fill: (bar) => (bar.name.startsWith('renvox') ? '#b0322b' : '#2b78c5'),
      }),
      Plot.text(bars, {
        x: 'share',
        y: 'name',
        text: (bar) => bar.share.toPrecision(2),
        dx: 4,
        textAnchor: 'start',
      }),
      Plot.ruleX([1], { stroke: '#333' }),
      ...(peer
        ? [
            Plot.ruleX([peer], { stroke: '#888888', strokeDasharray: '4,4' }),
            Plot.text([peer], {
              x: (v) => v,
              frameAnchor: 'top',
              dy: -12,
              text: () => `onnxruntime ${peer.toPrecision(2)}`,
            }),
          ]
        : []),
      caption(result),
    ],
  });
}

function legendText(text, place, fill) {
  return Plot.text([text], {
    frameAnchor: 'top-left',
    dx: 10 + 90 * place,
    dy: -30,
    text: (t) => t,
    ...{ fill, fontSize: 12, textAnchor: 'start' },
  });
}

const legend = (names, colors) => names.map((name, i) => legendText(`● ${name}`, i, colors[i]));

const caption = (result) =>
  Plot.text([sourceOf(result)], {
    frameAnchor: 'bottom-left',
    dx: 0,
    dy: 55,
    text: (t) => t,
    fontSize: 8,
    fill: '#555',
    textAnchor: 'start',
  });

/** The ladder's figures between the marks of its README. */
function writeTable(result) {
  const path = join(root, 'bench', 'kernels', 'conv3d', 'README.md');
  const text = readFileSync(path, 'utf8');
  const [begin, end] = ['<!-- figures -->', '<!-- end of figures -->'];
  const [head, tail] = [text.indexOf(begin), text.indexOf(end)];
  if (head < 0 || tail < head) throw new Error(`${path} has no marks ${begin} and ${end}`);
  const figure = (value) => (value ? `${+value.toPrecision(3)}` : '');
  const table = [
    begin,
    '',
    `\`${result.command}\`, ${result.date}, commit ${result.commit.slice(0, 10)}: ${result.machine.processor}, ${result.machine.threads} threads, load ${result.load.before} before and ${result.load.after} after. Shares and ratios by processor time; the ratio is to onnxruntime-node on one thread.`,
    '',
    '| step | seconds | processor seconds | share of peak | time / onnxruntime | error |',
    '| --- | --- | --- | --- | --- | --- |',
    ...result.rows.map(
      (row) =>
        `| ${row.name.replace('ladder/', '')} | ${figure(row.median_s)} | ${figure(row.cpu_s)} | ${figure(row.share_of_peak_cpu)} | ${figure(row.ratio_cpu)} | ${row.error ? row.error.toExponential(1) : ''} |`,
    ),
    '',
    '',
  ].join('\n');
  writeFileSync(path, text.slice(0, head) + table + text.slice(tail));
  const biome = join(root, 'node_modules', '.bin', 'biome');
  spawnSync(biome, ['format', '--write', path], { cwd: root });
  return path;
}

const written = [];
const [convolutions, steps] = [resultOf('conv3d'), resultOf('ladder')];
for (const [name, result, draw] of [
  ['roofline', convolutions, roofline],
  ['ladder', steps, ladder],
]) {
  if (!result) continue;
  const path = join(root, 'docs', `${name}.svg`);
  writeFileSync(path, `${draw(result)}\n`);
  written.push(path);
}
if (steps) written.push(writeTable(steps));
for (const path of written) console.log(relative(root, path));
process.exitCode = written.length > 0 ? 0 : 1;
