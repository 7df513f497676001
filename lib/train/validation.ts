/** Evaluation on samples that training never sees. */
import type { Device } from '../device.js';
import type { Network } from '../nn/index.js';
import { argmax, overlapCounts, reshape } from '../ops/index.js';
import { keep, scope } from '../scope.js';
import type { Preset } from './preset.js';
import type { Sample, Sampler } from './sampler.js';

export interface ValidationResult {
  /**
   * The figure that decides which weights are best: mean Dice of the last class, or accuracy. Where no sample has the last class, the mean over the
   * classes that there are; null where there is none at all, which decides nothing.
   */
  score: number | null;
  /** Mean Dice of each class but the background over the samples that have it, or recall of each class. */
  perClass: (number | null)[];
}

/** Bytes of validation samples that stay on the device. The study's own take 0.6 to 2.2 GB, more than a training step. */
const BUDGET = 256e6;

/**
 * The validation samples of a run. Those that fit into `budget` bytes are made at the first use and kept on the device, the rest is made anew at
 * each evaluation: a sample depends on its index alone, so that all evaluations see the same.
 */
export class ValidationSet {
  readonly #samples: Sample[] = [];
  #held = 0;

  constructor(
    readonly preset: Preset,
    readonly sampler: Sampler,
    readonly device: Device,
    readonly budget = BUDGET,
  ) {}

  /** Undefined where the signal is aborted before all samples are seen. */
  async evaluate(network: Network, signal?: AbortSignal): Promise<ValidationResult | undefined> {
    const { preset, sampler } = this;
    const size = Math.min(
      preset.validation.samples,
      sampler.validationCount ?? Number.POSITIVE_INFINITY,
    );
    const classes = preset.architecture.config.classes;
    const counts: number[][] = [];
    for (let i = 0; i < size; i++) {
      if (signal?.aborted) return undefined;
      const table = scope(() => {
        const sample = this.#samples[i] ?? this.#make(i);
        const found = argmax(network.infer(sample.image));
        const voxels = [1, 1, found.size];
        const labels = { labels: classes };
        return overlapCounts(reshape(sample.target, voxels), reshape(found, voxels), labels).counts;
      });
      // One at a time, so that what waits in the queue does not hold the memory of all.
      counts.push(Array.from(await table.data()));
      table.dispose();
    }
    return preset.task === 'class' ? accuracy(counts, classes) : dice(counts, classes);
  }

  /** What is not kept goes with the scope of its evaluation. */
  #make(index: number): Sample {
    const sample = scope(() => this.sampler.validation(this.device, index));
    // f32, and u8 where it is large.
    const bytes = 4 * sample.image.size + sample.target.size;
    if (this.#held + bytes > this.budget) return sample;
    this.#held += bytes;
    keep(sample.image);
    keep(sample.target);
    this.#samples[index] = sample;
    return sample;
  }

  dispose(): void {
    for (const { image, target } of this.#samples) {
      image.dispose();
      target.dispose();
    }
  }
}

/** counts[truth * classes + found] of each sample. */
function dice(samples: number[][], classes: number): ValidationResult {
  const perClass: (number | null)[] = [];
  for (let c = 1; c < classes; c++) {
    let sum = 0;
    let n = 0;
    for (const counts of samples) {
      let truth = 0;
      let found = 0;
      for (let k = 0; k < classes; k++) {
        truth += counts[c * classes + k] as number;
        found += counts[k * classes + c] as number;
      }
      if (truth === 0) continue;
      sum += (2 * (counts[c * classes + c] as number)) / (truth + found);
      n++;
    }
    perClass.push(n > 0 ? sum / n : null);
  }
  const present = perClass.filter((value) => value !== null);
  const mean = present.length > 0 ? present.reduce((a, b) => a + b, 0) / present.length : null;
  return { score: perClass[perClass.length - 1] ?? mean, perClass };
}

function accuracy(samples: number[][], classes: number): ValidationResult {
  const total = new Array<number>(classes * classes).fill(0);
  for (const counts of samples)
    counts.forEach((n, i) => {
      total[i] = (total[i] as number) + n;
    });
  const cell = (truth: number, found: number) => total[truth * classes + found] as number;
  const all = Array.from({ length: classes }, (_, c) => c);
  const perClass = all.map((c) => {
    const size = all.reduce((sum, k) => sum + cell(c, k), 0);
    return size > 0 ? cell(c, c) / size : null;
  });
  const right = all.reduce((sum, c) => sum + cell(c, c), 0);
  return { score: samples.length > 0 ? right / samples.length : null, perClass };
}
