/**
 * Ours and a peer at the same case, each in a process of its own that stays and makes one run when it is asked (bench/serve.ts, bench/peers/serve.py).
 * They take turns, the first of a round the last of the next, with the machine's ceiling measured between; so that what else the machine
 * does falls on both alike.
 */
import type { CeilingSamples } from './ceilings.js';
import type { Taken, Turn } from './row.js';
import { BATCH, sampled } from './sampling.js';
import { Talker } from './talker.js';

/** What a child says of itself at the end, memory before all. */
export interface Facts {
  readonly rss_mb: number;
  readonly [fact: string]: string | number;
}

/** A child that can run the case. */
export class Contestant {
  readonly turns: Turn[] = [];
  readonly #talker: Talker;
  #wanted = Number.POSITIVE_INFINITY;
  #calls = 1;

  constructor(
    readonly name: string,
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#talker = new Talker(name, program, args, env);
  }

  /** A first run that touches fresh memory. It counts where one run is longer than `patience` seconds; more are not made then. */
  async warmUp(patience: number): Promise<void> {
    const turn = await this.#runs();
    this.#wanted = Math.floor(patience / turn.seconds);
    if (this.#wanted < 1) {
      this.turns.push(turn);
      return;
    }
    // The second run tells how long one takes, and with it how many make a sample that a clock and a scheduler do not blur.
    if (turn.seconds > 20 * BATCH.seconds) return;
    const { seconds } = await this.#runs();
    this.#calls = Math.max(1, Math.min(BATCH.calls, Math.round(BATCH.seconds / seconds)));
  }

  /** One sample, unless the contestant has had its share of the time. */
  async turn(): Promise<void> {
    if (this.turns.length < this.#wanted) this.turns.push(await this.#runs());
  }

  /** A sample: the mean of a few runs. */
  async #runs(): Promise<Turn> {
    return JSON.parse(await this.#talker.ask(`run ${this.#calls}`)) as Turn;
  }

  async facts(): Promise<Facts> {
    return JSON.parse(await this.#talker.ask('facts')) as Facts;
  }

  /** Leaves the last result in a file. */
  async leave(path: string): Promise<void> {
    await this.#talker.ask(`leave ${path}`);
  }

  /** How far the last result is from that in a file. */
  async compare(path: string): Promise<number> {
    const { worst } = JSON.parse(await this.#talker.ask(`compare ${path}`)) as {
      worst: number | null;
    };
    // JSON has no NaN: null is one.
    return worst ?? Number.NaN;
  }

  close(): Promise<void> {
    return this.#talker.close();
  }
}

export interface ContestOptions {
  readonly samples: number;
  /** How many of the contestants are ours: the first ones. Default 1. */
  readonly ours?: number;
  /** Seconds of timed runs that each peer gets at most. */
  readonly patience: number;
  /** Measured once a round. */
  readonly ceilings: readonly CeilingSamples[];
}

/** Runs all contestants in turn and takes their memory. */
export async function contest(
  contestants: readonly Contestant[],
  { samples, ours = 1, patience, ceilings }: ContestOptions,
): Promise<(Taken & { facts: Facts })[]> {
  for (const [i, c] of contestants.entries())
    await c.warmUp(i < ours ? Number.POSITIVE_INFINITY : patience);
  let round = 0;
  await sampled(
    async () => {
      for (const c of ceilings) await c.sample();
      const order = round++ % 2 === 0 ? contestants : [...contestants].reverse();
      for (const c of order) await c.turn();
    },
    { samples },
  );
  const taken = [];
  for (const c of contestants) {
    const facts = await c.facts();
    taken.push({ turns: c.turns, rssMb: facts.rss_mb, facts });
  }
  return taken;
}

/** Closes all contestants, whatever happened. */
export async function closed<T>(
  contestants: readonly Contestant[],
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } finally {
    for (const c of contestants) await c.close();
  }
}
