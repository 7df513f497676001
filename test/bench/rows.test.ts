// What every row of the benches has, and what its figures mean; and their command line. Nothing is measured.
import t from 'tap';

type Figures = Record<string, string | number | null>;
interface Turn {
  seconds: number;
  cpu?: number;
}
interface Ceiling {
  kind: 'fma' | 'read' | 'copy';
  rates: number[];
  cpuRates: number[];
}
type Goal =
  | 'ratio'
  | 'rss'
  | 'rssMb'
  | 'seconds'
  | 'phantom'
  | 'growth'
  | 'delay'
  | 'share'
  | 'speedup';
interface Measured {
  name: string;
  why: string;
  threads: number;
  own: { turns: Turn[]; rssMb: number | null };
  flops?: number;
  bytes?: number;
  ceilings?: Ceiling[];
  peer?: { name: string; turns: Turn[]; rssMb: number | null };
  goal?: Partial<Record<Goal, number>>;
  more?: Figures;
}
const of = (file: string) => new URL(`../../bench/${file}`, import.meta.url).href;
const { rowOf, ceilingRow, failedRow, STANDARD } = (await import(of('row.ts'))) as {
  rowOf(m: Measured): Figures;
  ceilingRow(ceiling: Ceiling, threads: number): Figures;
  failedRow(bench: string, error: unknown): Figures;
  STANDARD: readonly string[];
};
const { readArguments } = (await import(of('arguments.ts'))) as {
  readArguments(
    args: string[],
    known: string[],
  ): { fault?: string; names?: string[]; json?: boolean; options?: Record<string, unknown> };
};

const turns = (...seconds: number[]): Turn[] => seconds.map((s) => ({ seconds: s, cpu: 2 * s }));
const plain: Measured = {
  ...{ name: 'a/b', why: 'c', threads: 2 },
  own: { turns: turns(0.5, 1, 1.5), rssMb: null },
};

t.test('the standard keys come first, null where one does not apply', async (t) => {
  const row = rowOf(plain);
  t.same(Object.keys(row).slice(0, STANDARD.length), [
    ...['name', 'median_s', 'spread', 'gflops', 'gbps', 'share_of_peak', 'rss_mb'],
    ...['peer', 'peer_median_s', 'ratio'],
  ]);
  t.match(row, { name: 'a/b', median_s: 1, spread: 1, cpu_s: 2, samples: 3, why: 'c' });
  for (const key of STANDARD.slice(3)) t.equal(row[key], null, key);
  t.same(
    Object.keys(ceilingRow({ kind: 'copy', rates: [1e9], cpuRates: [1e9] }, 1)).slice(0, 10),
    STANDARD,
  );
  const failed = failedRow('a', new Error('no addon'));
  t.same(Object.keys(failed).slice(0, 10), STANDARD);
  t.match(failed, { name: 'a/failed', median_s: null, failure: 'no addon' });
});

t.test('shares are of the ceiling that binds', async (t) => {
  const ceilings: Ceiling[] = [
    { kind: 'fma', rates: [100e9, 200e9, 300e9], cpuRates: [50e9] },
    { kind: 'copy', rates: [10e9], cpuRates: [8e9] },
  ];
  // 100 GFLOP need half a second, 1 GB a tenth.
  const heavy = rowOf({ ...plain, flops: 100e9, bytes: 1e9, ceilings });
  t.match(heavy, { gflops: 100, gbps: 1, ceiling: 'fma', share_of_peak: 0.5 });
  t.match(heavy, { share_of_peak_cpu: 1, peak_gflops: 200, copy_gbps: 10, flops_per_byte: 100 });
  const light = rowOf({ ...plain, flops: 10e9, bytes: 8e9, ceilings });
  t.match(light, { ceiling: 'copy', share_of_peak: 0.8, share_of_peak_cpu: 0.5 });
  for (const [share, met] of [
    [0.8, 'met'],
    [0.81, 'missed'],
  ] as const)
    t.match(rowOf({ ...plain, flops: 10e9, bytes: 8e9, ceilings, goal: { share } }), {
      goal: `share >= ${share}`,
      goal_met: met,
    });
});

t.test('ratios and goals', async (t) => {
  const own = { turns: turns(1), rssMb: 100 };
  const peer = { name: 'peer 1', turns: turns(4, 4, 5), rssMb: 400 };
  const row = rowOf({ ...plain, own, peer, goal: { ratio: 0.25, rss: 0.2 } });
  t.match(row, { ratio: 0.25, ratio_cpu: 0.25, ratio_rss: 0.25, peer: 'peer 1', peer_median_s: 4 });
  t.match(row, { goal: 'ratio <= 0.25, memory ratio <= 0.2', goal_met: 'missed' });
  t.equal(rowOf({ ...plain, own, peer, goal: { ratio: 0.25 } }).goal_met, 'met');
  t.equal(rowOf({ ...plain, own, goal: { ratio: 0.25 } }).goal_met, null, 'no peer to tell');
  t.equal(rowOf({ ...plain, own, goal: { seconds: 0.9 } }).goal_met, 'missed');
  t.equal(rowOf({ ...plain, own, goal: { rssMb: 100 } }).goal_met, 'met');
  for (const [key, figure, wanted, missed, text] of [
    ['phantom', 'phantom_share', 0.1, 0.11, 'phantom share of processor time <= 0.1'],
    ['growth', 'growth_per_ct_byte', 2, 2.1, 'growth per byte of CT <= 2'],
    ['delay', 'delay_p99_ms', 10, 11, 'ms at the 99th percentile <= 10'],
    ['speedup', 'speedup', 2, 1.9, 'speedup >= 2'],
  ] as const) {
    const goal = { [key]: wanted };
    t.match(rowOf({ ...plain, goal, more: { [figure]: wanted } }), { goal: text, goal_met: 'met' });
    t.match(rowOf({ ...plain, goal, more: { [figure]: missed } }), { goal_met: 'missed' });
    t.equal(rowOf({ ...plain, goal, more: { [figure]: null } }).goal_met, null);
  }
  const unknown = rowOf({ ...plain, own: { turns: [{ seconds: 1 }], rssMb: null }, peer });
  t.match(unknown, { cpu_s: null, ratio_cpu: null, ratio_rss: null });
});

t.test('the command line', async (t) => {
  const known = ['conv3d', 'kernels', 'kernels-step', 'unet'];
  const all = readArguments([], known);
  t.same(
    all.names,
    ['conv3d', 'unet'],
    'what counts on the simulated GPU is asked for by --device',
  );
  t.match(all, {
    json: false,
    options: { samples: 3, networkSamples: 9, brief: true, large: false },
  });
  const one = readArguments(['unet', '--json', '--peer', 'none', '--samples', '5'], known);
  t.match(one, { names: ['unet'], json: true });
  t.match(one.options, { samples: 5, networkSamples: 5, brief: false, peer: 'none' });
  const brief = readArguments(['unet', '--brief'], known);
  t.match(brief, { names: ['unet'], options: { samples: 3, brief: true } }, 'as in a run of all');
  t.same(readArguments(['--device', 'cuda-sim'], known).names, ['kernels', 'kernels-step']);
  for (const [args, expected] of [
    [['kernel'], /Expected some of conv3d, unet .* received kernel/],
    [['kernels'], /with --device cuda-sim: kernels, kernels-step/],
    [['--device', 'cuda'], /Expected cpu or cuda-sim for --device but received cuda/],
    [['--peer', 'tensorflow'], /one of onnxruntime, itk-wasm, pytorch, scipy for --peer/],
    [['--samples', '0'], /positive integer for --samples but received 0/],
    [['--jso'], /--jso/],
  ] as const)
    t.match(readArguments([...args], known).fault, expected);
});
