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
  /** Makes the outputs again from the inputs, with the same bits: what was forgotten ({@link forget}) comes back by it. */
  readonly again?: (() => Tensor[]) | undefined;
}

export interface Recorder {
  record(operation: OperationRecord): void;
  /** Frees a tensor that only gradients will read, if it can be made again. */
  forget(tensor: Tensor): void;
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
  again?: () => Tensor[],
): void {
  if (recorder) recorder.record({ name, inputs, outputs, saved, backward, again });
  else for (const tensor of saved) tensor.dispose();
}

/**
 * Says that no operation will read `tensor` any more, only gradients: its memory is freed now, and where the operation that made it can
 * be done again cheaply (a norm with its activation), the tape does so when the gradient arrives there. Else it stays. Without a tape it is disposed.
 * For tensors that whoever calls this has made.
 */
export function forget(tensor: Tensor): void {
  if (recorder) recorder.forget(tensor);
  else tensor.dispose();
}

/** Whether a tape is listening: an operation may then have to keep more. */
export function recording(): boolean {
  return recorder !== undefined;
}
