import { ops, threads } from 'renvox';
import t from 'tap';
import { noteError } from './errors.js';
import { onEveryDevice, product, randomTensor, sameBits } from './harness.js';

/** By the definition, in double. */
function naive(
  x: ArrayLike<number>,
  shape: readonly number[],
  change: ops.IntensityChange,
): Float64Array {
  const { brightness = 1, contrast, gamma = 1, invert = false, range = [0, 1] } = change;
  const channels = shape[4] ?? 1;
  const sample = product(shape.slice(1));
  const [low, high] = range;
  return Float64Array.from(x, (value, i) => {
    let v = value * brightness;
    if (contrast !== undefined) {
      const first = Math.floor(i / sample) * sample + (i % channels);
      let mean = 0;
      for (let k = first; k < first - (i % channels) + sample; k += channels)
        mean += (x[k] as number) / (sample / channels);
      v = mean * brightness + (v - mean * brightness) * contrast;
      v = Math.min(Math.max(v, low), high);
    }
    if (gamma === 1) return v;
    const s = Math.min(Math.max((v - low) / (high - low), 0), 1);
    return low + (high - low) * (invert ? 1 - (1 - s) ** gamma : s ** gamma);
  });
}

onEveryDevice(t, 'adjustIntensity against the definition', async (t, device) => {
  const changes: ops.IntensityChange[] = [
    {},
    { brightness: 1.25 },
    { contrast: 0.75, range: [-1, 1] },
    { brightness: 0.75, contrast: 1.25, range: [-0.5, 0.75] },
    { gamma: 0.7, range: [-1, 1] },
    { gamma: 1.5, invert: true, range: [-1, 1] },
    { brightness: 1.1, contrast: 1.2, gamma: 1.4, range: [-1, 1] },
  ];
  for (const [seed, shape] of [
    [1, 1, 1, 1, 1],
    [2, 3, 5, 7, 3],
    [1, 9, 11, 5],
  ].entries()) {
    const x = randomTensor(device, shape, seed);
    const values = await x.data();
    for (const change of changes) {
      const expected = naive(values, shape, change);
      const before = threads();
      const made = [];
      for (const count of [1, 3]) {
        threads(count);
        made.push(await ops.adjustIntensity(x, change).data());
      }
      threads(before);
      const [one, three] = made as [Float32Array, Float32Array];
      sameBits(t, one, three, `${JSON.stringify(change)} of [${shape}]`);
      const worst = Math.max(...one.map((v, i) => Math.abs(v - (expected[i] as number))));
      t.ok(noteError(worst) < 1e-6, `${JSON.stringify(change)} of [${shape}]: ${worst}`);
    }
  }
});

onEveryDevice(t, 'adjustIntensity: bad arguments', async (t, device) => {
  const x = device.full([1, 2, 2, 2, 1]);
  for (const bad of [
    { brightness: Number.NaN },
    { contrast: -1 },
    { gamma: -0.1 },
    { range: [1, 1] as const },
  ])
    t.throws(() => ops.adjustIntensity(x, bad), { code: 'InvalidArgument' });
  t.throws(() => ops.adjustIntensity(device.full([2, 2]), {}), { code: 'ShapeMismatch' });
});
