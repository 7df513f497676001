/** Child of ladder.bench.ts: the library's own convolution on the ladder's problem. */
import { device, ops, type Tensor, threads } from 'renvox';
import { serve } from '../serve.js';

/** What the child is told, as JSON. */
export interface Task {
  /** [D, H, W, Cin, Cout]. */
  readonly problem: readonly number[];
  readonly algorithm: 'direct' | 'winograd';
  readonly threads: number;
}

const task = JSON.parse(process.argv[2] as string) as Task;
const [D, H, W, Cin, Cout] = task.problem as [number, number, number, number, number];
threads(task.threads);
const cpu = device('cpu');
const x = ops.randomNormal(cpu, { shape: [1, D, H, W, Cin], seed: 1 });
const weight = ops.randomNormal(cpu, { shape: [Cout, Cin, 3, 3, 3], seed: 2 });

await serve<Tensor>({
  async run() {
    const y = ops.conv3d(x, weight, { padding: 1, algorithm: task.algorithm });
    await cpu.drain();
    return y;
  },
  free: (y) => y.dispose(),
});
