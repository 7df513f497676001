/** Child of the benches of volumes: one case in a process of its own, from arrays in memory to a tensor, an array or figures. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { device, ops, type Tensor, threads } from 'renvox';
import { measure, type RegionMeasures } from 'renvox/metrics';
import { serve } from '../serve.js';
import type { Figures, Task } from './task.js';

const task = JSON.parse(process.argv[2] as string) as Task;
const { shape, spacing = [1, 1, 1] } = task;
threads(task.threads);
const cpu = device('cpu');

/** A copy, since a file's bytes need not be aligned. */
const read = (name: string) => new Uint8Array(readFileSync(join(task.folder, name)));

async function allMetrics(truth: Uint8Array, prediction: Uint8Array): Promise<Figures> {
  const named = task.regions ?? [];
  const { regions } = await measure(truth, prediction, {
    ...{ shape, spacing, device: cpu },
    regions: Object.fromEntries(named.map(({ name, labels }) => [name, labels])),
    tolerances: named.map(({ toleranceMm }) => toleranceMm),
  });
  const entries = named.map(({ name }, i) => {
    const { dice, iou, precision, recall, hausdorff, percentiles, assd, surfaceDice } = regions[
      name
    ] as RegionMeasures;
    return [
      name,
      {
        ...{ dice, iou, precision, recall, hausdorff, assd },
        hd95: percentiles[0] as number,
        surfaceDice: surfaceDice[i] as number,
      },
    ] as const;
  });
  return Object.fromEntries(entries);
}

/** The volume as it lies in memory, and what makes a tensor of its tensor. */
function operation(): {
  data: Uint8Array | Int16Array | Float32Array;
  axes: readonly number[];
  apply(x: Tensor): Tensor;
} {
  const { size = shape } = task;
  if (task.work === 'window')
    return {
      data: new Int16Array(read('ct.i16').buffer),
      axes: shape,
      apply: (x) => ops.hounsfieldWindow(x, task.window ?? { level: 30, width: 300 }),
    };
  if (task.work === 'resample') {
    const options = {
      size,
      window: task.window ?? { level: 30, width: 300 },
      outside: 'border',
    } as const;
    return {
      data: new Int16Array(read('ct.i16').buffer),
      axes: [1, ...shape, 1],
      apply: (x) => ops.resample(x, options),
    };
  }
  if (task.work === 'resampleArgmax')
    return {
      data: new Float32Array(read('logits.f32').buffer),
      axes: [1, ...shape, task.classes ?? 2],
      apply: (x) => ops.resampleArgmax(x, { size }),
    };
  const data = read('truth.u8');
  if (task.work === 'distance') {
    const { to = 'background', dtype = 'f64' } = task;
    return { data, axes: shape, apply: (x) => ops.distanceTransform(x, { spacing, to, dtype }) };
  }
  return {
    data,
    axes: shape,
    apply(x) {
      const { connectivity = 26 } = task;
      const { components, count } = ops.connectedComponents(x, { connectivity });
      count.dispose();
      return components;
    },
  };
}

/** The figures of two maps as one tensor: what overlap and surface compute. */
function ofBoth(a: Tensor, b: Tensor): Tensor {
  if (task.work === 'surface')
    return ops.surfaceDistances(a, b, { spacing, percentiles: [95] }).summary;
  const { counts, outside } = ops.overlapCounts(a, b, { labels: task.labels ?? 256 });
  outside.dispose();
  return counts;
}

if (task.work === 'overlap' || task.work === 'surface') {
  const [truth, prediction] = [read('truth.u8'), read('prediction.u8')];
  await serve<{ values: Float64Array }>({
    async run() {
      using a = cpu.tensor(truth, { shape, borrow: true });
      using b = cpu.tensor(prediction, { shape, borrow: true });
      using figures = ofBoth(a, b);
      return { values: (await figures.data()) as Float64Array };
    },
    values: ({ values }) => values,
  });
} else if (task.work === 'metrics') {
  const [truth, prediction] = [read('truth.u8'), read('prediction.u8')];
  await serve<Figures>({
    run: () => allMetrics(truth, prediction),
    values: (figures) => new TextEncoder().encode(JSON.stringify(figures)),
  });
} else {
  const { data, axes, apply } = operation();
  await serve<{ tensor: Tensor }>({
    async run() {
      using x = cpu.tensor(data, { shape: axes, borrow: true });
      const tensor = apply(x);
      if (task.bring) await tensor.data();
      else await cpu.drain();
      return { tensor };
    },
    free: ({ tensor }) => tensor.dispose(),
    values: ({ tensor }) => tensor.data(),
  });
}
