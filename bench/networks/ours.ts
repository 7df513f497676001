/** Child of a network's bench: ours, from a weights file; each run is one forward pass. */
import { readFileSync } from 'node:fs';
import { device, scope, type Tensor, threads } from 'renvox';
import { loadNetwork } from 'renvox/nn';
import { listen } from '#lib/gradient.js';
import { serve } from '../serve.js';

/** What the child is told, as JSON. */
export interface Task {
  readonly weights: string;
  /** f32 [N, D, H, W, C] and its shape. */
  readonly input: string;
  readonly shape: readonly number[];
  readonly threads: number;
  /** `infer` is the plan for inference, `recorded` what a training step's forward pass runs: a tape listens, so that nothing is freed before its end. */
  readonly form: 'infer' | 'recorded';
}

const task = JSON.parse(process.argv[2] as string) as Task;
threads(task.threads);
const cpu = device('cpu');
const { network } = await loadNetwork(task.weights, { device: cpu });
const { buffer } = new Uint8Array(readFileSync(task.input));
const x = cpu.tensor(new Float32Array(buffer), { shape: task.shape });

/** As a tape hears it. */
function recorded(): Tensor {
  const before = listen({ record() {} });
  try {
    return network.forward(x, { training: true });
  } finally {
    listen(before);
  }
}

await serve<Tensor>({
  run: () =>
    // The scope ends when the logits are there: until then what is recorded is held.
    scope(async () => {
      const y = task.form === 'infer' ? network.infer(x) : recorded();
      await cpu.drain();
      return y;
    }),
  free: (y) => y.dispose(),
  values: (y) => y.data(),
  facts: () => ({ device_peak_mb: cpu.memory.peak / 2 ** 20 }),
});
