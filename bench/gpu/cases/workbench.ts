/** What the cases are made with: a device, a size, and inputs of that size. */
import { type Device, gradients, ops, type Tensor } from 'renvox';

export type Size = readonly [number, number, number];

export interface Case {
  name: string;
  /** Makes the inputs and returns what runs the work on them: each call gives new tensors from the same inputs. */
  prepare(): () => Tensor[];
}

export const voxels = ([d, h, w]: Size): number => d * h * w;

/** Labels 0..3 in blocks of a few voxels, with single voxels between: many small components and a few large ones. */
export function blocks([d, h, w]: Size, shift = 0): Uint8Array {
  const map = new Uint8Array(d * h * w);
  let i = 0;
  for (let z = 0; z < d; z++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++, i++) {
        const cell = Math.imul(
          (z >> 2) * 73 + (y >> 2) * 179 + ((x + shift) >> 3) * 283,
          2654435761,
        );
        const single = Math.imul(i + 1, 2246822519) >>> 0;
        map[i] = cell >>> 30 > 1 ? (cell >>> 29) & 3 : single < 0.05 * 2 ** 32 ? 1 : 0;
      }
  return map;
}

export type Workbench = ReturnType<typeof workbench>;

/** @param list - what `add` adds to */
export function workbench(d: Device, size: Size, list: Case[]) {
  const add = (name: string, prepare: Case['prepare']): void => {
    list.push({ name, prepare });
  };
  const half = size.map((n) => Math.max(1, n >> 1)) as unknown as Size;
  const random = (shape: readonly number[], stream: number): Tensor =>
    ops.randomNormal(d, { shape, seed: 7, stream });
  const image = (channels: number, stream: number) => random([2, ...size, channels], stream);
  const labels = (shift = 0) => d.tensor(blocks(size, shift), { shape: [1, ...size] });
  const copy = (x: Tensor): Tensor => ops.scaleBy(x, 1);
  /** Value and gradients with respect to `inputs`, of something whose shape is known from a first run. */
  const both = (inputs: readonly Tensor[], body: () => Tensor) => (): Tensor[] => {
    const shape = body();
    const dy = random(shape.shape, 99);
    const { value, gradients: made } = gradients(body, inputs, dy);
    return [value, ...made];
  };
  const affine = ops.composeAffine(
    ops.coveringAffine(size, half),
    ops.augmentationAffine({ size: half, rotation: [12, 5, 0], translation: [0.5, 1, -1] }),
  );
  return { add, d, size, half, random, image, labels, copy, both, affine };
}
