// add, multiply, weightedSum, scaleBy, sum, fill, cast and dropout.
import { gradients, isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import { agrees, onEveryDevice, randomArray, sameBits, simulated } from './harness.js';

onEveryDevice(t, 'multiply, weightedSum, scaleBy, sum', async (t, device) => {
  for (const n of [1, 13, 100003]) {
    const [a0, b0, g0] = [1, 2, 3].map((seed) => randomArray(n, seed + n)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const before = threads();
    let first: Float32Array[] | undefined;
    for (const count of [1, 2, 3]) {
      threads(count);
      const [a, b, g] = [a0, b0, g0].map((x) => device.tensor(x)) as [Tensor, Tensor, Tensor];
      const product = gradients(() => ops.multiply(a, b), [a, b], g);
      const mixed = gradients(() => ops.weightedSum([a, b, a], [0.5, -2, 3]), [a, b], g);
      const scaled = gradients(() => ops.scaleBy(a, -1.5), [a], g);
      const total = gradients(() => ops.scaleBy(ops.sum(ops.multiply(a, a)), 0.5), [a]);
      const all = [product, mixed, scaled, total].flatMap((r) => [r.value, ...r.gradients]);
      const values = (await Promise.all(all.map((x) => x.data()))) as Float32Array[];
      if (first) {
        for (const [i, v] of values.entries()) sameBits(t, v, first[i] as Float32Array, `${i}`);
        continue;
      }
      first = values;
      const at = (x: Float32Array, i: number) => x[i] as number;
      const expected = [
        a0.map((x, i) => x * at(b0, i)),
        b0.map((x, i) => x * at(g0, i)),
        a0.map((x, i) => x * at(g0, i)),
        a0.map((x, i) => 3.5 * x - 2 * at(b0, i)),
        g0.map((x) => 3.5 * x),
        g0.map((x) => -2 * x),
        a0.map((x) => -1.5 * x),
        g0.map((x) => -1.5 * x),
        [a0.reduce((s, x) => s + 0.5 * x * x, 0)],
        a0,
      ];
      for (const [i, e] of expected.entries())
        agrees(t, values[i] as Float32Array, e, 2e-7, `result ${i} of ${n} values`);
    }
    threads(before);
  }
  t.equal(await ops.sum(device.full([0])).item(), 0, 'the sum of nothing');
  t.throws(() => ops.weightedSum([device.full([2]), device.full([1])]), /Expected shape \[2\]/);
  t.throws(() => ops.weightedSum([device.full([2])], []), /Expected 1 numbers/);
});

onEveryDevice(t, 'cast', async (t, device) => {
  const values = [0, -0, 0.5, 1.5, 2.5, -2.5, 254.5, 255.5, 256, -1, 3e4, 32767.5, -4e4, 3e9, -3e9];
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const x = device.tensor([...values, ...odd]);
  const even = (v: number) => {
    const r = Math.round(v);
    return Math.abs(v % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
  };
  const saturated = (least: number, most: number) =>
    [...values, ...odd].map((v) =>
      Number.isNaN(v) ? 0 : Math.min(most, Math.max(least, even(Math.fround(v)))) + 0,
    );
  for (const [dtype, least, most] of [
    ['u8', 0, 255],
    ['i16', -32768, 32767],
    ['i32', -(2 ** 31), 2 ** 31 - 1],
  ] as const)
    t.strictSame(
      Array.from(await ops.cast(x, dtype).data(), (v) => v + 0),
      saturated(least, most),
      `f32 to ${dtype}`,
    );

  const patterns = async (list: number[], dtype: 'bf16' | 'f16') =>
    Array.from(await ops.cast(device.tensor(list), dtype).data(), (v) => v.toString(16));
  // 1 + 2^-8 lies halfway between two bf16, 1 + 2^-11 between two f16: to even.
  t.strictSame(
    await patterns([1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -2, 3.4e38, Number.POSITIVE_INFINITY], 'bf16'),
    ['3f80', '3f80', '3f82', 'c000', '7f80', '7f80'],
  );
  t.strictSame(
    await patterns([1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -24, 2 ** -25], 'f16'),
    ['3c00', '3c00', '3c02', '7bff', '7c00', '1', '0'],
  );
  t.match(await patterns([Number.NaN], 'f16'), [/^7[e-f]/]);
  t.match(await patterns([Number.NaN], 'bf16'), [/^7f[c-f]/]);

  // Every 16-bit float there is comes back from f32 as it was.
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  for (const dtype of ['bf16', 'f16'] as const) {
    const wide = ops.cast(device.tensor(all, { dtype }), 'f32');
    const back = await ops.cast(wide, dtype).data();
    const numbers = await wide.data();
    t.ok(
      all.every((v, i) => Number.isNaN(numbers[i]) || back[i] === v),
      `${dtype} to f32 and back`,
    );
  }
  // 2^24 + 1 is no float; to bf16 at once and by way of a float must agree with the nearest.
  const large = device.tensor(Int32Array.of(16777217, -7, 2 ** 30 + 2 ** 22 + 1, 65535));
  t.strictSame(Array.from(await ops.cast(large, 'f32').data()), [
    16777216,
    -7,
    Math.fround(2 ** 30 + 2 ** 22 + 1),
    65535,
  ]);
  t.strictSame(
    Array.from(await ops.cast(ops.cast(large, 'bf16'), 'i32').data()),
    [16777216, -7, 2 ** 30 + 2 ** 23, 65536],
    'i32 to bf16 rounds once',
  );
  const wide = ops.cast(device.tensor(Int16Array.of(-300, 5)), 'f64');
  t.strictSame(Array.from(await ops.cast(wide, 'u8').data()), [0, 5]);

  const p = device.tensor([1, 2, 3]);
  const made = gradients(() => ops.cast(ops.cast(p, 'bf16'), 'f32'), [p], device.tensor([4, 5, 6]));
  t.strictSame(Array.from(await (made.gradients as [Tensor])[0].data()), [4, 5, 6], 'gradient');
  t.throws(() => ops.cast(p, 'f8' as 'f32'), /one of f32, bf16/);
});

// What a kernel can get wrong at the borders of its packets, blocks and groups of inputs, and with no values at all.
onEveryDevice(t, 'elementwise, by sizes', async (t, device) => {
  const f = Math.fround;
  for (const n of [0, 1, 3, 4, 5, 1023, 1024, 1025, 4099]) {
    const values = [1, 2, 3].map((seed) => randomArray(n, seed + n));
    const [a0, b0, g0] = values as [Float32Array, Float32Array, Float32Array];
    const [a, b, g] = values.map((x) => device.tensor(x)) as [Tensor, Tensor, Tensor];
    const at = (x: Float32Array, i: number) => x[i] as number;
    const same = async (y: Tensor, expected: Float32Array, what: string) =>
      sameBits(t, await y.data(), expected, `${what} of ${n} values`);
    await same(
      ops.add(a, b),
      a0.map((x, i) => x + at(b0, i)),
      'add',
    );
    for (const dtype of ['bf16', 'f16'] as const) {
      const [p, q] = [ops.cast(a, dtype), ops.cast(b, dtype)];
      const expected = ops.cast(ops.add(ops.cast(p, 'f32'), ops.cast(q, 'f32')), dtype);
      const sum = await ops.add(p, q).data();
      sameBits(t, sum, await expected.data(), `add of ${n} ${dtype}`);
    }
    await same(
      ops.multiply(a, b),
      a0.map((x, i) => x * at(b0, i)),
      'multiply',
    );
    const leaky = gradients(() => ops.leakyRelu(a, 0.25), [a], g);
    await same(
      leaky.value,
      a0.map((x) => (x > 0 ? x : 0.25 * x)),
      'leakyRelu',
    );
    await same(
      (leaky.gradients as [Tensor])[0],
      g0.map((x, i) => (at(a0, i) > 0 ? x : 0.25 * x)),
      'leakyReluGrad',
    );
    const total = gradients(() => ops.sum(a), [a], device.tensor([1.5]));
    await same((total.gradients as [Tensor])[0], new Float32Array(n).fill(1.5), 'sumGrad');
    const sum = a0.reduce((s, x) => s + x, 0);
    agrees(t, await total.value.data(), [sum], 2e-7, `sum of ${n} values`);
    // More inputs than one launch takes, each term rounded before it is added.
    const many = Array.from({ length: 70 }, (_, k) => (k % 2 ? b : a));
    const factors = many.map((_, k) => 1 - k / 50);
    const mixed = a0.map((x, i) => {
      let y = f(f(factors[0] as number) * x);
      for (let k = 1; k < many.length; k++)
        y = f(y + f(f(factors[k] as number) * (k % 2 ? at(b0, i) : x)));
      return y;
    });
    const joined = await ops.weightedSum(many, factors).data();
    agrees(t, joined, mixed, 1e-6, `weightedSum of ${n} values`);
  }
});

onEveryDevice(t, 'sum: the same bits each time', async (t, device) => {
  // More than one round of all blocks; simulated threads take their time.
  const x = device.tensor(randomArray(1_100_003, 4));
  const first = await ops.sum(x).data();
  for (let i = 0; i < (simulated(device) ? 3 : 20); i++)
    sameBits(t, await ops.sum(x).data(), first, `repeat ${i}`);
});

onEveryDevice(t, 'fill, by types and sizes', async (t, device) => {
  for (const n of [0, 1, 7, 15, 16, 17, 4095, 4096, 4097])
    for (const [dtype, Kind] of [
      ['f32', Float32Array],
      ['f64', Float64Array],
      ['u8', Uint8Array],
      ['i16', Int16Array],
      ['i32', Int32Array],
    ] as const) {
      const y = (await device.full([n], 77, dtype).data()) as Uint8Array;
      t.ok(y instanceof Kind && y.length === n && y.every((v) => v === 77), `${n} ${dtype}`);
    }
  for (const dtype of ['f32', 'f64'] as const)
    t.ok(Object.is((await device.full([3], -0, dtype).data())[2], -0), `-0 as ${dtype}`);
});

/** v rounded to nearest even with so many bits behind the leading one; exponents from `least`, infinite from 2^`most` on. */
function rounded(v: number, bits: number, least: number, most: number): number {
  if (v === 0 || !Number.isFinite(v)) return v;
  let exponent = Math.floor(Math.log2(Math.abs(v)));
  if (2 ** exponent > Math.abs(v)) exponent--;
  const step = 2 ** (Math.max(exponent, least) - bits);
  const quotient = Math.abs(v) / step;
  const down = Math.floor(quotient);
  const rest = quotient - down;
  const whole = rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
  const r = whole * step;
  return Math.sign(v) * (r >= 2 ** most ? Number.POSITIVE_INFINITY : r);
}

/** A pattern of 16 bits as a number. */
function decoded(pattern: number, bits: number, bias: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern & 0x7fff) >> bits;
  const mantissa = pattern & (2 ** bits - 1);
  if (exponent === 2 * bias + 1) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0
    ? sign * mantissa * 2 ** (1 - bias - bits)
    : sign * (2 ** bits + mantissa) * 2 ** (exponent - bias - bits);
}

onEveryDevice(t, 'cast between all pairs of types', async (t, device) => {
  const integer = (v: number, least: number, most: number) => {
    if (Number.isNaN(v)) return 0;
    const down = Math.floor(v);
    const up = v - down > 0.5 || (v - down === 0.5 && down % 2 !== 0);
    return Math.min(most, Math.max(least, up ? down + 1 : down)) + 0;
  };
  const types = {
    f32: [Math.fround, Float32Array],
    f64: [(v: number) => v, Float64Array],
    bf16: [(v: number) => rounded(v, 7, -126, 128), Uint16Array],
    f16: [(v: number) => rounded(v, 10, -14, 16), Uint16Array],
    u8: [(v: number) => integer(v, 0, 255), Uint8Array],
    i16: [(v: number) => integer(v, -32768, 32767), Int16Array],
    i32: [(v: number) => integer(v, -(2 ** 31), 2 ** 31 - 1), Int32Array],
  } as const;
  const names = Object.keys(types) as (keyof typeof types)[];
  const special = [0, -0, 0.5, -1.5, 2.5, 255.5, -32768.5, 65519.9, 65520, 2 ** 31 - 0.5, 1e39];
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -25, 1e-40];
  const noise = randomArray(4107, 1);
  const scale = (i: number) => 2 ** ((i % 40) - 8);
  const values = [...special, ...odd, ...Array.from(noise, (v, i) => v * (1 + 1e-9) * scale(i))];
  const numbers = (data: ArrayLike<number>, dtype: string) =>
    Array.from(data, (v) =>
      dtype === 'bf16' ? decoded(v, 7, 127) : dtype === 'f16' ? decoded(v, 10, 15) : v,
    );
  // bf16 and f16 are made by a cast of their own from what they hold exactly.
  for (const from of names) {
    const [round, Kind] = types[from];
    const exact = values.map(round);
    const half = Kind === Uint16Array;
    const x = half
      ? ops.cast(device.tensor(Float32Array.from(exact)), from)
      : device.tensor((Kind as Float32ArrayConstructor).from(exact));
    for (const to of names) {
      const y = numbers(await ops.cast(x, to).data(), to);
      const expected = exact.map(types[to][0]);
      const wrong = y.findIndex((v, i) => !Object.is(v, expected[i]));
      t.ok(
        wrong < 0,
        `${from} to ${to}: ${exact[wrong]} became ${y[wrong]}, not ${expected[wrong]}`,
      );
      for (const n of [0, 1, 5]) {
        const part = await ops
          .cast(
            half
              ? ops.cast(device.tensor(Float32Array.from(exact.slice(0, n))), from)
              : device.tensor((Kind as Float32ArrayConstructor).from(exact.slice(0, n))),
            to,
          )
          .data();
        t.strictSame(numbers(part, to), expected.slice(0, n), `${n} values`);
      }
    }
  }
});

/** Philox4x32-10 of Salmon et al. (SC'11), by the paper. */
function philox(key: number[], counter: number[]): number[] {
  let [k0, k1] = key as [number, number];
  let [a, b, c, d] = counter as [number, number, number, number];
  for (let round = 0; round < 10; round++) {
    const p = 0xd2511f53n * BigInt(a);
    const q = 0xcd9e8d57n * BigInt(c);
    const [high, low] = [(x: bigint) => Number(x >> 32n), (x: bigint) => Number(x & 0xffffffffn)];
    [a, b, c, d] = [(high(q) ^ b ^ k0) >>> 0, low(q), (high(p) ^ d ^ k1) >>> 0, low(p)];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}

t.test('philox, known answers of Random123', async (t) => {
  const hex = (words: number[]) => words.map((w) => w.toString(16)).join(' ');
  const ones = 0xffffffff;
  t.equal(hex(philox([0, 0], [0, 0, 0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  t.equal(
    hex(philox([ones, ones], [ones, ones, ones, ones])),
    '408f276d 41c83b0e a20bc7c6 6d5451fd',
  );
  t.equal(
    hex(philox([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

onEveryDevice(t, 'dropout', async (t, device) => {
  const n = 70003;
  const x0 = randomArray(n, 9);
  const g0 = randomArray(n, 10);
  const p = 0.3;
  const [seed, offset] = [2 ** 40 + 7, 2 ** 33 + 5];
  const words = (v: number) => [v % 2 ** 32, Math.floor(v / 2 ** 32)] as [number, number];
  const block = (i: number) => philox(words(seed), [i, 0, ...words(offset)]);
  const stays = Array.from({ length: Math.ceil(n / 4) }, (_, i) => block(i))
    .flat()
    .map((w) => (w >>> 8) / 2 ** 24 >= Math.fround(p));
  const share = stays.slice(0, n).filter(Boolean).length / n;
  t.ok(Math.abs(share - 0.7) < 0.01, `${share} stay`);
  const before = threads();
  for (const count of [1, 2, 3]) {
    threads(count);
    const x = device.tensor(x0);
    const made = gradients(() => ops.dropout(x, p, { seed, offset }), [x], device.tensor(g0));
    const mask = (v: number, i: number) =>
      stays[i] ? Math.fround(v * Math.fround(1 / (1 - p))) : 0;
    sameBits(t, await made.value.data(), x0.map(mask), 'by the definition');
    sameBits(t, await (made.gradients as [Tensor])[0].data(), g0.map(mask), 'gradient');
  }
  threads(before);
  for (const n of [0, 1, 2, 3, 4, 5, 1023, 1025]) {
    const made = await ops.dropout(device.tensor(x0.slice(0, n)), p, { seed, offset }).data();
    const mask = (v: number, i: number) =>
      stays[i] ? Math.fround(v * Math.fround(1 / (1 - p))) : 0;
    sameBits(t, made, x0.slice(0, n).map(mask), `${n} values`);
  }
  const x = device.tensor(x0);
  sameBits(t, await ops.dropout(x, 0, { seed: 1 }).data(), x0, 'p = 0 is the identity');
  for (const options of [{ seed: -1 }, { seed: 1, offset: 0.5 }])
    try {
      ops.dropout(x, 0.1, options);
      t.fail('no error');
    } catch (error) {
      t.ok(isRenvoxError(error, 'InvalidArgument'));
    }
  t.throws(() => ops.dropout(x, 1, { seed: 1 }), /from 0 to/);
});
