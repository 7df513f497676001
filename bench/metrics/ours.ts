/** Child of metrics.bench.ts: one case in a process of its own, from arrays in memory to arrays or figures in memory; JSON on stdout. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { device, ops, type Tensor, threads } from 'renvox';
import { measure, type RegionMeasures } from 'renvox/metrics';
import type { Answer, Figures, Task } from './task.js';

const task = JSON.parse(process.argv[2] as string) as Task;
const { shape, spacing, folder } = task;
threads(task.threads);
const cpu = device('cpu');

const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));

/** Runs `body` on a tensor over `data` and brings what it made to JS. */
async function throughDevice(
  data: Uint8Array,
  body: (x: Tensor) => readonly Tensor[],
): Promise<ArrayBufferView> {
  using x = cpu.tensor(data, { shape, borrow: true });
  const made = body(x);
  const result = await (made[0] as Tensor).data();
  for (const tensor of made) tensor.dispose();
  return result;
}

async function allMetrics(truth: Uint8Array, prediction: Uint8Array): Promise<Figures> {
  const { regions } = await measure(truth, prediction, {
    ...{ shape, spacing, device: cpu },
    regions: Object.fromEntries(task.regions.map(({ name, labels }) => [name, labels])),
    tolerances: task.regions.map(({ toleranceMm }) => toleranceMm),
  });
  const entries = task.regions.map(({ name }, i) => {
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

function work(): () => Promise<unknown> {
  if (task.work === 'copy') {
    const x = cpu.full([1 << 25], 1);
    return async () => {
      ops.scaleBy(x, 1).dispose();
      await cpu.drain();
    };
  }
  const truth = read('truth.u8');
  if (task.work === 'components')
    return () =>
      throughDevice(truth, (x) => {
        const { components, count } = ops.connectedComponents(x, {
          connectivity: task.connectivity ?? 26,
        });
        return [components, count];
      });
  if (task.work === 'distance')
    return () =>
      throughDevice(truth, (x) => [
        ops.distanceTransform(x, { spacing, to: task.to ?? 'background', dtype: 'f64' }),
      ]);
  const prediction = read('prediction.u8');
  return () => allMetrics(truth, prediction);
}

/** VmHWM, which begins anew with a program, other than what getrusage says of a child. */
function residentMb(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024;
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1]) / 1024;
}

const run = work();
const seconds: number[] = [];
let result: unknown;
// The first run touches fresh memory.
for (let i = 0; i <= task.samples; i++) {
  // Buffers that came to JS wait for the collector, which does not know how large they are.
  result = undefined;
  globalThis.gc?.();
  const begin = performance.now();
  result = await run();
  if (i > 0) seconds.push((performance.now() - begin) / 1000);
}
const answer: Answer = { seconds, rss_mb: residentMb() };
if (task.work === 'metrics') answer.figures = result as Figures;
else if (task.check) writeFileSync(join(folder, 'result'), result as NodeJS.ArrayBufferView);
console.log(JSON.stringify(answer));
