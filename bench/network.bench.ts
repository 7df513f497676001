/**
 * The operations of a network that memory bounds, on one thread, against what a copy moves, or reading gives, in the same rounds: bytes that must move at least. They
 * are the passes that are left where nothing fuses: training, and what the plan for inference cannot fold.
 */
import { device, ops, type Tensor, threads } from 'renvox';
import { type Call, measureHere } from './in-process.js';
import type { BenchOptions, Row } from './row.js';

/** Why these shapes. */
const finest = 'the finest level of the U-Net on 128^3, where activations are largest';
/** What writes little of what it reads. */
const READ = /^(maxPool3d|argmax|crossEntropy|softDice|clipGradients) (?!gradient)/;
const parameters = 'about as many parameters as the U-Net has';

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const before = threads();
  threads(1);
  try {
    yield* operations(options);
  } finally {
    threads(before);
  }
}

async function* operations(options: BenchOptions): AsyncGenerator<Row> {
  using cpu = device('cpu');
  const measure = (name: string, bytes: number, call: Call, why = finest): Promise<Row> => {
    const memory = READ.test(name) ? 'read' : 'copy';
    return measureHere(cpu, { name: `network/${name}`, why, bytes, memory, call }, options);
  };
  const shape = [1, 128, 128, 128, 16] as const;
  const size = 4 * 16 * 128 ** 3;
  {
    using x = cpu.full(shape, 0.5);
    using dy = cpu.full(shape, 0.25);
    using gamma = cpu.full([16], 1);
    using beta = cpu.full([16]);
    const slope = 0.01;
    yield await measure(
      'scaleBy 128^3x16',
      2 * size,
      () => [ops.scaleBy(x, 1)],
      'an operation that only copies: what all others are to be seen against',
    );
    yield await measure('instanceNorm 128^3x16', 3 * size, () => [
      ops.instanceNorm(x, gamma, beta, { slope }),
    ]);
    const [y, statistics] = cpu.run('instanceNorm', { x, gamma, beta, slope }) as [Tensor, Tensor];
    yield await measure('instanceNorm gradient 128^3x16', 5 * size, () =>
      cpu.run('instanceNormGrad', { x, dy, gamma, beta, statistics, slope }),
    );
    y.dispose();
    const pool = { kernel: 2, stride: 2, padding: 0 };
    const least = size + size / 8 + size / 32;
    const pooled = () => cpu.run('maxPool3d', { x, ...pool, wantIndices: true });
    yield await measure('maxPool3d 128^3x16', least, pooled);
    const [small, indices] = pooled() as [Tensor, Tensor];
    yield await measure('maxPool3d gradient 128^3x16', least, () =>
      cpu.run('maxPool3dGrad', { dy: small, indices, size: shape.slice(1, 4), ...pool }),
    );
    small.dispose();
    yield await measure('concatChannels 128^3x16+16', 4 * size, () => [
      ops.concatChannels([x, dy]),
    ]);
  }

  const voxels = 128 ** 3;
  const labels = Uint8Array.from(
    { length: voxels },
    (_, i) => (Math.imul(i, 2654435761) >>> 30) % 3,
  );
  using target = cpu.tensor(labels, { shape: [1, 128, 128, 128] });
  using logits = ops.randomNormal(cpu, { shape: [1, 128, 128, 128, 3], seed: 1 });
  using dloss = cpu.full([1], 1);
  const read = voxels * (3 * 4 + 1);
  const written = voxels * 3 * 4;
  yield await measure('softmax 128^3x3', 2 * written, () => [ops.softmax(logits)]);
  yield await measure('argmax 128^3x3', read, () => [ops.argmax(logits)]);
  for (const [name, saved] of [
    ['crossEntropy', 'weight'],
    ['softDice', 'sums'],
  ] as const) {
    yield await measure(`${name} 128^3x3`, read, () => cpu.run(name, { logits, target }));
    const [loss, sums] = cpu.run(name, { logits, target }) as [Tensor, Tensor];
    yield await measure(`${name} gradient 128^3x3`, read + written, () =>
      cpu.run(`${name}Grad`, { logits, target, dloss, [saved]: sums }),
    );
    loss.dispose();
  }

  const count = 4e6;
  const lists = [1, 0.1, 0, 0].map((value) => [cpu.full([count], value)] as const);
  const [p, g, m, v] = lists as unknown as [[Tensor], [Tensor], [Tensor], [Tensor]];
  yield await measure(
    'adam 4e6',
    28 * count,
    () => {
      ops.adam(p, g, m, v, { lr: 1e-3, step: 3 });
      return [];
    },
    parameters,
  );
  yield await measure(
    'sgd 4e6',
    20 * count,
    () => {
      ops.sgd(p, g, m, { lr: 1e-3, momentum: 0.99, nesterov: true });
      return [];
    },
    parameters,
  );
  yield await measure(
    'clipGradients 4e6',
    4 * count,
    () => [ops.clipGradients(g, 1e9)],
    parameters,
  );
  for (const [tensor] of lists) tensor.dispose();
}
