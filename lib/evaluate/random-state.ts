/**
 * NumPy's RandomState, of which the official KiTS21 tool draws: MT19937 (Matsumoto & Nishimura 1998, doi 10.1145/272991.272995) seeded by one
 * integer, and integers below a bound by masked rejection. The same seed gives the tool's own samples.
 */
const N = 624;
const M = 397;

export class RandomState {
  readonly #state = new Uint32Array(N);
  #next = N;

  /** @param seed - an integer from 0 to 2^32 - 1 */
  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < N; i++) {
      const before = state[i - 1] as number;
      state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  /** An integer from 0 to `bound` - 1, as `randint(0, bound)`; a bound of 1 draws nothing. */
  integer(bound: number): number {
    const highest = bound - 1;
    if (highest === 0) return 0;
    const mask = 2 ** (32 - Math.clz32(highest)) - 1;
    for (;;) {
      const value = (this.#draw() & mask) >>> 0;
      if (value <= highest) return value;
    }
  }

  #draw(): number {
    if (this.#next === N) this.#twist();
    let y = this.#state[this.#next++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < N; i++) {
      const own = state[i] as number;
      const next = state[(i + 1) % N] as number;
      const y = (own & 0x80000000) | (next & 0x7fffffff);
      state[i] = (state[(i + M) % N] as number) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}
