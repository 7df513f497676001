/** Child of a network's bench: ours, from a weights file; each run is one forward pass. */
import { readFileSync } from 'node:fs';
import { device, scope, type Tensor, threads } from 'renvox';
import { loadNetwork } from 'renvox/nn';
import { serve } from '../serve.js';

/** What the child is told, as JSON. */
export interface Task {
  readonly weights: string;
  /** f32 [N, D, H, W, C] and its shape. */
  readonly input: string;
  readonly shape: readonly number[];
  readonly threads: number;
  /** `infer` is the plan for inference, `forward` the eager form. */
  readonly form: 'infer' | 'forward';
}

const task = JSON.parse(process.argv[2] as string) as Task;
threads(task.threads);
const cpu = device('cpu');
const { network } = await loadNetwork(task.weights, { device: cpu });
const { buffer } = new Uint8Array(readFileSync(task.input));
const x = cpu.tensor(new Float32Array(buffer), { shape: task.shape });

await serve<Tensor>({
  async run() {
    const y = task.form === 'infer' ? network.infer(x) : scope(() => network.forward(x));
    await cpu.drain();
    return y;
  },
  free: (y) => y.dispose(),
  values: (y) => y.data(),
  facts: () => ({ device_peak_mb: cpu.memory.peak / 2 ** 20 }),
});
