// softmax, argmax and the losses against PyTorch, naive double references and themselves.
import { type Device, gradients, ops, type Tensor, type TensorData, threads } from 'renvox';
import t from 'tap';
import {
  agrees,
  channelsFirst,
  channelsLast,
  generator,
  onEveryDevice,
  onEveryDeviceAndSet,
  product,
  ReferenceCount,
  randomArray,
  sameBits,
  torchTensors,
} from './harness.js';

const references = new ReferenceCount(t);
const torch = torchTensors('ops');

function stored(name: string) {
  const reference = torch.get(name);
  if (!reference) throw new Error(`No tensor ${name} in the fixtures`);
  return reference;
}

interface Loss {
  loss: number;
  dlogits: Float64Array;
}
type DiceOptions = ops.SoftDiceOptions & ops.CrossEntropyOptions;

/** Probabilities in double by the definition. */
function naiveSoftmax(x: Float32Array, classes: number): Float64Array {
  const p = new Float64Array(x.length);
  for (let v = 0; v < x.length; v += classes) {
    const one = Array.from(x.subarray(v, v + classes));
    const most = Math.max(...one);
    const total = one.reduce((sum, value) => sum + Math.exp(value - most), 0);
    for (const [c, value] of one.entries()) p[v + c] = Math.exp(value - most) / total;
  }
  return p;
}

function naiveCrossEntropy(
  x: Float32Array,
  target: ArrayLike<number>,
  classes: number,
  { classWeights, ignoreIndex, focus = 0 }: DiceOptions,
): Loss {
  const p = naiveSoftmax(x, classes);
  const weight = (v: number) =>
    target[v] === ignoreIndex ? 0 : (classWeights?.[target[v] as number] ?? 1);
  let loss = 0;
  let total = 0;
  for (let v = 0; v < target.length; v++) {
    if (target[v] === ignoreIndex) continue;
    const hit = p[v * classes + (target[v] as number)] as number;
    loss -= weight(v) * (1 - hit) ** focus * Math.log(hit);
    total += weight(v);
  }
  // d/dp of -(1 - p)^f log p, times dp/dx = p (t - q).
  const rate = (hit: number) =>
    focus === 0 ? 1 : (1 - hit) ** focus - focus * (1 - hit) ** (focus - 1) * hit * Math.log(hit);
  const dlogits = p.map((q, i) => {
    const v = Math.floor(i / classes);
    if (total === 0 || target[v] === ignoreIndex) return 0;
    const own = rate(p[v * classes + (target[v] as number)] as number);
    return (weight(v) * own * (q - (target[v] === i % classes ? 1 : 0))) / total;
  });
  return { loss: total > 0 ? loss / total : 0, dlogits };
}

function naiveDice(
  x: Float32Array,
  target: ArrayLike<number>,
  classes: number,
  samples: number,
  options: DiceOptions,
): Loss {
  const { smooth = 1e-5, includeBackground = false, skipAbsent = false, classWeights } = options;
  const p = naiveSoftmax(x, classes);
  const voxels = target.length / samples;
  const dp = new Float64Array(x.length);
  let dice = 0;
  let total = 0;
  for (const pass of ['weigh', 'derive'])
    for (let n = 0; n < samples; n++)
      for (let c = includeBackground ? 0 : 1; c < classes; c++) {
        let both = 0;
        let sumP = 0;
        let sumT = 0;
        for (let v = n * voxels; v < (n + 1) * voxels; v++) {
          const q = p[v * classes + c] as number;
          sumP += q;
          if (target[v] === c) both += q;
          if (target[v] === c) sumT++;
        }
        if (skipAbsent && sumT === 0) continue;
        const w = classWeights?.[c] ?? 1;
        const above = 2 * both + smooth;
        const below = sumP + sumT + smooth;
        if (pass === 'weigh') {
          dice += (w * above) / below;
          total += w;
        } else
          for (let v = n * voxels; v < (n + 1) * voxels; v++)
            dp[v * classes + c] =
              (-w / total) * ((target[v] === c ? 2 : 0) / below - above / below ** 2);
      }
  const dlogits = p.map((q, i) => {
    const v = Math.floor(i / classes) * classes;
    let mean = 0;
    for (let k = 0; k < classes; k++) mean += (p[v + k] as number) * (dp[v + k] as number);
    return q * ((dp[i] as number) - mean);
  });
  return { loss: total > 0 ? 1 - dice / total : 0, dlogits };
}

function labels(count: number, classes: number, seed: number): Uint8Array {
  const next = generator(seed);
  return Uint8Array.from({ length: count }, () => Math.floor(next() * classes));
}

onEveryDeviceAndSet(t, 'losses of PyTorch', async (t, device) => {
  for (const name of ['cross_entropy', 'soft_dice'] as const) {
    const input = stored(`${name}/input`);
    const x = channelsLast(input.data as Float32Array, input.shape);
    const target = stored(`${name}/target`);
    const weights = torch.get(`${name}/class_weight`);
    const logits = device.tensor(x.data, { shape: x.shape });
    for (const dtype of ['i32', 'u8'] as const) {
      const data = dtype === 'u8' ? Uint8Array.from(target.data) : (target.data as Int32Array);
      const map = device.tensor(data, { shape: target.shape });
      const { value, gradients: made } = gradients(
        () =>
          weights
            ? ops.crossEntropy(logits, map, { classWeights: Array.from(weights.data) })
            : ops.softDice(logits, map),
        [logits],
        device.tensor(stored(`${name}/grad_output`).data as Float32Array),
      );
      const compare = (actual: ArrayLike<number>, what: string) =>
        references.compare(t, actual, stored(`${name}/${what}`).data, 1e-6, `${name} ${what}`);
      compare(await value.data(), 'output');
      const [dlogits] = made as [Tensor];
      compare(channelsFirst(await dlogits.data(), x.shape), 'grad_input');
    }
  }
});

const shapes = [
  [1, 1, 1, 1, 2],
  [2, 3, 5, 7, 3],
  [1, 33, 29, 31, 2],
  [3, 4, 3, 5, 4],
  [2, 6, 5, 7, 1],
  [1, 9, 11, 10, 7],
  [2, 3, 3, 3, 255],
  // Samples that share a group of four voxels, over several blocks; samples of many classes over several chunks.
  [2, 17, 13, 21, 3],
  [1, 9, 7, 9, 9],
  // Samples smaller than such a group; the numbers of classes that have a kernel of their own.
  [5, 1, 1, 1, 4],
  [3, 1, 1, 3, 5],
  [2, 3, 1, 7, 6],
  [1, 2, 5, 3, 8],
];

onEveryDeviceAndSet(t, 'losses of random shapes', async (t, device) => {
  for (const [seed, shape] of shapes.entries()) {
    const classes = shape[4] as number;
    const samples = shape[0] as number;
    const x = randomArray(product(shape), seed).map((v) => 6 * v);
    const target = labels(product(shape) / classes, Math.max(1, classes - 1), seed);
    const classWeights = Array.from(randomArray(classes, seed + 7), (v) => v + 1.5);
    const run = async (device: Device, dice: boolean, options: DiceOptions) => {
      const logits = device.tensor(x, { shape });
      // With and without an axis of one channel.
      const map = device.tensor(target, {
        shape: seed % 2 ? shape.slice(0, 4) : [...shape.slice(0, 4), 1],
      });
      const { value, gradients: made } = gradients(
        () => (dice ? ops.softDice(logits, map, options) : ops.crossEntropy(logits, map, options)),
        [logits],
      );
      return [await value.data(), await (made as [Tensor])[0].data()] as const;
    };
    const cases: [boolean, DiceOptions][] = [
      [false, {}],
      [false, { classWeights, ignoreIndex: 1 }],
      [false, { focus: 2, classWeights, ignoreIndex: 1 }],
      [false, { focus: 1 }],
      [true, {}],
      [true, { includeBackground: true, classWeights, smooth: 1 }],
      [true, { skipAbsent: true }],
    ];
    for (const [dice, options] of cases) {
      const what = `${dice ? 'softDice' : 'crossEntropy'} of [${shape}] ${JSON.stringify(options).slice(0, 60)}`;
      const expected = dice
        ? naiveDice(x, target, classes, samples, options)
        : naiveCrossEntropy(x, target, classes, options);
      const before = threads();
      let first: readonly [TensorData, TensorData] | undefined;
      for (const count of [1, 2, 3]) {
        threads(count);
        const result = await run(device, dice, options);
        if (first) {
          sameBits(t, result[0], first[0], what);
          sameBits(t, result[1], first[1], what);
          continue;
        }
        first = result;
        const error = Math.abs((result[0][0] as number) - expected.loss);
        t.ok(
          error <= 1e-6 * Math.max(1, expected.loss),
          `${what}: ${result[0][0]} ${expected.loss}`,
        );
        agrees(t, result[1], expected.dlogits, 3e-6, `gradient of ${what}`);
      }
      threads(before);
    }
  }
});

onEveryDeviceAndSet(t, 'softmax and argmax', async (t, device) => {
  for (const [seed, shape] of [...shapes, [1000], [5, 3]].entries()) {
    const classes = shape[shape.length - 1] as number;
    const x = randomArray(product(shape), seed).map((v) => Math.round(v * 8) / 2);
    const dy = randomArray(product(shape), seed + 1);
    const p = naiveSoftmax(x, classes);
    const dx = p.map((q, i) => {
      const v = Math.floor(i / classes) * classes;
      let dot = 0;
      for (let k = 0; k < classes; k++) dot += (p[v + k] as number) * (dy[v + k] as number);
      return q * ((dy[i] as number) - dot);
    });
    const input = device.tensor(x, { shape });
    const { value, gradients: made } = gradients(
      () => ops.softmax(input),
      [input],
      device.tensor(dy, { shape }),
    );
    agrees(t, await value.data(), p, 1e-6, `softmax of [${shape}]`);
    agrees(t, await (made as [Tensor])[0].data(), dx, 2e-6, 'its gradient');
    if (classes > 255) continue;
    const first = Uint8Array.from({ length: x.length / classes }, (_, v) => {
      const one = x.subarray(v * classes, (v + 1) * classes);
      return one.indexOf(Math.max(...one));
    });
    const best = ops.argmax(input);
    t.strictSame(best.shape, shape.slice(0, -1));
    sameBits(t, await best.data(), first, `argmax of [${shape}]`);
  }
  const far = ops.softmax(device.tensor([1000, 0, -1000, -1e30], { shape: [1, 4] }));
  t.strictSame(Array.from(await far.data()).slice(0, 1), [1], 'no overflow');
  const p = await ops.softmax(device.tensor([1, Number.NaN], { shape: [1, 2] })).data();
  t.ok(Number.isNaN(p[0]) && Number.isNaN(p[1]), 'NaN stays NaN');
  const { NaN: nan, NEGATIVE_INFINITY: least } = Number;
  for (const classes of [4, 70]) {
    const rows = [
      [nan, 2],
      [1, nan, 3],
      [least, nan],
      [0, 3, 3],
    ].map((row) => Array.from({ length: classes }, (_, c) => row[c] ?? least));
    const best = ops.argmax(device.tensor(rows.flat(), { shape: [4, classes] }));
    t.strictSame(await best.data(), Uint8Array.of(0, 2, 0, 1), `argmax among ${classes}`);
  }
});

onEveryDevice(t, 'losses without any counted voxel are 0', async (t, device) => {
  const logits = device.tensor(randomArray(12, 1), { shape: [1, 4, 3] });
  const target = device.full([1, 4], 0, 'u8');
  for (const body of [
    () => ops.crossEntropy(logits, target, { ignoreIndex: 0 }),
    () => ops.softDice(logits, target, { skipAbsent: true }),
  ]) {
    const { value, gradients: made } = gradients(body, [logits]);
    t.equal(await value.item(), 0);
    t.ok((await (made as [Tensor])[0].data()).every((v) => v === 0));
  }
  const ignored = device.tensor(Int32Array.of(-100, 0, 2, -100), { shape: [1, 4] });
  t.ok(Number.isFinite(await ops.crossEntropy(logits, ignored, { ignoreIndex: -100 }).item()));
});

onEveryDevice(t, 'labels that are no class reject', async (t, device) => {
  for (const [classes, bad] of [
    [3, 3],
    [3, 255],
    [3, -2],
    [1, 1],
    [40, 2 ** 30],
    [40, -(2 ** 31)],
  ] as const) {
    const voxels = 101;
    const logits = device.full([1, voxels, classes]);
    const values = Int32Array.from({ length: voxels }, (_, v) => v % classes);
    values[voxels - 1] = bad;
    const target = device.tensor(bad === 255 ? Uint8Array.from(values) : values, {
      shape: [1, voxels],
    });
    const message = {
      code: 'InvalidArgument',
      message: new RegExp(`labels of 0 to ${classes - 1} for tensor target but received ${bad}$`),
    };
    for (const loss of [
      () => ops.crossEntropy(logits, target),
      () => ops.softDice(logits, target),
    ]) {
      const { value, gradients: made } = gradients(loss, [logits]);
      await t.rejects(value.data(), message, `${classes} classes, label ${bad}`);
      await t.rejects((made as [Tensor])[0].data(), message, 'and its gradient');
    }
    const ignoring = ops.crossEntropy(logits, target, { ignoreIndex: bad });
    t.ok(Number.isFinite(await ignoring.item()), 'unless it is ignored');
  }
  const logits = device.full([1, 3, 3]);
  t.throws(() => ops.crossEntropy(logits, device.full([1, 4], 0, 'u8')), /Expected shape \[1, 3\]/);
  t.throws(() => ops.softDice(logits, device.full([1, 3], 0, 'i16')), /Expected u8 or i32/);
});
