/** The joint box of label maps, found and cut where the maps are: what comes back to the host is the box. */
import { componentTable, crop, reshape } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, Tensor } from '../tensor.js';
import type { Triple, VoxelArray } from '../volume/index.js';
import { type LabelBox, labelBox } from './label-box.js';
import { hostLabels, type LabelSource, labelTensor } from './label-source.js';

/**
 * The joint box of label maps on the host, as {@link labelBox} has it. Of maps that are all tensors of one device the box alone is downloaded.
 * @throws RenvoxError as labelBox; DtypeMismatch, ShapeMismatch, AbortError
 */
export async function hostBox(
  maps: Readonly<Record<string, LabelSource>>,
  whole: Triple,
  labels: readonly number[] | undefined,
  signal: AbortSignal | undefined,
): Promise<LabelBox> {
  const entries = Object.entries(maps);
  const device = entries.map(([, map]) => (map instanceof Tensor ? map.device : undefined));
  const [own] = device;
  if (own === undefined || !device.every((other) => other === own)) {
    const loaded: Record<string, VoxelArray> = {};
    for (const [name, map] of entries) loaded[name] = await hostLabels(name, map, whole);
    return labelBox(loaded, whole, labels);
  }
  return scope(async () => {
    const tensors = entries.map(([name, map]) => labelTensor(name, map, whole, own));
    const { offset, shape } = boxOfRows(
      await download(
        own.under({ signal }, () => tensors.map((map) => componentTable(map, { capacity: 0 }))),
      ),
    );
    const cut = (map: Tensor) =>
      crop(reshape(map, [1, ...whole]), { start: [...offset], size: [...shape] });
    const voxels = await download(own.under({ signal }, () => tensors.map(cut)));
    const loaded = entries.map(([name], i) => [name, voxels[i] as VoxelArray] as const);
    const box = labelBox(Object.fromEntries(loaded), shape, labels);
    const [d, h, w] = box.offset;
    return { ...box, offset: [d + offset[0], h + offset[1], w + offset[2]] };
  });
}

/** The least box around those of several maps, of each the row of its whole foreground; one voxel where all are empty. */
function boxOfRows(rows: readonly ArrayLike<number>[]): { offset: Triple; shape: Triple } {
  const [voxels, low, high] = [0, 1, 4];
  const held = rows.filter((row) => (row[voxels] as number) > 0);
  if (held.length === 0) return { offset: [0, 0, 0], shape: [1, 1, 1] };
  const axis = (k: number): [number, number] => {
    const first = Math.min(...held.map((row) => row[low + k] as number));
    return [first, Math.max(...held.map((row) => row[high + k] as number)) - first + 1];
  };
  const [d, h, w] = [axis(0), axis(1), axis(2)];
  return { offset: [d[0], h[0], w[0]], shape: [d[1], h[1], w[1]] };
}
