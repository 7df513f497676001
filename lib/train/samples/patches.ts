/** Where the patches lie that validation looks at. */
import type { Item } from '../data/items.js';

type Triple = [number, number, number];

/**
 * First voxels, along D, H, W, of patches that together cover every labelled voxel of an item: along each axis as few as reach over the box of all
 * labels, evenly spread over it, those left out that show no label. The box's middle lies in the middle of them, as far as the item reaches. One
 * patch in the item's middle where nothing is labelled. They depend on the labels alone.
 */
export function coveringPatches(
  { labels, shape }: Pick<Item, 'labels' | 'shape'>,
  size: Triple,
): Triple[] {
  const box = labelledBox(labels, shape);
  if (!box) return [shape.map((n, a) => Math.floor((n - (size[a] as number)) / 2)) as Triple];
  const [ds, hs, ws] = shape.map((n, a) =>
    startsAlong(box.low[a] as number, box.high[a] as number, size[a] as number, n),
  ) as [number[], number[], number[]];
  const starts: Triple[] = [];
  for (const d of ds)
    for (const h of hs)
      for (const w of ws) if (showsLabel(labels, shape, [d, h, w], size)) starts.push([d, h, w]);
  return starts;
}

/** Along one axis, for labels from `low` to `high` of `length` voxels. */
function startsAlong(low: number, high: number, size: number, length: number): number[] {
  const extent = high - low + 1;
  const count = Math.ceil(extent / size);
  const within = (start: number) => Math.min(Math.max(Math.round(start), 0), length - size);
  if (count === 1) return [within(low + (extent - size) / 2)];
  return Array.from({ length: count }, (_, k) => within(low + (k * (extent - size)) / (count - 1)));
}

/** First and last labelled voxel along each axis; undefined where there is none. */
function labelledBox(
  labels: Uint8Array,
  [depth, height, width]: Triple,
): { low: Triple; high: Triple } | undefined {
  const low: Triple = [depth, height, width];
  const high: Triple = [-1, -1, -1];
  for (let d = 0, i = 0; d < depth; d++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++, i++) {
        if (labels[i] === 0) continue;
        low[0] = Math.min(low[0], d);
        low[1] = Math.min(low[1], h);
        low[2] = Math.min(low[2], w);
        high[0] = d;
        high[1] = Math.max(high[1], h);
        high[2] = Math.max(high[2], w);
      }
  return high[0] < 0 ? undefined : { low, high };
}

function showsLabel(
  labels: Uint8Array,
  [, height, width]: Triple,
  [d0, h0, w0]: Triple,
  [depth, rows, columns]: Triple,
): boolean {
  for (let d = d0; d < d0 + depth; d++)
    for (let h = h0; h < h0 + rows; h++) {
      const row = (d * height + h) * width + w0;
      if (labels.subarray(row, row + columns).some((label) => label > 0)) return true;
    }
  return false;
}
