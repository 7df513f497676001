// A CT to a network's grid and logits back to the CT's grid, at the sizes of a whole abdomen. Bytes are those that must move at least:
// the input once (only for the box prefilter: plain trilinear skips voxels) and the output once.
import { device, ops, type Tensor, threads } from 'renvox';
import type { Row } from './row.js';

const ct = [300, 512, 512] as const;
const grid = [128, 128, 128] as const;

/** Medians of the time that passed and of the processor time of all threads, ms. */
async function medians(run: () => Tensor, repeats = 5): Promise<{ ms: number; cpu_ms: number }> {
  const passed: number[] = [];
  const worked: number[] = [];
  for (let i = 0; i <= repeats; i++) {
    const begin = performance.now();
    const before = process.cpuUsage();
    const y = run();
    await y.device.drain();
    const { user, system } = process.cpuUsage(before);
    passed.push(performance.now() - begin);
    worked.push((user + system) / 1000);
    y.dispose();
  }
  // The first run touches fresh memory.
  const median = (times: number[]): number =>
    times.slice(1).sort((a, b) => a - b)[repeats >> 1] as number;
  return { ms: median(passed), cpu_ms: median(worked) };
}

/** Logits of two ellipsoids that fill about two percent of the grid, as kidneys do. */
function kidneyLogits(): Float32Array {
  const [d, h, w] = grid;
  const logits = new Float32Array(d * h * w * 2);
  let at = 1;
  for (let i = 0; i < d; i++)
    for (let j = 0; j < h; j++)
      for (let k = 0; k < w; k++, at += 2) {
        const side = k < w / 2 ? 36 : 92;
        logits[at] = 1 - Math.hypot((i - 64) / 24, (j - 78) / 14, (k - side) / 14);
      }
  return logits;
}

export async function* bench(): AsyncGenerator<Row> {
  using cpu = device('cpu');
  const voxels = ct[0] * ct[1] * ct[2];
  const stored = new Int16Array(voxels);
  for (let i = 0; i < voxels; i++) stored[i] = (Math.imul(i, 2654435761) >>> 21) - 1024;
  using x = cpu.tensor(stored, { shape: [1, ...ct, 1], borrow: true });
  const window = { level: 30, width: 300 };
  const tilt = ops.augmentationAffine({ size: grid, rotation: [10, 0, 0] });
  const straight = ops.coveringAffine(ct, grid);
  const row = async (name: string, bytes: number, run: () => Tensor): Promise<Row> => {
    const { ms, cpu_ms } = await medians(run);
    return { name, threads: threads(), ms, cpu_ms, GB_per_s: bytes / ms / 1e6 };
  };
  const small = grid[0] * grid[1] * grid[2] * 4;
  const down = (options: Partial<ops.ResampleOptions>) => () =>
    ops.resample(x, { size: grid, window, affine: straight, ...options });
  const name = 'resample/512x512x300 i16 -> 128^3';
  yield await row(`${name} trilinear`, voxels * 2 + small, down({}));
  yield await row(`${name} box`, voxels * 2 + small, down({ prefilter: 'box' }));
  const turned = ops.composeAffine(straight, tilt);
  yield await row(`${name} rotated`, voxels * 2 + small, down({ affine: turned }));

  using logits = cpu.tensor(kidneyLogits(), { shape: [1, ...grid, 2] });
  const back = ops.coveringAffine(grid, ct);
  const up = (affine: ops.Affine) => () => ops.resampleArgmax(logits, { size: ct, affine });
  const least = small * 2 + voxels;
  yield await row('resampleArgmax/128^3x2 -> 512x512x300', least, up(back));
  const inverse = ops.invertAffine(turned);
  yield await row('resampleArgmax/128^3x2 -> 512x512x300 rotated', least, up(inverse));
  using patch = cpu.full([1, ...grid, 1], 1);
  yield await row('gaussianBlur/128^3 sigma 1', 2 * small, () =>
    ops.gaussianBlur(patch, [1, 1, 1]),
  );
  yield await row('randomNormal/128^3', small, () =>
    ops.randomNormal(cpu, { shape: [1, ...grid, 1], seed: 1 }),
  );
}
