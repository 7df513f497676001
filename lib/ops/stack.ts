import { invalidArgument } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkShape, checkTensor } from './check.js';

/**
 * Puts samples one after the other along the first axis: [1, ...] and [1, ...] make [2, ...].
 * @param items - any type; shapes alike but for the first axis
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch, InvalidArgument
 */
export function stack(items: readonly Tensor[]): Tensor {
  const first = items[0];
  if (!first) throw invalidArgument('items of stack', 'at least one tensor', items);
  checkTensor('stack', 'items', first);
  if (first.shape.length === 0)
    throw invalidArgument('items of stack', 'tensors with at least one axis', first.shape);
  const rest = first.shape.slice(1);
  for (const item of items) {
    checkTensor('stack', 'items', item, { dtype: first.dtype });
    checkShape('stack', 'items', item, [item.shape[0] ?? 0, ...rest]);
  }
  const [y] = first.device.run('stack', { items }) as [Tensor];
  differentiable('stack', items, [y], ([dy], wants) => {
    let from = 0;
    return items.map((item, i) => {
      const begin = from;
      from += item.shape[0] as number;
      return dy && wants[i] ? slice(dy, begin, from - begin) : undefined;
    });
  });
  return y;
}

/**
 * Samples `from` up to, not including, `to` along the first axis.
 * @param x - any type, at least one axis
 * @throws RenvoxError InvalidArgument
 */
export function sliceBatch(x: Tensor, from: number, to: number): Tensor {
  checkTensor('sliceBatch', 'x', x);
  const samples = x.shape[0] ?? 0;
  if (!Number.isInteger(from) || from < 0 || from >= samples)
    throw invalidArgument('from of sliceBatch', `an integer from 0 to ${samples - 1}`, from);
  if (!Number.isInteger(to) || to <= from || to > samples)
    throw invalidArgument('to of sliceBatch', `an integer from ${from + 1} to ${samples}`, to);
  const y = slice(x, from, to - from);
  // Samples that were left out get zeros.
  differentiable('sliceBatch', [x], [y], ([dy]) => [dy && slice(dy, -from, samples)]);
  return y;
}

function slice(x: Tensor, from: number, count: number): Tensor {
  return x.device.run('sliceBatch', { x, from, count })[0] as Tensor;
}
