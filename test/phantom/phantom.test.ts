import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readVolume, threads } from 'renvox';
import { type Phantom, phantom, phases } from 'renvox/phantom';
import { fixedGrid } from 'renvox/volume';
import t from 'tap';
import { phantomCommand } from '#lib/cli/phantom.js';

/** The whole abdomen, coarse enough to draw many. */
const grid = fixedGrid({ shape: [80, 84, 110], spacing: [4, 3.5, 3.5], centre: [0, -20, 0] });
const bytes = (made: Phantom) =>
  [made.ct, made.labels, made.instances].map((v) => Buffer.from(v.data.buffer));

t.test('a seed gives the same bits for any number of threads', async (t) => {
  const before = threads();
  const made = [];
  for (const count of [1, 2, 3]) {
    threads(count);
    made.push(await phantom(11, { grid, training: count > 3 }));
  }
  threads(before);
  const [first, ...others] = made as [Phantom, ...Phantom[]];
  for (const other of others) {
    t.ok(bytes(other).every((b, i) => b.equals(bytes(first)[i] as Buffer)));
    t.strictSame(other.masses, first.masses);
  }
  const next = await phantom(12, { grid });
  t.notOk(bytes(next)[0]?.equals(bytes(first)[0] as Buffer), 'another seed differs');
});

t.test('kidneys and masses are where patients have them', async (t) => {
  const volumes: number[] = [];
  let [masses, phantoms] = [0, 0];
  const classes = new Set<string>();
  for (let seed = 100; seed < 140; seed++) {
    const made = await phantom(seed, { grid });
    phantoms++;
    const { left, right } = made.kidneys;
    if (left.centroidLpsMm && right.centroidLpsMm) {
      const apart = left.centroidLpsMm[0] - right.centroidLpsMm[0];
      if (!(apart > 70 && apart < 210))
        t.fail(`seed ${seed}: kidneys ${apart} mm apart, left to right`);
    } else if (!left.centroidLpsMm && !right.centroidLpsMm) t.fail(`seed ${seed}: no kidney`);
    for (const side of ['left', 'right'] as const) {
      const mine = made.masses.filter((m) => m.side === side);
      const all = made.kidneys[side].volumeMl + mine.reduce((a, m) => a + m.volumeMl, 0);
      if (mine.every((m) => m.volumeMl < 5) && all > 0) volumes.push(all);
    }
    masses += made.masses.length;
    for (const mass of made.masses) {
      classes.add(mass.class);
      const label = { aml: 3, cystic: 4, solid: 5 }[mass.class];
      let [voxels, touching] = [0, 0];
      const kidney = mass.side === 'left' ? 1 : 2;
      const data = made.labels.data;
      const [, h, w] = made.labels.shape;
      made.instances.data.forEach((id, v) => {
        if (id !== mass.id || (data[v] as number) < 3) return;
        voxels++;
        if (data[v] !== label) t.fail(`seed ${seed}: mass ${mass.id} has label ${data[v]}`);
        for (const step of [1, w, w * h])
          for (const n of [v - 2 * step, v - step, v + step, v + 2 * step])
            if (
              data[n] === kidney ||
              ((data[n] as number) > 2 && made.instances.data[n] !== mass.id)
            )
              touching++;
      });
      if (voxels !== mass.voxels)
        t.fail(`seed ${seed}: ${mass.voxels} voxels reported, ${voxels} there`);
      if (touching === 0)
        t.fail(
          `seed ${seed}: ${mass.kind} ${mass.id} (${mass.averageDiameterMm} mm) lies away from its kidney`,
        );
    }
  }
  volumes.sort((a, b) => a - b);
  const at = (share: number) => volumes[Math.floor(share * (volumes.length - 1))] as number;
  t.ok(
    at(0.5) > 105 && at(0.5) < 175,
    `median of ${volumes.length} kidneys ${at(0.5).toFixed(0)} mL`,
  );
  t.ok(
    at(0.15) > 80 && at(0.85) < 235,
    `70 % of kidneys have ${at(0.15).toFixed(0)}-${at(0.85).toFixed(0)} mL`,
  );
  t.ok(masses > 0.6 * phantoms && classes.size === 3, `${masses} masses in ${phantoms} phantoms`);
});

t.test('a seed is one patient in every phase, and no two scans share their noise', async (t) => {
  for (let seed = 200; seed < 202; seed++) {
    const own = await phantom(seed);
    const all = await Promise.all(phases.map((phase) => phantom(seed, { phase })));
    for (const other of all) {
      const [, labels, instances] = bytes(other);
      const [, ownLabels, ownInstances] = bytes(own);
      t.ok(
        labels?.equals(ownLabels as Buffer) && instances?.equals(ownInstances as Buffer),
        `seed ${seed}, ${other.phase}: the same anatomy`,
      );
      t.strictSame(other.affine, own.affine);
      t.equal(bytes(other)[0]?.equals(bytes(own)[0] as Buffer), other.phase === own.phase);
      if (other.phase === own.phase) continue;
      // Air in front of the body has nothing but noise.
      const air = Array.from(
        { length: 2000 },
        (_, i) => [(own.ct.data[i] as number) + 1000, (other.ct.data[i] as number) + 1000] as const,
      );
      const noisy = air.filter(([a, b]) => Math.abs(a) < 300 && Math.abs(b) < 300);
      const sum = (of: (pair: readonly [number, number]) => number) =>
        noisy.reduce((s, pair) => s + of(pair), 0);
      const correlation =
        sum(([a, b]) => a * b) / Math.sqrt(sum(([a]) => a * a) * sum(([, b]) => b * b));
      t.ok(
        noisy.length > 1000 && Math.abs(correlation) < 0.5,
        `seed ${seed}, ${other.phase}: correlation ${correlation.toFixed(2)}`,
      );
    }
  }
});

t.test('HU follow the phase', async (t) => {
  const ranges = {
    unenhanced: [8, 52],
    corticomedullary: [75, 225],
    nephrographic: [95, 212],
    excretory: [75, 175],
  } as const;
  for (const phase of phases) {
    const [low, high] = ranges[phase];
    for (const seed of [3, 5, 8]) {
      const made = await phantom(seed, { grid, phase });
      t.equal(made.phase, phase);
      const { data, shape } = made.labels;
      let [sum, n] = [0, 0];
      // Away from edges: all neighbours along w and h are kidney.
      for (let v = 0; v < data.length; v++) {
        const label = data[v] as number;
        if (label !== 1 && label !== 2) continue;
        if (data[v - 1] !== label || data[v + 1] !== label) continue;
        if (data[v - shape[2]] !== label || data[v + shape[2]] !== label) continue;
        sum += made.ct.data[v] as number;
        n++;
      }
      t.ok(
        sum / n > low && sum / n < high,
        `${phase}, seed ${seed}: parenchyma ${(sum / n).toFixed(0)} HU`,
      );
    }
  }
  const made = await phantom(4, { grid });
  const outside = made.ct.data[0] as number;
  t.ok(outside < -950, 'air round the body');
});

t.test('the sinus belongs to the kidney where asked', async (t) => {
  const bare = await phantom(21, { grid });
  const full = await phantom(21, { grid, sinus: true });
  for (const side of ['left', 'right'] as const) {
    const more = full.kidneys[side].volumeMl - bare.kidneys[side].volumeMl;
    t.ok(more > 3 && more < 60, `${side}: ${more.toFixed(1)} mL more`);
  }
  t.ok(bytes(bare)[0]?.equals(bytes(full)[0] as Buffer), 'the CT is the same');
});

t.test('phantomCommand writes cases that fit together', async (t) => {
  const out = mkdtempSync(join(tmpdir(), 'renvox-phantom-'));
  t.teardown(() => rmSync(out, { recursive: true }));
  const steps: number[] = [];
  const folders = await phantomCommand({
    out,
    count: 1,
    seed: 7,
    onProgress: ({ done }) => steps.push(done),
  });
  t.strictSame(readdirSync(out), ['case_0000']);
  const folder = folders[0] as string;
  t.strictSame(readdirSync(folder).sort(), ['case.json', 'ct.nii.gz', 'labels.nii.gz']);
  t.strictSame(steps, [1]);
  const ct = await readVolume(join(folder, 'ct.nii.gz'));
  const labels = await readVolume(join(folder, 'labels.nii.gz'));
  const record = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'));
  t.ok(ct.data instanceof Int16Array && labels.data instanceof Uint8Array);
  t.strictSame(ct.affine, labels.affine);
  t.strictSame(record.shape, ct.fileShape);
  t.ok(
    ct.spacing[0] >= 1 && ct.spacing[0] <= 5 && ct.spacing[2] > 0.7 && ct.spacing[2] < 1.8,
    `${ct.spacing}`,
  );
  for (const [side, label] of [
    ['left', 1],
    ['right', 2],
  ] as const) {
    let voxels = 0;
    for (const v of labels.data) if (v === label) voxels++;
    t.equal(record.kidneys[side].voxels, voxels, side);
  }
  t.equal(
    record.kidneys.left.centroid_lps_mm[0] > record.kidneys.right.centroid_lps_mm[0],
    true,
    'left is at greater x in LPS',
  );
  await t.rejects(phantomCommand({ out, count: 0, seed: 1 }), { code: 'InvalidArgument' });
  await t.rejects(phantomCommand({ out, count: 1, seed: -1 }), { code: 'InvalidArgument' });
  await t.rejects(phantom(1.5), { code: 'InvalidArgument' });
});
