/** A picture of samples as training sees them. */
import type { Device } from '../device.js';
import { encodePng } from '../pipeline/index.js';
import { Canvas, type Colour } from '../pipeline/preview/canvas.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import { classNames, type Preset } from './preset.js';
import { type Sampler, trainingSeed } from './sampler.js';

const COLOURS: readonly Colour[] = [
  [61, 214, 224],
  [255, 183, 3],
  [255, 82, 96],
];
/** Pixels that a tile's shorter side has at least, and of the legend's line. */
const SIDE = 128;
const LEGEND = 16;
const GAP = 4;

/**
 * Draws the first training samples of a run, augmented as the network gets them: of each the slice with the most labelled voxels, patient's
 * left on the right of the picture as in the network's grid, labels outlined. A classifier's samples have their contour, a frame and the name in the
 * colour of their class.
 * @param options.count - how many; default 12
 * @returns a PNG
 */
export async function previewSamples(
  preset: Preset,
  sampler: Sampler,
  device: Device,
  options: { count?: number } = {},
): Promise<Buffer> {
  const { count = 12 } = options;
  const [depth, height, width] = preset.grid.shape;
  const zoom = Math.max(1, Math.ceil(SIDE / Math.min(height, width)));
  const columns = Math.ceil(Math.sqrt(count));
  const [across, down] = [width * zoom + GAP, height * zoom + GAP];
  const names = classNames(preset);
  const canvas = new Canvas(
    Math.max(columns * across + GAP, 60 * names.length * 2),
    Math.ceil(count / columns) * down + GAP + LEGEND,
    [24, 24, 24],
  );
  for (let k = 0; k < count; k++) {
    const [image, target] = await scope(() => {
      const sample = sampler.training(device, trainingSeed(preset.seed, 0, k, count));
      return download([sample.image, sample.target]);
    });
    const channels = image.length / (depth * height * width);
    const segmented = target.length > 1;
    const map = segmented
      ? Uint8Array.from(target)
      : contourOf(preset, image as Float32Array, channels, target[0] as number);
    const slice = fullest(map, depth);
    const [left, top] = [GAP + (k % columns) * across, GAP + Math.floor(k / columns) * down];
    const at = (h: number, w: number) => (slice * height + h) * width + w;
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++) {
        const value = image[at(h, w) * channels] as number;
        const { low, high } = preset.window;
        const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
        const grey = Math.round(255 * share);
        const label = map[at(h, w)] as number;
        const rim =
          label > 0 &&
          [
            [h - 1, w],
            [h + 1, w],
            [h, w - 1],
            [h, w + 1],
          ].some(([y, x]) => {
            const inside =
              (y as number) >= 0 &&
              (y as number) < height &&
              (x as number) >= 0 &&
              (x as number) < width;
            return inside && map[at(y as number, x as number)] !== label;
          });
        const box = [left + w * zoom, top + h * zoom, zoom, zoom] as const;
        canvas.rectangle(...box, [grey, grey, grey]);
        if (rim) {
          const colour = COLOURS[(label - 1) % COLOURS.length] as Colour;
          for (let y = 0; y < zoom; y++)
            for (let x = 0; x < zoom; x++) canvas.blend(box[0] + x, box[1] + y, colour, 0.65);
        }
      }
    if (!segmented) {
      const index = target[0] as number;
      const colour = COLOURS[index % COLOURS.length] as Colour;
      canvas.frame(left, top, width * zoom, height * zoom, colour);
      canvas.text(names[index] ?? `class ${index}`, left + GAP, top + 3 * GAP, { colour, size: 1 });
    }
  }
  names.forEach((name, k) => {
    const colour = COLOURS[k % COLOURS.length] as Colour;
    canvas.text(name, GAP + k * 100, canvas.height - 5, { colour, size: 1 });
  });
  return encodePng(canvas.width, canvas.height, canvas.rgb);
}

/** Where a classifier's sample says that its mass is, as a map of class + 1: the mask beside the image, or what was not removed. */
function contourOf(
  { contour, window }: Preset,
  image: Float32Array,
  channels: number,
  index: number,
): Uint8Array {
  const map = new Uint8Array(image.length / channels);
  for (let i = 0; i < map.length; i++) {
    const first = i * channels;
    const values = image.subarray(first, first + channels);
    const inside =
      contour === 'channel' ? values[channels - 1] === 1 : values.some((v) => v !== window.low);
    if (inside) map[i] = index + 1;
  }
  return map;
}

/** The slice with the most labelled voxels; the middle one where none has any. */
function fullest(target: ArrayLike<number>, depth: number): number {
  const voxels = target.length / depth;
  let best = Math.floor(depth / 2);
  let most = 0;
  for (let d = 0; d < depth; d++) {
    let n = 0;
    for (let i = d * voxels; i < (d + 1) * voxels; i++) if ((target[i] as number) > 0) n++;
    if (n > most) [most, best] = [n, d];
  }
  return best;
}
