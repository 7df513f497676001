/**
 * The gradients of convolutions, for the operations and for layers that load raw tensors (lib/nn/raw.ts). Not exported from the package: with a
 * load they are the gradients of what is loaded, which no public operation promises.
 */
import type { OperationFields } from '../device.js';
import type { Tensor } from '../tensor.js';
import type { Triple } from './check.js';
import type { Conv3dOptions } from './conv3d.js';
import type { ConvTranspose3dOptions } from './convTranspose3d.js';

/** A convolution as its gradient sees it. */
export interface Conv3dLayer {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor | undefined;
  second?: Tensor | undefined;
  /** Norms and activation on load, as conv3d's: the gradients of x and second are then those of what is loaded. */
  load?: Pick<Conv3dOptions, 'scale' | 'shift' | 'secondScale' | 'secondShift' | 'slope'>;
  geometry: { stride: Triple; padding: Triple; dilation: Triple };
  precision: 'fp32' | 'bf16' | 'fp16';
  algorithm: 'direct' | 'winograd' | 'auto';
}

/** What a convolution is differentiable with respect to, in the order of {@link conv3dGradients}. */
export function conv3dInputs({ x, weight, bias, second }: Conv3dLayer): Tensor[] {
  return [x, weight, ...(bias ? [bias] : []), ...(second ? [second] : [])];
}

/** The gradients of a convolution from that of its result. */
export function conv3dGradients(
  { x, weight, bias, second, load, geometry, precision, algorithm }: Conv3dLayer,
  dy: Tensor,
  wants: readonly boolean[],
): (Tensor | undefined)[] {
  const { device } = x;
  // Gradients of images are of the images' type.
  const type = { precision, out: x.dtype, algorithm };
  const size = x.shape.slice(1, 4);
  const gradInput = (first: number, channels: number) => {
    if (channels === 0) return device.full([...x.shape.slice(0, 4), 0], 0, x.dtype);
    const fields = { dy, weight, size, first, channels, ...geometry, ...type };
    return device.run('conv3dGradInput', fields)[0] as Tensor;
  };
  const own = x.shape[4] as number;
  const dx = wants[0] ? gradInput(0, own) : undefined;
  const wantsSecond = second && wants[bias ? 3 : 2];
  const dsecond = wantsSecond ? gradInput(own, second.shape[4] as number) : undefined;
  let dw: Tensor | undefined;
  let db: Tensor | undefined;
  if (wants[1] || (bias && wants[2])) {
    const fields = { x, dy, second, kernel: weight.shape.slice(2), ...load, ...geometry, ...type };
    [dw, db] = device.run('conv3dGradWeight', fields) as [Tensor, Tensor];
  }
  if (db && !bias) db.dispose();
  return [dx, dw, ...(bias ? [db] : []), ...(second ? [dsecond] : [])];
}

/** A transposed convolution as its gradient sees it. */
export interface ConvTranspose3dLayer {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor | undefined;
  /** Norm and activation on load: the gradient of x is then that of what is loaded. */
  load?: Pick<ConvTranspose3dOptions, 'scale' | 'shift' | 'slope'>;
  precision: 'fp32' | 'bf16' | 'fp16';
}

/** What it is differentiable with respect to, in the order of {@link convTranspose3dGradients}. */
export function convTranspose3dInputs({ x, weight, bias }: ConvTranspose3dLayer): Tensor[] {
  return [x, weight, ...(bias ? [bias] : [])];
}

/** The gradients of a transposed convolution from that of its result. */
export function convTranspose3dGradients(
  { x, weight, bias, load, precision }: ConvTranspose3dLayer,
  dy: Tensor,
  wants: readonly boolean[],
): (Tensor | undefined)[] {
  // Gradients of images are of the images' type.
  const type = { precision, out: x.dtype };
  const run = (name: string, fields: OperationFields) =>
    x.device.run(name, { ...fields, ...type }) as [Tensor, Tensor];
  const dx = wants[0] ? run('convTranspose3dGradInput', { dy, weight })[0] : undefined;
  let dw: Tensor | undefined;
  let db: Tensor | undefined;
  if (wants[1] || (bias && wants[2]))
    [dw, db] = run('convTranspose3dGradWeight', { x, dy, ...load });
  if (db && !bias) db.dispose();
  return [dx, dw, ...(bias ? [db] : [])];
}
