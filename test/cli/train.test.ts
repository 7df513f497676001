import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Volume } from 'renvox';
import { parseSafetensors } from 'renvox/nn';
import { type Preset, presets } from 'renvox/train';
import t from 'tap';

const main = resolve('dist/cli/main.js');

const tiny: Preset = {
  ...(presets.kidney as Preset),
  name: 'tiny',
  architecture: { kind: 'unet3d', config: { inputChannels: 1, classes: 2, channels: [2, 4] } },
  grid: { shape: [16, 16, 24], spacing: [16, 16, 16] },
  steps: 20,
  validation: { every: 10, samples: 2 },
  checkpoint: 10,
};

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `renvox train`; `interruptAt` sends Ctrl-C as soon as stderr shows that text. */
function run(args: string[], interruptAt?: RegExp): Promise<Result> {
  const child = spawn(process.execPath, [main, 'train', ...args]);
  const result: Result = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (piece: Buffer) => {
    result.stdout += piece.toString();
  });
  let sent = false;
  child.stderr.on('data', (piece: Buffer) => {
    result.stderr += piece.toString();
    if (interruptAt?.test(result.stderr) && !sent) sent = child.kill('SIGINT');
  });
  return new Promise((done) => child.on('close', (code) => done({ ...result, code })));
}

t.test('trains from a preset file, goes on, and says where the weights are', async (tap) => {
  const folder = tap.testdir({ 'preset.json': JSON.stringify(tiny) });
  const out = join(folder, 'run');
  const args = ['--preset', join(folder, 'preset.json'), '--data', 'phantom', '--out', out];
  const first = await run(args);
  tap.equal(first.code, 0, first.stderr);
  tap.equal(first.stdout, `${join(out, 'weights.safetensors')}\n`);
  tap.match(
    first.stderr,
    /step 20\/20 {2}loss \d\.\d+ {2}Dice kidney (\d\.\d+|-) {2}\d+\.\d+ samples\/s/,
  );
  const again = await run(args);
  tap.equal(again.code, 2, 'a finished run is not overwritten');
  const none = ['--init', join(folder, 'none.safetensors')];
  const idle = await run([...args, '--resume', '--steps', '25', ...none]);
  tap.match(idle, { code: 3, stderr: /Cannot read the weights file .*none/ });
  const longer = await run([...args, '--resume', '--steps', '25', '--quiet']);
  tap.equal(longer.code, 0, longer.stderr);
  tap.equal(longer.stderr, '');
  const saved = JSON.parse(await readFile(join(out, 'preset.json'), 'utf8')) as Preset;
  tap.equal(saved.steps, 25);
});

t.test('Ctrl-C stops with a checkpoint that can be resumed', async (tap) => {
  const folder = tap.testdir({ 'preset.json': JSON.stringify(tiny) });
  const out = join(folder, 'run');
  const args = ['--preset', join(folder, 'preset.json'), '--data', 'phantom', '--out', out];
  const stopped = await run([...args, '--steps', '100000'], /step \d+\//);
  tap.equal(stopped.code, 130, stopped.stderr);
  const step = Number(/stopped after step (\d+) of 100000/.exec(stopped.stderr)?.[1]);
  tap.ok(step > 0, `stopped after step ${step}`);
  tap.ok((await readdir(out)).includes('checkpoint.safetensors'));
  const resumed = await run([...args, '--resume', '--steps', String(step + 5)]);
  tap.equal(resumed.code, 0, resumed.stderr);
});

/** nnU-Net's layout: two patients, each a kidney on either side and a tumour, with an image a phase. */
async function phases(root: string, names: readonly string[]): Promise<string> {
  const shape = [12, 20, 24] as const;
  const affine = [-12, 0, 0, 0, 0, -12, 0, 0, 0, 0, 12, 0];
  for (const folder of ['imagesTr', 'labelsTr'])
    await mkdir(join(root, folder), { recursive: true });
  for (const id of ['p0', 'p1']) {
    const labels = new Uint8Array(shape[0] * shape[1] * shape[2]);
    for (let z = 0, i = 0; z < shape[0]; z++)
      for (let y = 0; y < shape[1]; y++)
        for (let x = 0; x < shape[2]; x++, i++) {
          const near = (cx: number, r: number) => Math.hypot(x - cx, y - 10, z - 6) <= r;
          if (near(6, 3) || near(17, 3)) labels[i] = 1;
          if (near(20, 1)) labels[i] = 2;
        }
    const write = (data: Int16Array | Uint8Array, ...file: string[]) =>
      new Volume({ data, shape, affine }).write(join(root, ...file));
    await write(labels, 'labelsTr', `${id}.nii.gz`);
    for (const [k] of names.entries()) {
      const hu = Int16Array.from(labels, (label) => [-900, 120, 60][label] as number).map(
        (v) => v + 40 * k,
      );
      await write(hu, 'imagesTr', `${id}_000${k}.nii.gz`);
    }
  }
  const json = { channel_names: { ...names }, labels: { background: 0, kidney: 1, tumor: 2 } };
  await writeFile(join(root, 'dataset.json'), JSON.stringify(json));
  return root;
}

t.test('a network has a channel for each phase of the folder, and one for a mask', async (tap) => {
  const folder = tap.testdir();
  const both = await phases(join(folder, 'both'), ['CMP', 'NP']);
  // Checked against the preset: of kidneys no mask, of masses the kidney's, of classes the mass's unless all else is cut away.
  for (const preset of ['kidney', 'mass', 'class', 'paper-classifier']) {
    const check = await run(['--preset', preset, '--data', both, '--check']);
    const stdout = '2 cases, layout nnunet, channels CMP, NP: sound\n';
    tap.match(check, { code: 0, stdout }, `${preset}: ${check.stderr}`);
  }
  const one = await phases(join(folder, 'one'), ['NP']);
  const check = await run(['--preset', 'class', '--data', one, '--check']);
  tap.match(check, { code: 0, stdout: /channels NP: sound/ }, check.stderr);
  const out = join(folder, 'run');
  const args = ['--preset', 'class', '--data', both, '--out', out, '--device', 'cpu'];
  const trained = await run([...args, '--steps', '1']);
  tap.equal(trained.code, 0, trained.stderr);
  tap.match(trained.stderr, /1 steps, recall aml -, cystic -, solid \d/);
  const preset = JSON.parse(await readFile(join(out, 'preset.json'), 'utf8')) as Preset;
  tap.match(preset, { contour: 'channel', architecture: { config: { inputChannels: 3 } } });
  const { tensors } = parseSafetensors(await readFile(join(out, 'weights.safetensors')));
  tap.same(tensors.get('conv1.weight')?.shape, [16, 3, 7, 7, 7]);
});

t.test('bad usage is 2, bad input is 3', async (tap) => {
  const folder = tap.testdir({ 'broken.json': '{', 'wrong.json': JSON.stringify({ version: 9 }) });
  const out = join(folder, 'run');
  const cases: [number, RegExp, string[]][] = [
    [2, /required option '--preset/, ['--data', 'phantom', '--out', out]],
    [2, /Expected --out RUN, or --check/, ['--preset', 'kidney', '--data', 'phantom']],
    [2, /--check needs a folder/, ['--preset', 'kidney', '--data', 'phantom', '--check']],
    [2, /at least 1/, ['--preset', 'kidney', '--data', 'phantom', '--out', out, '--steps', '0']],
    [2, /for version/, ['--preset', join(folder, 'wrong.json'), '--data', 'phantom', '--out', out]],
    [
      3,
      /is not JSON/,
      ['--preset', join(folder, 'broken.json'), '--data', 'phantom', '--out', out],
    ],
    [
      3,
      /kidney, mass, class, class-two-phases, demo, paper-kidney/,
      ['--preset', 'lung', '--data', 'phantom', '--out', out],
    ],
    ...(
      [
        [/--fold needs --folds/, ['--fold', '3']],
        [/--manifest needs a folder/, ['--manifest', join(folder, 'none.csv')]],
        [/--folds needs a folder/, ['--folds', '5']],
        [/--cache needs a folder/, ['--cache', join(folder, 'cache')]],
        [/--memory needs a folder/, ['--memory', '0.5']],
        [/--cache-size needs a folder/, ['--cache', join(folder, 'cache'), '--cache-size', '1']],
        [/number of gigabytes/, ['--cache-size', 'all']],
        [/number of gigabytes/, ['--memory', 'all']],
        [/--allow-empty needs a folder/, ['--allow-empty']],
      ] as [RegExp, string[]][]
    ).map(([message, extra]): [number, RegExp, string[]] => [
      2,
      message,
      ['--preset', 'kidney', '--data', 'phantom', '--out', out, ...extra],
    ]),
    ...(
      [
        [/--cache-size needs --cache/, ['--cache-size', '1']],
        [/--init changes nothing with --check/, ['--check', '--init', 'x.safetensors']],
        [/--folds changes nothing with --check/, ['--check', '--folds', '5']],
        [/--resume changes nothing with --preview/, ['--preview', '--resume']],
        [/--init changes nothing with --preview/, ['--preview', '--init', 'x.safetensors']],
        [/--resume changes nothing with --find-rate/, ['--find-rate', '--resume']],
        [/--find-rate beside --preview: expected one/, ['--find-rate', '--preview']],
      ] as [RegExp, string[]][]
    ).map(([message, extra]): [number, RegExp, string[]] => [
      2,
      message,
      ['--preset', 'kidney', '--data', join(folder, 'no'), '--out', out, ...extra],
    ]),
    [
      3,
      /Cannot read the weights file .*none/,
      [
        ...['--preset', 'demo', '--data', 'phantom', '--out', out, '--find-rate'],
        ...['--init', join(folder, 'none.safetensors')],
      ],
    ],
    [3, /There is no folder/, ['--preset', 'kidney', '--data', join(folder, 'no'), '--out', out]],
  ];
  for (const [code, message, args] of cases) {
    const result = await run(args);
    tap.equal(result.code, code, result.stderr);
    tap.match(result.stderr, message);
    tap.equal(result.stdout, '');
  }
  await writeFile(join(folder, 'untouched'), '');
  tap.notOk((await readdir(folder)).includes('run'), 'nothing was written');
});

t.test('looks at samples, rates and data sets without training', async (tap) => {
  const folder = tap.testdir({ 'preset.json': JSON.stringify(tiny), case_0: { 'ct.nii.gz': 'x' } });
  const out = join(folder, 'look');
  const base = ['--preset', join(folder, 'preset.json'), '--out', out, '--device', 'cpu'];
  const preview = await run([...base, '--data', 'phantom', '--preview']);
  tap.match(preview, { code: 0, stdout: `${join(out, 'preview.png')}\n` });
  const rates = await run([...base, '--data', 'phantom', '--find-rate', '--steps', '10']);
  tap.match(rates, { code: 0, stderr: /suggested learning rate: \d/ });
  const curve = JSON.parse(await readFile(join(out, 'rates.json'), 'utf8')) as { rates: number[] };
  tap.ok(curve.rates.length > 1 && curve.rates.length <= 10, `${curve.rates.length} rates`);
  const check = await run([...base, '--data', folder, '--check']);
  tap.equal(check.code, 3);
  tap.match(check.stderr, /2 problems[\s\S]*case_0: .*ct.nii.gz[\s\S]*case_0: .*labels.nii.gz/);
  tap.notOk((await readdir(out)).includes('log.jsonl'), 'nothing was trained');
});
