import { type Device, gradients, ops, type Tensor } from 'renvox';
import t from 'tap';
import { agrees, generator, onEveryDevice } from '../ops/harness.js';

// A small graph with every habit of a tape: a tensor used three times, a chain, a view, a parameter that nothing uses.
//   h = leakyRelu(a + b); loss = sum over k of v[k] * (h + h + a)[k]
const slope = 0.1;
const n = 12;

function loss(a: ArrayLike<number>, b: ArrayLike<number>, v: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const s = (a[i] as number) + (b[i] as number);
    const h = s > 0 ? s : slope * s;
    sum += (v[i] as number) * (h + h + (a[i] as number));
  }
  return sum;
}

/** Central differences in double: exact up to rounding, since the loss is piecewise linear. */
function numeric(f: (x: Float64Array) => number, at: ArrayLike<number>): number[] {
  const x = Float64Array.from(at);
  return Array.from(x, (value, i) => {
    const h = 1e-6;
    x[i] = value + h;
    const up = f(x);
    x[i] = value - h;
    const down = f(x);
    x[i] = value;
    return (up - down) / (2 * h);
  });
}

function values(seed: number): Float32Array {
  const next = generator(seed);
  return Float32Array.from({ length: n }, () => next() * 2 - 1);
}

function graph(a: Tensor, b: Tensor): Tensor {
  const h = ops.leakyRelu(ops.add(a, b), slope);
  const twice = ops.add(h, h);
  return ops.reshape(ops.add(twice, ops.reshape(a, twice.shape)), [n]);
}

onEveryDevice(t, 'gradients of a small graph against differences', async (t, device) => {
  const [a, b, v] = [values(1), values(2), values(3)];
  const shape = [3, 4];
  const [ta, tb, unused] = [
    device.tensor(a, { shape }),
    device.tensor(b, { shape }),
    device.full([5]),
  ];
  const { value, gradients: made } = gradients(
    () => graph(ta, tb),
    [ta, tb, unused],
    device.tensor(v),
  );
  t.equal(made.length, 3);
  const [da, db, du] = made as [Tensor, Tensor, Tensor];
  t.strictSame(da.shape, shape);
  agrees(
    t,
    await da.data(),
    numeric((x) => loss(x, b, v), a),
    1e-6,
    'a',
  );
  agrees(
    t,
    await db.data(),
    numeric((x) => loss(a, x, v), b),
    1e-6,
    'b',
  );
  t.strictSame(await du.data(), new Float32Array(5), 'a parameter that nothing uses');
  const y = [...(await value.data())];
  const sum = y.reduce((s, x, i) => s + x * (v[i] as number), 0);
  t.ok(Math.abs(sum - loss(a, b, v)) < 1e-5, 'the value itself');
});

onEveryDevice(t, 'a scalar loss starts from one', async (t, device) => {
  const p = device.tensor([3]);
  const { value, gradients: made } = gradients(() => ops.add(ops.add(p, p), p), [p]);
  t.equal(await value.item(), 9);
  t.equal(await (made[0] as Tensor).item(), 3);
});

onEveryDevice(t, 'gradients that are equal are still tensors of their own', async (t, device) => {
  const [a, b] = [device.tensor([1, 2]), device.tensor([3, 4])];
  const outer = device.tensor([5, 6]);
  const { gradients: made } = gradients(() => ops.add(a, b), [a, b, a], outer);
  t.equal(new Set(made).size, 3);
  const [first, second, third] = made as [Tensor, Tensor, Tensor];
  first.dispose();
  t.strictSame(await second.data(), Float32Array.of(5, 6));
  ops.sgd([second], [outer], [device.full([2])], { lr: 1 });
  t.strictSame(
    await third.data(),
    Float32Array.of(5, 6),
    'a change of one is no change of another',
  );
  t.strictSame(await outer.data(), Float32Array.of(5, 6), 'nor of the caller’s');
  const own = gradients(() => a, [a], outer).gradients[0] as Tensor;
  t.strictSame(await own.data(), Float32Array.of(5, 6), 'a loss that is the parameter');
});

onEveryDevice(t, 'everything but the results is freed', async (t, device) => {
  const [a, b] = [device.tensor(values(1)), device.tensor(values(2))];
  const seed = device.full([n], 1);
  await device.drain();
  const before = device.memory.live;
  const inner: Tensor[] = [];
  const run = () =>
    gradients(
      () => {
        const h = ops.add(a, b);
        inner.push(h, device.full([100]));
        return { loss: graph(h, b), kept: { logits: [ops.leakyRelu(h)] } };
      },
      [a, b],
      seed,
    );
  for (let i = 0; i < 200; i++) {
    const { value, gradients: made } = run();
    t.equal(value.kept.logits[0]?.disposed, false);
    if (i === 0) await value.kept.logits[0]?.data();
    for (const x of [value.loss, ...value.kept.logits, ...made]) x.dispose();
  }
  await device.drain();
  t.ok(
    inner.every((x) => x.disposed),
    'also what no gradient passed through',
  );
  t.equal(device.memory.live, before);
});

onEveryDevice(t, 'errors of the body free as well', async (t, device) => {
  const a = device.tensor([1, 2]);
  await device.drain();
  const before = device.memory.live;
  const made: Tensor[] = [];
  const body = () => {
    made.push(ops.add(a, a));
    return made.at(-1) as Tensor;
  };
  t.throws(
    () =>
      gradients(() => {
        body();
        throw new Error('body');
      }, [a]),
    { message: 'body' },
  );
  t.throws(() => gradients(body, [a]), { code: 'InvalidArgument', message: /one element/ });
  t.throws(() => gradients(body, [a], device.full([3])), { message: /shape \[2\]/ });
  t.throws(() => gradients(() => device.full([1]), [a]), { message: /does not depend on any/ });
  t.throws(() => gradients((async () => body()) as unknown as () => Tensor, [a]), {
    message: /^Expected a synchronous function/,
  });
  t.ok(made.every((x) => x.disposed));
  await device.drain();
  t.ok(device.memory.live <= before + 256, 'but for the tensor of three');
});

onEveryDevice(
  t,
  'an error of the forward pass reaches the gradients',
  async (t, device: Device) => {
    const p = device.tensor([1]);
    const { gradients: made } = gradients(() => {
      const lost = device.under({ signal: AbortSignal.abort('stop') }, () => ops.leakyRelu(p));
      return ops.leakyRelu(ops.add(lost, p));
    }, [p]);
    await t.rejects((made[0] as Tensor).data(), { code: 'AbortError', cause: 'stop' });
    t.strictSame(await p.data(), Float32Array.of(1));
  },
);
