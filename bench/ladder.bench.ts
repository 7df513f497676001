/**
 * The ladder of bench/kernels/conv3d: one convolution, step by step from the definition to the shape of the library's kernels, each a short C++ file in a
 * process of its own; then the library, and onnxruntime where it is installed. All take turns; a step whose result differs from the
 * definition in double by more than 1e-5 (relative RMS) fails the bench. One thread, but for the rows that say otherwise.
 */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { threads } from 'renvox';
import { CeilingSamples } from './ceilings.js';
import { compiled, sources } from './compiled.js';
import { Contestant, closed, contest } from './contest.js';
import { withFiles } from './files.js';
import { convFlops } from './flops.js';
import type { Task } from './ladder/ours.js';
import { convModel } from './onnx/convolution.js';
import { findPeer, peerPackages } from './peers.js';
import { type BenchOptions, type Row, rowOf } from './row.js';

const here = dirname(fileURLToPath(import.meta.url));
const folderOfSteps = join(sources, 'kernels', 'conv3d');
/** The second level of the U-Net: large enough for memory to matter, small enough for the definition to end. */
const [D, H, W, CIN, COUT] = [64, 64, 64, 32, 32] as const;
const TOLERANCE = 1e-5;

interface Step {
  readonly name: string;
  readonly why: string;
  readonly threads: number;
  readonly contestant: Contestant;
}

function steps(all: number): Step[] {
  const files = readdirSync(folderOfSteps).filter((file) => /^\d\d_.*\.cpp$/.test(file));
  return files.sort().map((file): Step => {
    const step = file.slice(0, -'.cpp'.length);
    const paths = [file, 'main.cpp'].map((name) => join(folderOfSteps, name));
    const program = compiled(step, paths);
    if (program === undefined) throw new Error('ladder: its steps need g++, which is not here');
    const count = step.endsWith('threads') ? all : 1;
    return {
      name: `ladder/${step}${count > 1 ? `, ${count} threads` : ''}`,
      why: `bench/kernels/conv3d/${file}`,
      threads: count,
      contestant: new Contestant(step, program, [D, H, W, CIN, COUT, count].map(String)),
    };
  });
}

function library(all: number): Step[] {
  const of = (algorithm: Task['algorithm'], count: number): Step => {
    const name = `ladder/renvox ${algorithm}${count > 1 ? `, ${count} threads` : ''}`;
    const task: Task = { problem: [D, H, W, CIN, COUT], algorithm, threads: count };
    const program = join(here, 'ladder', 'ours.js');
    return {
      ...{ name, why: 'the library on the same problem', threads: count },
      contestant: new Contestant(name, process.execPath, [
        '--expose-gc',
        program,
        JSON.stringify(task),
      ]),
    };
  };
  return [
    of('direct', 1),
    of('winograd', 1),
    ...(all > 1 ? [of('direct', all), of('winograd', all)] : []),
  ];
}

async function onnxruntime(folder: string): Promise<Contestant> {
  const numbers = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i));
  const weight = { data: numbers(COUT * CIN * 27), shape: [COUT, CIN, 3, 3, 3] };
  const [model, input] = [join(folder, 'model.onnx'), join(folder, 'input.f32')];
  await writeFile(model, convModel(weight, { kernel: 3 }, [D, H, W], [D, H, W]));
  await writeFile(input, numbers(D * H * W * CIN));
  const task = { packages: peerPackages, model, input, shape: [1, CIN, D, H, W], threads: 1 };
  const program = join(here, 'peers', 'onnxruntime.js');
  return new Contestant('onnxruntime', process.execPath, [
    '--expose-gc',
    program,
    JSON.stringify(task),
  ]);
}

export function bench(options: BenchOptions): AsyncGenerator<Row> {
  return withFiles({}, async function* (folder) {
    const version = await findPeer('onnxruntime', options);
    const all = threads();
    const ours = [...steps(all), ...library(all)];
    const peer = version === undefined ? undefined : await onnxruntime(folder);
    const contestants = [...ours.map((step) => step.contestant), ...(peer ? [peer] : [])];
    const rows = await closed(contestants, async () => {
      const peaks = new Map([1, all].map((n) => [n, new CeilingSamples('fma', n)]));
      // The slow steps are no peers, but nobody needs nine samples of ten seconds.
      const taken = await contest(contestants, {
        ...{ samples: options.samples, patience: options.patience },
        ...{ ours: 0, ceilings: [...peaks.values()] },
      });
      const theirs = peer && taken[ours.length];
      return ours.map((step, i) => {
        const own = taken[i] as (typeof taken)[0];
        const error = own.facts.error as number | undefined;
        if (error !== undefined && !(error <= TOLERANCE))
          throw new Error(`${step.name} differs from the definition by ${error}`);
        return rowOf({
          ...{ name: step.name, why: step.why, threads: step.threads, own },
          flops: convFlops([D, H, W], CIN, COUT, 3),
          ceilings: peaks.get(step.threads)?.ceilings,
          // Of one thread, as the step is.
          peer:
            step.threads === 1 && theirs
              ? { ...theirs, name: `onnxruntime-node ${version}` }
              : undefined,
          more: { error: error ?? null },
        });
      });
    });
    yield* rows;
  });
}
