import { invalidArgument, RenvoxError } from '../errors.js';
import { listen, type OperationRecord } from '../gradient.js';
import { add } from '../ops/add.js';
import { reshape } from '../ops/reshape.js';
import { objectsIn, scope } from '../scope.js';
import { Tensor } from '../tensor.js';

export interface GradientResult<T> {
  /** What the function returned. */
  value: T;
  /** The gradient of the loss with respect to each parameter, in their order; zeros where the loss does not depend on it. */
  gradients: Tensor[];
}

/**
 * Runs `body` while recording its operations and returns the gradient of the scalar loss with respect to `parameters`.
 *
 * Activations are freed as the gradient passes them. Of the tensors that `body` makes only those it returns live on, as under
 * {@link scope}. `body` must be synchronous: it only enqueues. Gradients are tensors of their own, also where two parameters have the same.
 *
 * @param body - returns the loss (a tensor of one element), or an object with it as `loss` and other tensors to keep
 * @param outputGradient - where `loss` is not a scalar: the gradient of something with respect to it, in its shape; the result is then
 *   the vector-Jacobian product
 * @throws RenvoxError InvalidArgument if the loss is not a tensor of one element and no outputGradient is given, or does not depend on
 *   any of the parameters
 */
export function gradients<T extends Tensor | { loss: Tensor }>(
  body: () => T,
  parameters: readonly Tensor[],
  outputGradient?: Tensor,
): GradientResult<T> {
  if (typeof body !== 'function') throw invalidArgument('body', 'a function', body);
  if (!Array.isArray(parameters) || !parameters.every((p) => p instanceof Tensor))
    throw invalidArgument('parameters', 'an array of tensors', parameters);
  if (outputGradient !== undefined && !(outputGradient instanceof Tensor))
    throw invalidArgument('outputGradient', 'a tensor', outputGradient);
  // The scope frees what an error leaves behind, and tensors that no record mentions.
  return scope(() => {
    const { value, records } = record(body);
    const loss = lossOf(value);
    const unrecorded = listen(undefined);
    try {
      const seed = seedOf(loss, outputGradient);
      return { value, gradients: backward(records, loss, seed, parameters, objectsIn(value)) };
    } finally {
      listen(unrecorded);
    }
  });
}

function record<T>(body: () => T): { value: T; records: OperationRecord[] } {
  const records: OperationRecord[] = [];
  const outer = listen({ record: (r) => records.push(r) });
  try {
    return { value: body(), records };
  } finally {
    listen(outer);
  }
}

function lossOf(value: unknown): Tensor {
  if (value instanceof Promise) {
    value.catch(() => undefined);
    throw invalidArgument('body', 'a synchronous function', value);
  }
  const loss = value instanceof Tensor ? value : (value as { loss?: unknown } | undefined)?.loss;
  if (!(loss instanceof Tensor)) throw invalidArgument('loss', 'a tensor', loss);
  return loss;
}

function seedOf(loss: Tensor, outputGradient: Tensor | undefined): Tensor {
  if (!outputGradient) {
    if (loss.size !== 1)
      throw invalidArgument('loss', 'a tensor of one element (or an outputGradient)', loss.shape);
    return loss.device.full(loss.shape, 1);
  }
  if (String(outputGradient.shape) !== String(loss.shape))
    throw invalidArgument(
      'outputGradient',
      `a tensor of shape [${loss.shape.join(', ')}]`,
      outputGradient.shape,
    );
  // A view of its own, so that passing the gradient on does not dispose the caller's tensor.
  return reshape(outputGradient, loss.shape);
}

function backward(
  records: OperationRecord[],
  loss: Tensor,
  seed: Tensor,
  parameters: readonly Tensor[],
  keep: ReadonlySet<unknown>,
): Tensor[] {
  // Which tensors depend on a parameter: only their gradients are made.
  const live = new Set<Tensor>(parameters);
  for (const r of records)
    if (r.inputs.some((t) => live.has(t))) for (const t of r.outputs) live.add(t);
  if (!live.has(loss) && parameters.length > 0)
    throw new RenvoxError('InvalidArgument', 'The loss does not depend on any of the parameters');

  const sums = new Map<Tensor, Tensor>([[loss, seed]]);
  // A gradient may be the same tensor for several receivers (add passes dy on twice).
  const holders = new Map<Tensor, number>();
  const hold = (g: Tensor) => holders.set(g, (holders.get(g) ?? 0) + 1);
  const release = (g: Tensor) => {
    const n = (holders.get(g) ?? 1) - 1;
    holders.set(g, n);
    if (n === 0) g.dispose();
  };
  for (const g of sums.values()) hold(g);
  const wanted = new Set(parameters);

  for (let i = records.length - 1; i >= 0; i--) {
    const r = records[i] as OperationRecord;
    const incoming = r.outputs.map((t) => sums.get(t));
    if (incoming.some((g) => g !== undefined) && r.inputs.some((t) => live.has(t))) {
      const wants = r.inputs.map((t) => live.has(t));
      const made = r.backward(incoming, wants);
      for (const g of made) if (g) hold(g);
      for (const [k, input] of r.inputs.entries()) {
        const g = made[k];
        if (!g) continue;
        const sum = sums.get(input);
        if (!wants[k]) release(g);
        else if (!sum) sums.set(input, g);
        else {
          const total = add(sum, g);
          hold(total);
          sums.set(input, total);
          release(sum);
          release(g);
        }
      }
    }
    // Everything later is done: neither these outputs nor their gradients are needed again.
    for (const t of r.outputs) {
      const g = sums.get(t);
      if (g && !wanted.has(t)) {
        sums.delete(t);
        release(g);
      }
      if (!keep.has(t) && !wanted.has(t)) t.dispose();
    }
    for (const t of r.saved) t.dispose();
  }
  const taken = new Set<Tensor>();
  const result = parameters.map((p) => {
    const sum = sums.get(p);
    if (!sum) return p.device.full(p.shape);
    // One tensor may be the gradient of several parameters, or memory that the caller gave.
    if (taken.has(sum) || sum === seed) return add(sum, p.device.full(p.shape));
    taken.add(sum);
    return sum;
  });
  // A loss that no operation made, or gradients of inputs nobody asked for.
  for (const [t, g] of sums) if (!wanted.has(t)) release(g);
  return result;
}
