/** Where a step diverged: which sample, which layer. */
import { gradients } from '../autograd/index.js';
import type { Device } from '../device.js';
import { listen, type OperationRecord } from '../gradient.js';
import { allFinite, cast } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import { type Sampler, trainingSeed } from './sampler.js';
import type { TrainingState } from './state.js';
import { forwardLoss, microBatches, samplesOf } from './step.js';

export interface Diagnosis {
  /** The first layer whose output is not finite, such as `encoder.0.1.conv`, or `the image`; or `the gradient of ...`. */
  layer: string;
  /** Index of the sample in its batch, and its seed; null where no single one can be named. */
  sample: number | null;
  seed: number | null;
}

/** Looks at the step `state.step` again, whose weights are those before it. Undefined where all is finite this time. */
export async function diagnose(
  state: TrainingState,
  sampler: Sampler,
  device: Device,
): Promise<Diagnosis | undefined> {
  const { preset, step, network } = state;
  const named = (layer: string, index: number | null): Diagnosis => ({
    layer,
    sample: index,
    seed: index === null ? null : trainingSeed(preset.seed, step, index, preset.batch),
  });
  for (const indices of microBatches(preset)) {
    const found = await scope(async () => {
      const samples = samplesOf(preset, sampler, device, step, indices);
      const image = await firstOdd(samples.image, indices);
      if (image !== undefined) return named('the image', image);
      const records: OperationRecord[] = [];
      const outer = listen({ record: (r) => records.push(r) });
      try {
        forwardLoss(state, samples);
      } finally {
        listen(outer);
      }
      const bad = await firstBad(records);
      if (bad)
        return named(
          layerOf(bad.at, records, network.parameters),
          (await firstOdd(bad.output, indices)) ?? null,
        );
      const parameters = [...network.parameters];
      const made = gradients(
        () => forwardLoss(state, samples),
        parameters.map(([, t]) => t),
      );
      const flags = await download(made.gradients.map((g) => allFinite([g])));
      // The gradient goes backwards: the last layer that has it is where it began.
      const last = flags.findLastIndex((flag) => flag[0] === 0);
      if (last < 0) return undefined;
      const only = indices.length === 1 ? (indices[0] as number) : null;
      return named(`the gradient of ${parameters[last]?.[0]}`, only);
    });
    if (found) return found;
  }
  return undefined;
}

/** The first operation with an output that is not finite. */
async function firstBad(
  records: readonly OperationRecord[],
): Promise<{ at: number; output: Tensor } | undefined> {
  const outputs = records.flatMap((r, at) =>
    r.outputs.flatMap((t) => {
      if (t.dtype === 'f32') return [{ at, output: t }];
      // What is stored in 16 bits comes to the host as bits.
      return t.dtype === 'f16' || t.dtype === 'bf16' ? [{ at, output: cast(t, 'f32') }] : [];
    }),
  );
  const flags = await download(outputs.map(({ output }) => allFinite([output])));
  return outputs[flags.findIndex((flag) => flag[0] === 0)];
}

/** The name of the layer that a record is of: of its weights, else of the weights used last before it. */
function layerOf(
  at: number,
  records: readonly OperationRecord[],
  parameters: ReadonlyMap<string, Tensor>,
): string {
  const names = new Map([...parameters].map(([name, t]) => [t, name]));
  const own = (r: OperationRecord | undefined) =>
    r?.inputs.map((t) => names.get(t)).find((name) => name !== undefined);
  const plain = (name: string) => name.replace(/\.(weight|bias)$/, '');
  const name = own(records[at]);
  if (name) return plain(name);
  const before = records.slice(0, at).findLast((r) => own(r));
  return `${records[at]?.name} after ${before ? plain(own(before) as string) : 'the image'}`;
}

/** Which sample of a batch [N, ...] holds the first value that is not finite. */
async function firstOdd(batch: Tensor, indices: readonly number[]): Promise<number | undefined> {
  const values = await batch.data();
  const at = values.findIndex((v) => !Number.isFinite(v));
  if (at < 0) return undefined;
  if (batch.shape[0] !== indices.length) return indices.length === 1 ? indices[0] : undefined;
  return indices[Math.floor(at / (values.length / indices.length))];
}
