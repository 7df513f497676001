// Operations on label maps at the size of an abdomen: two kidneys with a mass on each, and noise as the worst case for components.
// Figures are medians of the time that passed and of the processor time of all threads.
import { device, ops, type Tensor, threads } from 'renvox';
import type { Row } from './row.js';

const shape = [100, 512, 512] as const;
const spacing = [3, 0.75, 0.75] as const;

/** Two kidneys (1) with a mass (2) each: ellipsoids; `shift` voxels further along each axis. */
function kidneys(shift: number): Uint8Array {
  const map = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const paint = (label: number, centre: readonly number[], radius: readonly number[]) => {
    const [cd, ch, cw] = centre.map((c) => c + shift) as [number, number, number];
    const [rd, rh, rw] = radius as [number, number, number];
    for (let d = Math.max(0, cd - rd); d <= Math.min(shape[0] - 1, cd + rd); d++)
      for (let h = ch - rh; h <= ch + rh; h++)
        for (let w = cw - rw; w <= cw + rw; w++)
          if (((d - cd) / rd) ** 2 + ((h - ch) / rh) ** 2 + ((w - cw) / rw) ** 2 <= 1)
            map[(d * shape[1] + h) * shape[2] + w] = label;
  };
  for (const w of [150, 350]) {
    paint(1, [50, 260, w], [18, 36, 36]);
    paint(2, [60, 285, w + 15], [8, 30, 30]);
  }
  return map;
}

function noise(size: number, density: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296 < density ? 1 : 0;
  });
}

async function measure(
  name: string,
  voxels: number,
  run: () => readonly (Tensor | null)[],
  repeats = 7,
): Promise<Row> {
  const passed: number[] = [];
  const worked: number[] = [];
  // The first run touches fresh memory.
  for (let i = 0; i <= repeats; i++) {
    const begin = performance.now();
    const before = process.cpuUsage();
    const made = run();
    await made[0]?.device.drain();
    const { user, system } = process.cpuUsage(before);
    if (i > 0) passed.push(performance.now() - begin);
    if (i > 0) worked.push((user + system) / 1000);
    for (const tensor of made) tensor?.dispose();
  }
  const median = (times: number[]) => times.sort((a, b) => a - b)[repeats >> 1] as number;
  const cpu = median(worked);
  return {
    name: `labels/${name}`,
    threads: threads(),
    ms: median(passed),
    cpu_ms: cpu,
    cpu_ns_per_voxel: (cpu * 1e6) / voxels,
  };
}

export async function* bench(): AsyncGenerator<Row> {
  using cpu = device('cpu');
  const truth = cpu.tensor(kidneys(0), { shape });
  const prediction = cpu.tensor(kidneys(1), { shape });
  const voxels = truth.size;
  const cube = [128, 128, 128] as const;
  const random = cpu.tensor(noise(128 ** 3, 0.4), { shape: cube });
  const components = (x: Tensor, connectivity: 6 | 26) => {
    const { components, count } = ops.connectedComponents(x, { connectivity });
    return [components, count];
  };
  yield await measure('components 26', voxels, () => components(truth, 26));
  yield await measure('components 6, 40 % noise', random.size, () => components(random, 6));
  yield await measure('components 26, 40 % noise', random.size, () => components(random, 26));
  yield await measure('overlapCounts', voxels, () => {
    const { counts, outside } = ops.overlapCounts(truth, prediction, { labels: 256 });
    return [counts, outside];
  });
  for (const to of ['background', 'foreground'] as const)
    yield await measure(`distance to ${to}`, voxels, () => [
      ops.distanceTransform(truth, { spacing, to }),
    ]);
  for (const surface of ['voxels', 'elements'] as const)
    yield await measure(`surfaceDistances, ${surface}`, voxels, () => [
      ops.surfaceDistances(truth, prediction, { spacing, surface }).summary,
    ]);
  yield await measure('measureLabels', voxels, () => [
    ops.measureLabels(truth, { spacing, labels: 2 }),
  ]);
}
