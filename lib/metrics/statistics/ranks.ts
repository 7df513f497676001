/** Ranks with ties, and what ties do to the variance of rank sums. */

export interface Ranked {
  /** 1-based; tied values share the mean of their ranks. */
  readonly ranks: Float64Array;
  /** Sum of t^3 - t over groups of t tied values. */
  readonly ties: number;
}

export function ranked(values: ArrayLike<number>): Ranked {
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Float64Array(values.length);
  let ties = 0;
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (
      to < order.length &&
      (values[order[to] as number] as number) === (values[order[from] as number] as number)
    )
      to++;
    for (let i = from; i < to; i++) ranks[order[i] as number] = (from + to + 1) / 2;
    ties += (to - from) ** 3 - (to - from);
    from = to;
  }
  return { ranks, ties };
}
