import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor, text } from './check.js';

/**
 * The tensors one after the other along the channels, the last axis.
 * @param tensors - f32, equal in all axes but the last
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument, DeviceMismatch
 */
export function concatChannels(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (!first) throw invalidArgument('tensors of concatChannels', 'at least one tensor', tensors);
  for (const [i, tensor] of tensors.entries()) {
    checkTensor('concatChannels', `tensors[${i}]`, tensor, { dtype: 'f32' });
    const same =
      tensor.shape.length === first.shape.length &&
      tensor.shape.slice(0, -1).every((n, axis) => n === first.shape[axis]);
    if (!same || tensor.shape.length === 0)
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected shape ${text(first.shape)} but for the last axis for parameter tensors[${i}] of concatChannels but received ${text(tensor.shape)}`,
        { operation: 'concatChannels', shape: tensor.shape },
      );
  }
  const [y] = first.device.run('concatChannels', { inputs: tensors }) as [Tensor];
  differentiable('concatChannels', tensors, [y], ([dy], wants) => {
    if (!dy) return [];
    let from = 0;
    return tensors.map((tensor, i) => {
      const to = from + (tensor.shape[tensor.shape.length - 1] as number);
      const part = wants[i]
        ? (dy.device.run('sliceChannels', { x: dy, from, to })[0] as Tensor)
        : undefined;
      from = to;
      return part;
    });
  });
  return y;
}

/**
 * Channels from..to-1, of the last axis.
 * @param x - f32
 * @throws RenvoxError InvalidArgument if the range is empty or not inside the channels; DtypeMismatch
 */
export function sliceChannels(x: Tensor, from: number, to: number): Tensor {
  checkTensor('sliceChannels', 'x', x, { dtype: 'f32' });
  const channels = x.shape[x.shape.length - 1] ?? 0;
  checkNumber('sliceChannels', 'to', to, 1, channels);
  checkNumber('sliceChannels', 'from', from, 0, to - 1);
  if (!Number.isInteger(from) || !Number.isInteger(to))
    throw invalidArgument('from and to of sliceChannels', 'integers', [from, to]);
  const [y] = x.device.run('sliceChannels', { x, from, to }) as [Tensor];
  differentiable('sliceChannels', [x], [y], ([dy]) =>
    dy ? (x.device.run('sliceChannelsGrad', { dy, from, channels }) as [Tensor]) : [],
  );
  return y;
}
