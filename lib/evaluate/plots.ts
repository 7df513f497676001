/** The plot beside a table, as SVG by the table's id. */
import type { PlotOptions } from '@observablehq/plot';
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { calibration, mean, rocCurve, variance } from '../metrics/index.js';
import { type CaseRecord, REGION_SIDES, REGIONS } from './case-record.js';
import { ofSize, SIZES } from './figure.js';
import { CONFUSION_COLUMNS, CONFUSION_ROWS, confusionOf } from './figures.js';
import { type CaseLesions, frocPoints } from './froc-figures.js';
import { type Lesion, MASS_CLASSES } from './lesions.js';
import { scored } from './score-figures.js';

const { document } = parseHTML('<!doctype html><html><body></body></html>');
const COLORS = { domain: [...MASS_CLASSES], range: ['#c98b00', '#2b78c5', '#b0322b'] };

/** An SVG that stands alone. */
function svg(options: PlotOptions): string {
  const figure = Plot.plot({
    document,
    ...options,
  }) as unknown as {
    outerHTML: string;
  };
  const text = figure.outerHTML;
  return text.includes('xmlns=')
    ? text
    : text.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"');
}

/** An axis's name in its middle, where it stands under no tick. */
const MIDDLE = { labelAnchor: 'center', labelArrow: 'none' } as const;
const size = { width: 460, height: 320, marginLeft: 50 };

/** Plots that lesions alone give; none where there is nothing to draw. */
export function lesionPlots(
  lesions: readonly Lesion[],
  cases: readonly CaseLesions[],
): Map<string, string> {
  const plots = new Map<string, string>();
  const found = lesions.filter((l) => l.status === 'TP' && l.dice !== null);
  const add = (id: string, rows: readonly unknown[], options: () => PlotOptions) => {
    if (rows.length > 0) plots.set(id, svg({ ...size, ...options() }));
  };
  add('dice-by-class', found, () => ({
    x: { domain: [...MASS_CLASSES], label: null },
    y: { domain: [0, 1], grid: true, label: 'Dice' },
    marks: boxes(found.map((l) => ({ group: l.truthClass, value: l.dice }))),
  }));
  const sized = found.filter((l) => (l.averageDiameterMm ?? 0) > 0);
  add('dice-by-size', sized, () => ({
    x: { type: 'log', label: 'average diameter (mm); amber AML, blue cystic, red solid' },
    y: { domain: [0, 1], grid: true, label: 'Dice' },
    color: { ...COLORS, legend: false, unknown: '#777' },
    marks: [
      Plot.ruleX([5], { strokeDasharray: '3,3', stroke: '#999' }),
      Plot.dot(sized, {
        ...{ x: 'averageDiameterMm', y: 'dice', stroke: 'truthClass', r: 3 },
      }),
    ],
  }));
  const known = scored(lesions, 'overall');
  const curves = MASS_CLASSES.flatMap((name, k) => {
    const positive = known.map((l) => l.truthClass === name);
    if (!positive.includes(true) || !positive.includes(false)) return [];
    return rocCurve(
      known.map((l) => l.probabilities?.[k] as number),
      positive,
    ).map((p) => ({ name, x: 1 - p.specificity, y: p.sensitivity }));
  });
  add('auc', curves, () => ({
    x: { domain: [0, 1], label: '1 - specificity' },
    y: { domain: [0, 1], label: 'sensitivity', grid: true },
    color: COLORS,
    marks: [
      diagonal(),
      Plot.line(curves, { x: 'x', y: 'y', stroke: 'name', strokeWidth: 2 }),
      // Names stand in the free lower corner, where no useful curve goes.
      Plot.text(MASS_CLASSES, {
        x: () => 0.8,
        y: (name: string) => 0.1 + 0.08 * MASS_CLASSES.indexOf(name as (typeof MASS_CLASSES)[0]),
        text: (name: string) => name,
        fill: (name: string) => name,
        textAnchor: 'start',
      }),
    ],
  }));
  const { bins } = calibration(
    known.map((l) => l.probabilities ?? []),
    known.map((l) => l.truthClass ?? ''),
    MASS_CLASSES,
  );
  const filled = bins.filter(({ n }) => n > 0);
  add('calibration', filled, () => ({
    x: { domain: [0, 1], label: 'greatest probability, mean of the bin' },
    y: { domain: [0, 1], label: 'share called right; numbers: masses', grid: true },
    marks: [
      diagonal(),
      Plot.line(filled, { x: 'confidence', y: 'accuracy' }),
      Plot.dot(filled, { x: 'confidence', y: 'accuracy', fill: '#2b78c5', r: 4 }),
      Plot.text(filled, { x: 'confidence', y: 'accuracy', text: 'n', dy: -10 }),
    ],
  }));
  for (const sizeName of SIZES) {
    const cells = confusionCells(lesions.filter((l) => ofSize(l, sizeName)));
    add(`confusion-${sizeName}`, cells.some((c) => c.n > 0) ? cells : [], () => ({
      ...{ marginLeft: 70, marginBottom: 45 },
      x: { ...MIDDLE, label: 'called', domain: [...CONFUSION_COLUMNS] },
      y: { ...MIDDLE, label: 'true', domain: [...CONFUSION_ROWS] },
      color: { scheme: 'blues', domain: [0, 1] },
      marks: [
        Plot.cell(cells, { x: 'called', y: 'truth', fill: 'share', inset: 1 }),
        Plot.text(cells, {
          ...{ x: 'called', y: 'truth', text: (c: Cell) => `${c.n}`, fontSize: 12 },
          fill: (c: Cell) => (c.share > 0.5 ? 'white' : 'black'),
        }),
      ],
    }));
  }
  const points = frocPoints(cases);
  const end = points.slice(-1);
  const most = Math.max(1, end[0]?.falsePositivesPerCase ?? 0);
  add('froc', points, () => ({
    x: { label: 'false positives per case', grid: true, domain: [0, 1.1 * most] },
    y: { domain: [0, 1], label: 'sensitivity', grid: true },
    marks: [
      Plot.dot(end, { x: 'falsePositivesPerCase', y: 'sensitivity', fill: 'black', r: 3 }),
      Plot.text(end, {
        ...{ x: 'falsePositivesPerCase', y: 'sensitivity', text: () => 'all predictions' },
        ...((end[0]?.falsePositivesPerCase ?? 0) > most / 2
          ? { dy: 12, textAnchor: 'end' as const }
          : { dx: 7, textAnchor: 'start' as const }),
      }),
      Plot.line(points, { x: 'falsePositivesPerCase', y: 'sensitivity', curve: 'step-after' }),
    ],
  }));
  return plots;
}

/** From 0, 0 to 1, 1. */
function diagonal() {
  const ends = [
    { x: 0, y: 0 },
    { x: 1, y: 1 },
  ];
  return Plot.line(ends, { x: 'x', y: 'y', stroke: '#bbb', strokeDasharray: '3,3' });
}

interface Cell {
  readonly truth: string;
  readonly called: string;
  readonly n: number;
  /** Of the row. */
  readonly share: number;
}

function confusionCells(lesions: readonly Lesion[]): Cell[] {
  return confusionOf(lesions).flatMap((row, i) => {
    const all = row.reduce((a, b) => a + b, 0);
    return row.map((n, j) => ({
      truth: CONFUSION_ROWS[i] as string,
      called: CONFUSION_COLUMNS[j] as string,
      n,
      share: all > 0 ? n / all : 0,
    }));
  });
}

/** Plots of whole kidneys and of volumes. */
export function casePlots(records: readonly CaseRecord[]): Map<string, string> {
  const plots = new Map<string, string>();
  const rows = records.flatMap((record) =>
    REGIONS.flatMap((region) =>
      REGION_SIDES.map((side) => ({ region, side, ...record.regions[region][side] })),
    ),
  );
  const compared = rows.filter((r) => r.state !== 'both_empty');
  if (compared.length === 0) return plots;
  plots.set(
    'segmentation',
    svg({
      ...size,
      x: { label: null },
      y: { domain: [0, 1], grid: true, label: 'Dice' },
      marks: boxes(compared.map((r) => ({ group: `${r.side} ${r.region}`, value: r.dice }))),
    }),
  );
  const volumes = compared.map((r) => ({
    region: r.region,
    mean: (r.truth_ml + r.prediction_ml) / 2,
    difference: r.prediction_ml - r.truth_ml,
  }));
  // Mean difference and limits of agreement.
  const limits = REGIONS.flatMap((region) => {
    const own = volumes.filter((v) => v.region === region).map((v) => v.difference);
    const half = 1.96 * Math.sqrt(variance(own));
    const lines: [string, number][] = [
      ['- 1.96 SD', mean(own) - half],
      ['mean', mean(own)],
      ['+ 1.96 SD', mean(own) + half],
    ];
    return lines
      .filter(([, value]) => Number.isFinite(value))
      .map(([name, value]) => ({ region, value, text: `${region}: ${name} ${value.toFixed(1)}` }));
  });
  plots.set(
    'volumes',
    svg({
      ...size,
      ...{ width: 560, marginRight: 130, inset: 8 },
      x: { label: 'mean of true and predicted volume (mL); blue kidney, red mass', ...MIDDLE },
      color: { domain: [...REGIONS], range: ['#2b78c5', '#b0322b'] },
      y: { label: 'predicted - true (mL)', grid: true },
      marks: [
        Plot.ruleY([0]),
        Plot.ruleY(limits, { y: 'value', stroke: 'region', strokeDasharray: '4,3' }),
        Plot.dot(volumes, { x: 'mean', y: 'difference', stroke: 'region', r: 3 }),
        Plot.text(namesApart(limits, volumes), {
          ...{ y: 'at', text: 'text', fill: 'region', dx: 12 },
          ...{ frameAnchor: 'right' as const, textAnchor: 'start' as const },
        }),
      ],
    }),
  );
  return plots;
}

/** Names of lines beside the plot: those of near lines are moved up, so that all can be read. */
function namesApart<T extends { readonly value: number }>(
  lines: readonly T[],
  points: readonly { readonly difference: number }[],
): (T & { at: number })[] {
  const all = [...lines.map((l) => l.value), ...points.map((p) => p.difference), 0];
  // A line of text in the plot's height, without its margins.
  const least = ((Math.max(...all) - Math.min(...all)) * 13) / (size.height - 66);
  let last = Number.NEGATIVE_INFINITY;
  return [...lines]
    .sort((a, b) => a.value - b.value)
    .map((line) => {
      last = Math.max(line.value, last + least);
      return { ...line, at: last };
    });
}

/** Dice of two systems against each other, a point a side. */
export function comparisonPlots(
  pairs: readonly { readonly a: CaseRecord; readonly b: CaseRecord }[],
  [nameA, nameB]: readonly [string, string],
): Map<string, string> {
  const points = pairs.flatMap(({ a, b }) =>
    REGIONS.flatMap((region) =>
      REGION_SIDES.flatMap((side) => {
        const [x, y] = [a.regions[region][side].dice, b.regions[region][side].dice];
        return x === null || y === null ? [] : [{ region, x, y }];
      }),
    ),
  );
  if (points.length === 0) return new Map();
  const plot = svg({
    ...size,
    x: { domain: [0, 1], label: `Dice, ${nameA}; blue kidney, red mass`, grid: true },
    y: { domain: [0, 1], label: `Dice, ${nameB}`, grid: true },
    color: { domain: [...REGIONS], range: ['#2b78c5', '#b0322b'] },
    marks: [diagonal(), Plot.dot(points, { x: 'x', y: 'y', stroke: 'region', r: 3 })],
  });
  return new Map([['segmentation', plot]]);
}

/** Every value as a tick, the median as a bar. */
function boxes(rows: readonly { group: string | null; value: number | null }[]) {
  const data = rows.filter((r) => r.group !== null && r.value !== null);
  return [
    Plot.dot(data, { x: 'group', y: 'value', fill: '#2b78c5', fillOpacity: 0.35, r: 3 }),
    Plot.tickY(data, Plot.groupX({ y: 'median' }, { x: 'group', y: 'value', strokeWidth: 2 })),
  ];
}
