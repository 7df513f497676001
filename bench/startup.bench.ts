/**
 * What it costs to begin: importing the package, loading the addon (in a worker too), asking whether there is a GPU, the quickest command; each
 * sample in fresh processes that take turns. Files come from the system's cache. Node itself is the row to subtract from the command's.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchOptions, type Row, rowOf, type Turn } from './row.js';
import { sampled } from './sampling.js';

const here = dirname(fileURLToPath(import.meta.url));
const cli = join(here, '..', 'dist', 'cli', 'main.js');

interface Answer {
  readonly import: Turn;
  readonly addon: Turn;
  readonly asked: Turn;
  readonly gpu: string;
  readonly rss_mb: number;
}

/** One process from its start to its end. */
function ran(...args: string[]): { stdout: string; turn: Turn } {
  const begin = performance.now();
  const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const seconds = (performance.now() - begin) / 1000;
  if (child.status !== 0)
    throw new Error(`node ${args.join(' ')} ended with ${child.status}: ${child.stderr}`);
  return { stdout: child.stdout, turn: { seconds } };
}

export async function* bench({ samples }: BenchOptions): AsyncGenerator<Row> {
  const taken = {
    node: [] as Turn[],
    import: [] as Turn[],
    addon: [] as Turn[],
    asked: [] as Turn[],
    worker: [] as Turn[],
    workerAsked: [] as Turn[],
    info: [] as Turn[],
  };
  const parts = Object.keys(taken) as (keyof typeof taken)[];
  let rssMb = 0;
  let gpu = '';
  const round = (keep: boolean) => {
    const ours = join(here, 'startup', 'ours.js');
    const answer = JSON.parse(ran(ours).stdout) as Answer;
    const inWorker = JSON.parse(ran(ours, 'worker').stdout) as Answer;
    const made = {
      ...{ node: ran('-e', '0').turn, info: ran(cli, 'info').turn, ...answer },
      ...{ worker: inWorker.addon, workerAsked: inWorker.asked },
    };
    gpu = answer.gpu;
    if (!keep) return;
    rssMb = Math.max(rssMb, answer.rss_mb);
    for (const part of parts) taken[part].push(made[part]);
  };
  // The first round brings the files into the system's cache.
  round(false);
  await sampled(async () => round(true), { samples: Math.max(samples, 9) });
  const row = (part: keyof typeof taken, name: string, why: string, seconds?: number) =>
    rowOf({
      ...{ name: `startup/${name}`, why, threads: 1 },
      own: { turns: taken[part], rssMb: part === 'addon' ? rssMb : null },
      goal: seconds === undefined ? undefined : { seconds },
    });
  yield row('node', 'node alone', 'an empty program: what of the command is not ours');
  yield row('import', 'import of the package', "import('renvox') in a fresh process", 0.06);
  yield row('addon', 'load of the addon', 'the first call that needs native code', 0.02);
  yield row('worker', 'load of the addon in a worker', 'the same in a worker thread', 0.02);
  // The goal is of a machine without a driver: where there is one, its start is measured.
  yield row('asked', 'load, and is there a GPU', `the answer here: ${gpu}`);
  yield row('workerAsked', 'the same in a worker', 'load, and is there a GPU, in a worker thread');
  yield row('info', 'renvox info', 'Node, the command line, the addon, weights hashed', 0.25);
}
