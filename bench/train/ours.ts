/** Child of train-step.bench.ts: ours, from a weights file; each run is one training step of a U-Net. */
import { readFileSync } from 'node:fs';
import { device, gradients, ops, scope, type Tensor, threads } from 'renvox';
import { loadNetwork } from 'renvox/nn';
import { serve } from '../serve.js';

/** What the child and PyTorch's (bench/peers/pytorch_train.py) are told, as JSON. */
export interface Task {
  readonly weights: string;
  /** f32 [N, D, H, W, 1] and u8 [N, D, H, W]. */
  readonly input: string;
  readonly target: string;
  /** [N, D, H, W]. */
  readonly shape: readonly number[];
  readonly threads: number;
  /** Of Adam: so small that every step sees the same weights, so that steps can be compared. */
  readonly learningRate: number;
  readonly clip: number;
}

const task = JSON.parse(process.argv[2] as string) as Task;
threads(task.threads);
const cpu = device('cpu');
const { network } = await loadNetwork(task.weights, { device: cpu });
const bytes = (path: string) => new Uint8Array(readFileSync(path));
const x = cpu.tensor(new Float32Array(bytes(task.input).buffer), { shape: [...task.shape, 1] });
const target = cpu.tensor(bytes(task.target), { shape: task.shape });
const parameters = [...network.parameters.values()];
const [first, second] = [0, 1].map(() => parameters.map((p) => cpu.full(p.shape))) as [
  Tensor[],
  Tensor[],
];
let step = 0;

/** Loss and norm of the whole gradient. */
await serve<readonly [Tensor, Tensor]>({
  async run() {
    const made = scope((): readonly [Tensor, Tensor] => {
      const result = gradients(() => {
        const logits = network.forward(x, { training: true });
        return ops.add(ops.crossEntropy(logits, target), ops.softDice(logits, target));
      }, parameters);
      const norm = ops.clipGradients(result.gradients, task.clip);
      ops.adam(parameters, result.gradients, first, second, {
        lr: task.learningRate,
        step: ++step,
      });
      return [result.value, norm];
    });
    await cpu.drain();
    return made;
  },
  free: (made) => {
    for (const tensor of made) tensor.dispose();
  },
  values: async ([loss, norm]) =>
    Float32Array.of(
      ...((await loss.data()) as Float32Array),
      ...((await norm.data()) as Float32Array),
    ),
  facts: () => ({ device_peak_mb: cpu.memory.peak / 2 ** 20 }),
});
