/** What a classifier calls the true masses when it is given their true contours. */
import { argmax, connectedComponents, maskOutside, resample } from '../ops/index.js';
import { type CascadeNetworks, LABELS } from '../pipeline/index.js';
import { scope } from '../scope.js';
import { cropGridOf } from '../train/samples/crop.js';
import { gridOf, gridToVolume, toWorld, type Volume } from '../volume/index.js';

/** mm round a mass, as in training. */
const MARGIN = 2;

/**
 * Label map with each true mass (a component of one class) as the class that the classifier gives it; kidneys stay.
 * @param truth - labels of `renvox analyze`, on the CT's grid
 */
export async function classifyTruth(
  ct: Volume,
  truth: Volume,
  { classifier }: Pick<CascadeNetworks, 'classifier'>,
): Promise<Volume> {
  const { network, shape, spacing, window } = classifier;
  const { device } = network;
  const labels = Uint8Array.from(truth.values());
  const map = labels.slice();
  await scope(async () => {
    const image = device.tensor(ct.values({ missing: -1024 }), { shape: [1, ...ct.shape, 1] });
    const masses = device.tensor(
      labels.map((v) => (v >= LABELS.aml ? v : 0)),
      { shape: ct.shape },
    );
    const { components } = connectedComponents(masses, { perLabel: true });
    const ids = (await components.data()) as Int32Array;
    const plan = { shape, step: spacing[0], margin: MARGIN };
    for (const [id, box] of boxesOf(ids, truth)) {
      const { grid } = cropGridOf(box, plan);
      const called = await scope(async () => {
        const affine = gridToVolume(grid, ct);
        const seen = resample(image, { size: shape, affine, outside: window.low, window });
        const own = device.tensor(
          Uint8Array.from(ids, (k) => (k === id ? 1 : 0)),
          { shape: [1, ...ct.shape] },
        );
        const inside = resample(own, { size: shape, affine, mode: 'nearest' });
        return argmax(network.infer(maskOutside(seen, inside, window.low))).item();
      });
      for (let i = 0; i < ids.length; i++) if (ids[i] === id) map[i] = LABELS.aml + called;
    }
  });
  return truth.like(map);
}

/** LPS box of each component. */
function boxesOf(ids: Int32Array, volume: Volume) {
  const [, height, width] = volume.shape;
  const grid = gridOf(volume);
  const boxes = new Map<
    number,
    { low: [number, number, number]; high: [number, number, number] }
  >();
  ids.forEach((id, i) => {
    if (id === 0) return;
    const at = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    let box = boxes.get(id);
    if (!box) {
      box = { low: [1e9, 1e9, 1e9], high: [-1e9, -1e9, -1e9] };
      boxes.set(id, box);
    }
    for (const half of [-0.5, 0.5]) {
      const point = toWorld(grid, at.map((n) => n + half) as [number, number, number]);
      for (const k of [0, 1, 2] as const) {
        box.low[k] = Math.min(box.low[k], point[k]);
        box.high[k] = Math.max(box.high[k], point[k]);
      }
    }
  });
  return boxes;
}
