import { ops } from 'renvox';
import t from 'tap';
import { noteError } from './errors.js';
import { onEveryDevice, randomArray } from './harness.js';

onEveryDevice(t, 'hounsfieldWindow', async (t, device) => {
  const stored = Int16Array.from({ length: 4097 }, (_, i) => i - 2048);
  const cases = [
    { level: 30, width: 300 },
    { level: 300, width: 30, low: -1, high: 1 },
    { level: 40, width: 400, slope: 2.5, intercept: -1024 },
  ];
  for (const window of cases) {
    const {
      level,
      width,
      low = 0,
      high = 1,
      slope = 1,
      intercept = 0,
    } = window as Required<ops.HounsfieldWindow & ops.StoredScale>;
    const exact = (v: number) => {
      const share = (v * slope + intercept - (level - width / 2)) / width;
      return low + (high - low) * Math.min(Math.max(share, 0), 1);
    };
    for (const values of [stored, Int32Array.from(stored), Float32Array.from(stored)]) {
      const y = (await ops.hounsfieldWindow(device.tensor(values), window).data()) as Float32Array;
      let worst = 0;
      for (const [i, v] of y.entries())
        worst = Math.max(worst, Math.abs(v - exact(values[i] as number)));
      t.ok(
        noteError(worst) < 3e-7,
        `${values.constructor.name} ${JSON.stringify(window)}: ${worst}`,
      );
      t.ok(
        y.every((v) => v >= low && v <= high),
        'inside low..high',
      );
    }
  }
  const bytes = Uint8Array.from({ length: 2051 }, (_, i) => i % 256);
  for (const n of [0, 1, 3, 5, 1024, 2051]) {
    const y = await ops
      .hounsfieldWindow(device.tensor(bytes.slice(0, n)), { level: 128, width: 100 })
      .data();
    const exact = Float64Array.from(bytes.slice(0, n), (v) =>
      Math.min(Math.max((v - 78) / 100, 0), 1),
    );
    t.ok(
      y.length === n && exact.every((v, i) => noteError(Math.abs(v - (y[i] as number))) < 3e-7),
      `${n} bytes`,
    );
  }
  const y = await ops
    .hounsfieldWindow(device.tensor(Float32Array.of(-120, 180, 30, Number.NaN)), cases[0] as never)
    .data();
  t.strictSame(y, Float32Array.of(0, 1, 0.5, Number.NaN), 'ends, middle, NaN');
});

onEveryDevice(t, 'hounsfieldWindow: bad arguments', async (t, device) => {
  const x = device.tensor(randomArray(3, 1));
  for (const bad of [
    { level: 0, width: 0 },
    { level: 0, width: -1 },
    { level: Number.NaN, width: 1 },
    { level: 0, width: 1, low: 1, high: 1 },
  ])
    t.throws(() => ops.hounsfieldWindow(x, bad), { code: 'InvalidArgument' });
});
