/**
 * The child's side of contest.ts. Lines on stdin: `run N` makes N runs and tells the mean time of one, `leave PATH` writes the last result to a file, `compare PATH`
 * says how far it is from the one there, `facts` says the most memory that the process was resident with. Each is answered by one line of JSON.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What a child can do. */
export interface Service<T> {
  /** What is timed. */
  run(): Promise<T> | T;
  /** Frees a result before the next run. */
  free?(result: T): void;
  /** The values of a result, to be left or compared. */
  values?(result: T): Promise<NodeJS.TypedArray> | NodeJS.TypedArray;
  /** How far a result is from the bytes that another left. */
  distance?(result: T, file: Buffer): Promise<number> | number;
  facts?(): Record<string, string | number>;
}

/** The most memory the process was resident with, MiB: VmHWM, which begins anew with a program, other than what getrusage says of a child. */
export function residentMb(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024;
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1]) / 1024;
}

/** Root of the mean square of a - b over that of b. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let [gap, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    gap += ((a[i] as number) - (b[i] as number)) ** 2;
    size += (b[i] as number) ** 2;
  }
  return Math.sqrt(gap / size);
}

/** Answers until stdin ends. */
export async function serve<T>(service: Service<T>): Promise<void> {
  let last: { result: T } | undefined;
  const free = () => {
    if (last) service.free?.(last.result);
    last = undefined;
  };
  const timed = async (count: number) => {
    free();
    // Arrays that came to JS wait for the collector.
    globalThis.gc?.();
    const total = { seconds: 0, cpu: 0 };
    for (let i = 0; i < count; i++) {
      free();
      const before = process.cpuUsage();
      const begin = performance.now();
      const result = await service.run();
      total.seconds += (performance.now() - begin) / 1000;
      const { user, system } = process.cpuUsage(before);
      total.cpu += (user + system) / 1e6;
      last = { result };
    }
    return { seconds: total.seconds / count, cpu: total.cpu / count };
  };
  const answer = async (verb: string, argument: string): Promise<object> => {
    if (verb === 'run') return timed(Number(argument));
    if (verb === 'facts') return { rss_mb: residentMb(), ...service.facts?.() };
    if (!last) throw new Error(`Expected a run before ${verb}`);
    if (verb === 'leave' && service.values) {
      writeFileSync(argument, await service.values(last.result));
      return {};
    }
    if (verb === 'compare' && service.distance)
      return { worst: await service.distance(last.result, readFileSync(argument)) };
    throw new Error(`This child cannot ${verb}`);
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const space = line.indexOf(' ');
    const [verb, argument] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    console.log(JSON.stringify(await answer(verb, argument)));
  }
}
