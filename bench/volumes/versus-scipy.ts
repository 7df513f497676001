/**
 * Operations on volumes against scipy.ndimage, in alternating child processes; SciPy's result is compared with ours, and one that differs by more than
 * the case allows fails the bench. SciPy has one thread, so ours has rows for one thread too. Times go from arrays in memory to a result in
 * memory; a tensor stays with its device, but for the rows "to JS". The ceiling is what a copy moves with as many threads, or what reading gives.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { threads } from 'renvox';
import { CeilingSamples } from '../ceilings.js';
import { Contestant, closed, contest } from '../contest.js';
import { withFiles } from '../files.js';
import { findPeer, peerFolder } from '../peers.js';
import { type BenchOptions, type Measured, type Row, rowOf } from '../row.js';
import type { Task } from './task.js';

const ours = join(dirname(fileURLToPath(import.meta.url)), 'ours.js');
const peer = join(peerFolder, 'scipy_volumes.py');

/** One operation on one volume. */
export interface VolumeCase {
  readonly name: string;
  readonly why: string;
  readonly task: Omit<Task, 'folder' | 'threads' | 'bring'>;
  /** Bytes that must move at least: of what is read and of the result. */
  readonly bytes: number;
  /** The ceiling: `read` for what writes little. Default copy. */
  readonly memory?: 'read' | 'copy';
  /** What SciPy's result may differ by from ours, in the unit of the peer's compare. */
  readonly tolerance: number;
  readonly goal?: Measured['goal'];
  /** Rows beside that of all threads: of one thread, and with the result brought to JS. */
  readonly rows: readonly ('one thread' | 'to JS')[];
  /** Whether SciPy's part takes minutes or gigabytes: it runs only with --large. */
  readonly heavyPeer?: boolean;
}

/** The figures of one case: all threads first, then the rows that it asks for, each with the same peer. */
export async function measureVolume(
  c: VolumeCase,
  folder: string,
  options: BenchOptions,
): Promise<Measured[]> {
  const all = threads();
  const ways = [
    { label: '', threads: all, bring: false },
    ...(c.rows.includes('one thread') && all !== 1
      ? [{ label: ', 1 thread', threads: 1, bring: false }]
      : []),
    ...(c.rows.includes('to JS') ? [{ label: ', to JS', threads: all, bring: true }] : []),
  ];
  const python = await peerPython(c, options);
  const told = (way: { threads: number; bring: boolean }): Task => ({ ...c.task, ...way, folder });
  const contestants = ways.map(
    (way) =>
      new Contestant(c.name + way.label, process.execPath, [
        '--expose-gc',
        ours,
        JSON.stringify(told(way)),
      ]),
  );
  const [first] = contestants as [Contestant];
  const scipy =
    python === undefined
      ? undefined
      : new Contestant('scipy', python, [peer, JSON.stringify(told({ threads: 1, bring: false }))]);
  const everyone = scipy ? [...contestants, scipy] : contestants;
  return closed(everyone, async () => {
    // A case of one thread has the ceiling of one thread.
    const memory = new Map(
      ways.map((way) => [way.threads, new CeilingSamples(c.memory ?? 'copy', way.threads)]),
    );
    const taken = await contest(everyone, {
      ...{ samples: options.samples, patience: options.patience },
      ...{ ceilings: [...memory.values()], ours: contestants.length },
    });
    let worst: number | null = null;
    if (scipy) {
      const left = join(folder, 'result');
      await first.leave(left);
      worst = await scipy.compare(left);
      if (!(worst <= c.tolerance))
        throw new Error(`${c.name}: SciPy's result differs from ours by ${worst}`);
    }
    const other = scipy && taken[contestants.length];
    return ways.map(
      (way, i): Measured => ({
        ...{ name: c.name + way.label, why: c.why, threads: way.threads, bytes: c.bytes },
        own: taken[i] as (typeof taken)[0],
        ceilings: memory.get(way.threads)?.ceilings,
        peer: other && { ...other, name: `scipy ${other.facts.version}` },
        goal: c.goal,
        more: { worst_difference: worst },
      }),
    );
  });
}

async function peerPython(c: VolumeCase, options: BenchOptions): Promise<string | undefined> {
  if (c.heavyPeer && !options.large) {
    if (options.peer !== 'none')
      console.error(`bench: SciPy at ${c.name} takes minutes or gigabytes and runs with --large`);
    return undefined;
  }
  return findPeer('scipy', options);
}

/** The rows of cases that read the same files. */
export function measureVolumes(
  cases: readonly VolumeCase[],
  files: Readonly<Record<string, NodeJS.TypedArray>>,
  options: BenchOptions,
): AsyncGenerator<Row> {
  return withFiles(files, async function* (folder) {
    for (const c of cases) for (const m of await measureVolume(c, folder, options)) yield rowOf(m);
  });
}
