/**
 * What the machine gives at most, measured between the samples of a case: multiplications and additions on registers (by the addon, with its
 * instruction set), bytes read and bytes copied (by bandwidth.cpp, compiled here; without g++ there are none, which is said once).
 */
import { join } from 'node:path';
import { threads } from 'renvox';
import { call } from '#lib/native.js';
import { compiled, sources } from './compiled.js';
import { type Ceiling, ceilingRow, type Row } from './row.js';
import { Talker } from './talker.js';

/** One measurement: a second that passed, and a second of processor time of all threads. */
export interface Rate {
  readonly passed: number;
  readonly worked: number;
}

/** Multiply-adds on registers for 50 ms, two operations each. */
export function fmaRate(count: number = threads()): Rate {
  const before = threads();
  threads(count);
  const cpu = process.cpuUsage();
  const { flops, seconds } = call((addon) => addon.fmaPeak(0.05));
  const { user, system } = process.cpuUsage(cpu);
  threads(before);
  return { passed: flops / seconds, worked: flops / ((user + system) / 1e6) };
}

let bandwidth: Talker | null | undefined;

function bandwidthProgram(): Talker | null {
  if (bandwidth !== undefined) return bandwidth;
  const program = compiled('bandwidth', [join(sources, 'bandwidth.cpp')]);
  if (program === undefined) {
    console.error('bench: no g++ here, so memory has no measured ceiling and no share of it');
    bandwidth = null;
    return null;
  }
  bandwidth = new Talker('bandwidth', program, []);
  return bandwidth;
}

/** Bytes a second, or undefined where the program could not be built. */
export async function memoryRate(
  kind: 'read' | 'copy',
  count: number = threads(),
): Promise<Rate | undefined> {
  const talker = bandwidthProgram();
  if (!talker) return undefined;
  const [passed, worked] = (await talker.ask(`${kind} ${count}`)).split(' ').map(Number);
  return { passed: passed as number, worked: worked as number };
}

/** Ends the child that measures memory. */
export async function closeCeilings(): Promise<void> {
  await bandwidth?.close();
  bandwidth = undefined;
}

/** Collects one ceiling round by round. */
export class CeilingSamples {
  readonly #rates: Rate[] = [];

  constructor(
    readonly kind: Ceiling['kind'],
    readonly count: number = threads(),
  ) {}

  async sample(): Promise<void> {
    const rate =
      this.kind === 'fma' ? fmaRate(this.count) : await memoryRate(this.kind, this.count);
    if (rate) this.#rates.push(rate);
  }

  /** None where nothing could be measured. */
  get ceilings(): readonly Ceiling[] {
    if (this.#rates.length === 0) return [];
    const rates = this.#rates.map((rate) => rate.passed);
    return [{ kind: this.kind, rates, cpuRates: this.#rates.map((rate) => rate.worked) }];
  }
}

/** All ceilings for one thread and for all of them, sampled now and then throughout a run. */
export class Throughout {
  readonly #all = [...new Set([1, threads()])].flatMap((count) =>
    (['fma', 'read', 'copy'] as const).map((kind) => new CeilingSamples(kind, count)),
  );
  #last = Number.NEGATIVE_INFINITY;

  /** Samples, unless that was done less than five seconds ago. */
  async sample(): Promise<void> {
    if (performance.now() - this.#last < 5000) return;
    for (const samples of this.#all) await samples.sample();
    this.#last = performance.now();
  }

  rows(): Row[] {
    return this.#all.flatMap((samples) =>
      samples.ceilings.map((ceiling) => ceilingRow(ceiling, samples.count)),
    );
  }
}
