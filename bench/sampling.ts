/** Sampling by the `benchmark` package: it decides how often a round is run; a round notes its own measurements. */
import Benchmark from 'benchmark';

/** Seconds that the calls of one sample last about, and how many they are at most. */
export const BATCH = { seconds: 0.05, calls: 64 };

/** In which order `count` calls are timed: each round begins with the next, so that every call takes each place as often as the others. */
export const orderOf = (count: number, round: number): number[] =>
  Array.from({ length: count }, (_, i) => (round + i) % count);

/**
 * Runs `round` `samples` times, and again for as long as `seconds` are not over. A round that fails ends it.
 */
export function sampled(
  round: () => Promise<void>,
  { samples, seconds = 0 }: { samples: number; seconds?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let failed = false;
    let rounds = 0;
    const step = async (): Promise<void> => {
      // Of rounds shorter than its clock's step Benchmark makes more to a cycle.
      if (failed || (rounds >= samples && seconds === 0)) return;
      rounds++;
      await round();
    };
    new Benchmark({
      defer: true,
      minSamples: samples,
      minTime: 0.001,
      maxTime: Math.max(seconds, 0.001),
      fn: (deferred: Benchmark.Deferred) => {
        step().then(
          () => deferred.resolve(),
          (error) => {
            failed = true;
            reject(error);
            deferred.resolve();
          },
        );
      },
      onComplete: () => {
        if (!failed) resolve();
      },
    }).run({ async: true });
  });
}
