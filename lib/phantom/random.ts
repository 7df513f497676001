/** Seeded random numbers of the phantoms: the same seed draws the same phantom on every machine. */

/**
 * A stream of random numbers. Streams of different names under one seed are independent, so that a change in how one
 * organ is drawn leaves the others as they were.
 */
export class Random {
  #state: number;

  /** @param seed any integer of up to 53 bits; @param name of the stream */
  constructor(
    readonly seed: number,
    name = '',
  ) {
    let h = mix((seed >>> 0) ^ 0x9e3779b9) ^ mix(Math.floor(seed / 4294967296) >>> 0);
    for (let i = 0; i < name.length; i++) h = mix(h ^ (name.charCodeAt(i) + 0x100 * i));
    this.#state = h >>> 0;
  }

  /** The stream of this name under the same seed. */
  stream(name: string): Random {
    return new Random(this.seed, name);
  }

  /** 32 random bits: splitmix-like, one mix a draw. */
  bits(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mix(this.#state);
  }

  /** Uniform in low..high. */
  uniform(low: number, high: number): number {
    return low + (high - low) * (this.bits() / 4294967296);
  }

  /** An integer, low and high included. */
  integer(low: number, high: number): number {
    return Math.min(high, Math.floor(this.uniform(low, high + 1)));
  }

  chance(probability: number): boolean {
    return this.uniform(0, 1) < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)] as T;
  }

  /** Normal (Box and Muller), held within `low` and `high`. */
  normal(
    mean: number,
    sd: number,
    low = Number.NEGATIVE_INFINITY,
    high = Number.POSITIVE_INFINITY,
  ): number {
    const r = Math.sqrt(-2 * Math.log(this.uniform(1e-12, 1)));
    const z = r * Math.cos(2 * Math.PI * this.uniform(0, 1));
    return Math.min(high, Math.max(low, mean + sd * z));
  }

  /** Uniform on a logarithmic scale. */
  logUniform(low: number, high: number): number {
    return low * (high / low) ** this.uniform(0, 1);
  }

  /** A random direction. */
  direction(): [number, number, number] {
    const z = this.uniform(-1, 1);
    const a = this.uniform(0, 2 * Math.PI);
    const r = Math.sqrt(1 - z * z);
    return [r * Math.cos(a), r * Math.sin(a), z];
  }
}

function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}
