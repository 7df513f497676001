/**
 * The seam between operations and the tape: an operation says how its gradient is made, whoever listens keeps it. Operations do not
 * know the tape (lib/autograd), which lies above them.
 */
import type { Tensor } from './tensor.js';

/**
 * How the gradient of one operation is made. Receives the gradient of each output (undefined where nothing depends on that output)
 * and returns the gradient of each input (undefined where there is none). `wants[i]` says whether the gradient of input i is needed.
 */
export type Backward = (
  outputs: readonly (Tensor | undefined)[],
  wants: readonly boolean[],
) => (Tensor | undefined)[];

export interface OperationRecord {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Tensors that only the gradient needs (indices of a max pool, statistics of a norm). */
  readonly saved: readonly Tensor[];
  readonly backward: Backward;
}

export interface Recorder {
  record(operation: OperationRecord): void;
}

let recorder: Recorder | undefined;

/** Replaces who listens and returns who did before. */
export function listen(next: Recorder | undefined): Recorder | undefined {
  const before = recorder;
  recorder = next;
  return before;
}

/**
 * Registers the gradient of an operation. Without a tape, `saved` tensors are disposed, because nothing will ask for them.
 */
export function differentiable(
  name: string,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  backward: Backward,
  saved: readonly Tensor[] = [],
): void {
  if (recorder) recorder.record({ name, inputs, outputs, saved, backward });
  else for (const tensor of saved) tensor.dispose();
}

/** Whether a tape is listening: an operation may then have to keep more. */
export function recording(): boolean {
  return recorder !== undefined;
}
