import { invalidArgument } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { volumeAxes } from './volume-axes.js';

/** An axis of a volume. */
export type Axis = 'd' | 'h' | 'w';

/**
 * Mirrors a volume.
 * @param x - any type, [N, D, H, W, C] or [N, D, H, W]
 * @param axes - the axes to mirror along, such as ['d', 'w']
 * @throws RenvoxError ShapeMismatch, InvalidArgument
 */
export function flip(x: Tensor, axes: readonly Axis[]): Tensor {
  volumeAxes('flip', 'x', x);
  if (!Array.isArray(axes) || !axes.every((a) => a === 'd' || a === 'h' || a === 'w'))
    throw invalidArgument('axes of flip', "a list of 'd', 'h', 'w'", axes);
  const flags = (['d', 'h', 'w'] as const).map((a) => (axes.includes(a) ? 1 : 0));
  const [y] = x.device.run('flip', { x, axes: flags }) as [Tensor];
  differentiable('flip', [x], [y], ([dy]) => [dy && flip(dy, axes)]);
  return y;
}
