/** Child of metrics.bench.ts: one case in a process of its own, from arrays in memory to a tensor, an array or figures; JSON on stdout. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { device, ops, Tensor, threads } from 'renvox';
import { measure, type RegionMeasures } from 'renvox/metrics';
import type { Answer, Figures, Task } from './task.js';

const task = JSON.parse(process.argv[2] as string) as Task;
const { shape, spacing, folder } = task;
threads(task.threads);
const cpu = device('cpu');

const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));

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

/** What is timed: it returns a tensor, figures, or nothing. */
function work(): () => Promise<unknown> {
  if (task.work === 'copy') {
    const x = cpu.full([1 << 25], 1);
    return async () => {
      ops.scaleBy(x, 1).dispose();
      await cpu.drain();
    };
  }
  const truth = read('truth.u8');
  if (task.work === 'metrics') {
    const prediction = read('prediction.u8');
    return () => allMetrics(truth, prediction);
  }
  return async () => {
    using x = cpu.tensor(truth, { shape, borrow: true });
    const made = operate(x);
    if (task.bring) await made.data();
    else await cpu.drain();
    return made;
  };
}

function operate(x: Tensor): Tensor {
  if (task.work === 'distance')
    return ops.distanceTransform(x, { spacing, to: task.to ?? 'background', dtype: 'f64' });
  const { components, count } = ops.connectedComponents(x, {
    connectivity: task.connectivity ?? 26,
  });
  count.dispose();
  return components;
}

/** VmHWM, which begins anew with a program, other than what getrusage says of a child. */
function residentMb(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024;
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1]) / 1024;
}

const run = work();
const seconds: number[] = [];
const processor: number[] = [];
let result: unknown;
// The first run touches fresh memory.
for (let i = 0; i <= task.samples; i++) {
  if (result instanceof Tensor) result.dispose();
  // Arrays that came to JS wait for the collector.
  globalThis.gc?.();
  const before = process.cpuUsage();
  const begin = performance.now();
  result = await run();
  const passed = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (i === 0) continue;
  seconds.push(passed);
  processor.push((user + system) / 1e6);
}
const answer: Answer = { seconds, cpu: processor, rss_mb: residentMb() };
if (task.work === 'metrics') answer.figures = result as Figures;
if (result instanceof Tensor && task.check)
  writeFileSync(join(folder, 'result'), await result.data());
console.log(JSON.stringify(answer));
