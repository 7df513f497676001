// `npm run measure [-- --weights DIR --phantoms N --seed S --pictures DIR]`: how good the cascade is, on phantoms of seeds that no training
// uses and on the labelled CTs of the data folder (RENVOX_DATA, default ../shared/data), which were never trained on. With --pictures, previews
// of truth and finding where something went wrong.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { analyze, device, readVolume } from '../dist/index.js';
import { bootstrap, sphereDiameterMm } from '../dist/metrics/index.js';
import { median } from '../dist/metrics/statistics/bootstrap.js';
import { phantom } from '../dist/phantom/index.js';
import {
  classifyContours,
  LABELS,
  loadCascade,
  previewPng,
  shippedWeights,
} from '../dist/pipeline/index.js';
import { sameGrid } from '../dist/volume/index.js';

const { values: options } = parseArgs({
  options: {
    weights: { type: 'string' },
    phantoms: { type: 'string', default: '20' },
    seed: { type: 'string', default: '31000000' },
    pictures: { type: 'string' },
  },
});
const cpu = device('cpu');
const networks = await loadCascade(cpu, options.weights ?? shippedWeights());
const SIDES = ['left', 'right'];

/** Dice of two sets of voxels. */
function dice(truth, found) {
  let [a, b, both] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    if (truth[i]) a++;
    if (found[i]) b++;
    if (truth[i] && found[i]) both++;
  }
  return a + b > 0 ? (2 * both) / (a + b) : Number.NaN;
}

const summary = (list) => {
  if (list.length === 0) return 'none';
  const s = [...list].sort((x, y) => x - y);
  return `median ${median(s).toFixed(3)}, worst ${s[0].toFixed(3)}`;
};

/** Kidney with its masses on one side: voxels nearer to that side's kidney centroid than to the other's. */
function sideMask(labels, side, centroids, toWorld) {
  const own = side === 'left' ? 1 : 2;
  const [depth, height, width] = labels.shape;
  const mask = new Uint8Array(labels.data.length);
  let i = 0;
  for (let d = 0; d < depth; d++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++, i++) {
        const v = labels.data[i];
        if (v === own) mask[i] = 1;
        else if (v >= 3) {
          const x = toWorld(d, h, w);
          const far = (c) =>
            c
              ? (x[0] - c[0]) ** 2 + (x[1] - c[1]) ** 2 + (x[2] - c[2]) ** 2
              : Number.POSITIVE_INFINITY;
          if (far(centroids[side]) <= far(centroids[side === 'left' ? 'right' : 'left']))
            mask[i] = 1;
        }
      }
  return mask;
}

function worldOf(volume) {
  const a = volume.affine;
  return (d, h, w) =>
    [0, 1, 2].map(
      (r) => (r < 2 ? -1 : 1) * (a[4 * r] * w + a[4 * r + 1] * h + a[4 * r + 2] * d + a[4 * r + 3]),
    );
}

const sizes = ['< 5', '5-10', '10-20', '> 20'];
const sizeOf = (mm) => sizes[mm < 5 ? 0 : mm < 10 ? 1 : mm < 20 ? 2 : 3];
const CLASS = { 3: 'aml', 4: 'cystic', 5: 'solid' };
const count = Number(options.phantoms);
let wrongSides = 0;

/** What one phantom says: its kidneys' Dice, its masses, and what was found of them. */
async function patient(k) {
  const p = await phantom(Number(options.seed) + k, { device: cpu });
  const finding = await analyze(p.ct, { device: cpu, weights: networks });
  const found = finding.labels;
  const toWorld = worldOf(p.ct);
  const truthCentroids = {
    left: p.kidneys.left.centroidLpsMm,
    right: p.kidneys.right.centroidLpsMm,
  };
  const foundCentroids = {
    left: finding.kidneys.left.centroidLpsMm,
    right: finding.kidneys.right.centroidLpsMm,
  };
  const items = [];
  for (const side of SIDES) {
    const truth = sideMask(p.labels, side, truthCentroids, toWorld);
    if (!truth.some((v) => v)) continue;
    const mask = sideMask(found, side, foundCentroids, toWorld);
    items.push({ kidney: dice(truth, mask) });
    const other = sideMask(found, side === 'left' ? 'right' : 'left', foundCentroids, toWorld);
    if (dice(truth, other) > dice(truth, mask)) wrongSides++;
  }
  const named = await classifyContours(p.ct, p.labels, { device: cpu, weights: networks });
  const ids = p.instances.data;
  for (const m of p.masses) {
    const votes = {};
    for (let i = 0; i < ids.length; i++)
      if (ids[i] === m.id && found.data[i] >= 3)
        votes[found.data[i]] = (votes[found.data[i]] ?? 0) + 1;
    const best = Object.entries(votes).sort((x, y) => y[1] - x[1])[0];
    items.push({
      mass: sizeOf(m.averageDiameterMm),
      large: m.averageDiameterMm >= 10,
      found: best !== undefined,
      right: best !== undefined && CLASS[best[0]] === m.class,
    });
  }
  // Masses of one class that touch are one contour.
  for (const m of named.masses)
    items.push({
      contour: sizeOf(sphereDiameterMm((m.voxels * p.ct.voxelVolume) / 1000)),
      right: LABELS[m.class] === m.label,
    });
  for (const m of finding.masses) {
    // True: a true mass's sphere meets the found one's, with 2 mm to spare.
    const r = m.averageDiameterMm / 2 + 2;
    const meets = (q) =>
      Math.hypot(...q.centroidLpsMm.map((c, a) => c - m.centroidLpsMm[a])) <
      r + q.averageDiameterMm / 2;
    items.push({ called: true, true: p.masses.some(meets) });
  }
  if (options.pictures) await draw(p, finding, items, Number(options.seed) + k);
  return items;
}

/** Pictures of what went wrong, truth and finding: kidneys below a Dice of 0.9, masses of 10 mm and more missed or misnamed, false masses. */
async function draw(p, finding, items, seed) {
  const faults = [
    items.some((i) => i.kidney < 0.9) && 'kidney',
    items.some((i) => i.large && !i.found) && 'missed',
    items.some((i) => i.large && i.found && !i.right) && 'misnamed',
    items.some((i) => i.called && !i.true) && 'false',
  ].filter(Boolean);
  if (faults.length === 0) return;
  mkdirSync(options.pictures, { recursive: true });
  const name = join(options.pictures, `${seed}-${faults.join('-')}`);
  writeFileSync(`${name}-found.png`, previewPng(p.ct, finding.labels.data, finding.masses));
  writeFileSync(
    `${name}-truth.png`,
    previewPng(
      p.ct,
      p.labels.data,
      p.masses.map(({ class: c, ...m }) => ({
        ...m,
        class: c,
        probabilities: { aml: 0, cystic: 0, solid: 0, [c]: 1 },
      })),
    ),
  );
}

const patients = [];
for (let k = 0; k < count; k++) patients.push(await patient(k));
const mean = (list, of) => list.reduce((n, x) => n + of(x), 0) / list.length;
/** Figures with 95 % intervals by bootstrap over phantoms. */
const figure = (keep, of) => {
  const { value, low, high } = bootstrap(patients, (all) => mean(all.filter(keep), of));
  const n = patients.flat().filter(keep).length;
  return `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}] of ${n}`;
};
if (count > 0) {
  console.log(
    `${count} phantoms, seeds from ${options.seed} (phantoms, not patients); intervals of 95 %, phantoms resampled`,
  );
  const kidneys = patients.flat().flatMap((i) => (i.kidney === undefined ? [] : [i.kidney]));
  console.log(
    `  kidney with masses, Dice: ${figure(
      (i) => i.kidney !== undefined,
      (i) => i.kidney,
    )}; ${summary(kidneys)}; sides wrong: ${wrongSides}`,
  );
  for (const s of sizes) {
    if (!patients.flat().some((i) => i.mass === s)) continue;
    console.log(
      `  masses ${s} mm: found (any overlap) ${figure(
        (i) => i.mass === s,
        (i) => +i.found,
      )}`,
    );
    console.log(
      `    class right of the found ${figure(
        (i) => i.mass === s && i.found,
        (i) => +i.right,
      )}; on true contours ${figure(
        (i) => i.contour === s,
        (i) => +i.right,
      )}`,
    );
  }
  console.log(
    `  masses >= 10 mm: recall ${figure(
      (i) => i.large === true,
      (i) => +i.found,
    )}, class right of the found ${figure(
      (i) => i.large && i.found,
      (i) => +i.right,
    )}`,
  );
  console.log(
    `  masses called, of any size: precision ${figure(
      (i) => i.called === true,
      (i) => +i.true,
    )}`,
  );
  console.log(
    `  class of all found ${figure(
      (i) => i.mass !== undefined && i.found,
      (i) => +i.right,
    )}; of all true contours ${figure(
      (i) => i.contour !== undefined,
      (i) => +i.right,
    )}`,
  );
}

// Real CTs with labels beside them: X.nii.gz and X_labels.nii.gz (1 left kidney, 2 right kidney, 3 mass).
const data = process.env.RENVOX_DATA ?? '../shared/data';
const folder = join(data, 'ct');
if (!existsSync(folder)) console.log(`no CTs: ${folder} is not there`);
else
  for (const name of readdirSync(folder).filter(
    (n) => n.endsWith('.nii.gz') && !n.endsWith('_labels.nii.gz'),
  )) {
    const ct = await readVolume(join(folder, name));
    const {
      labels,
      kidneys: k,
      masses,
      timings,
    } = await analyze(ct, { device: cpu, weights: networks });
    const text = SIDES.map((s) => `${s} ${k[s].volumeMl.toFixed(0)} mL`).join(', ');
    console.log(
      `${name}: ${text}, ${masses.length} masses${masses.map((m) => ` [${m.side} ${m.class} ${m.averageDiameterMm.toFixed(0)} mm]`).join('')}, ${timings.total.toFixed(1)} s`,
    );
    const beside = join(folder, name.replace('.nii.gz', '_labels.nii.gz'));
    if (!existsSync(beside)) continue;
    const truth = await readVolume(beside);
    if (!sameGrid(truth, ct)) continue;
    const toWorld = worldOf(ct);
    const centroids = Object.fromEntries(
      SIDES.map((side, s) => {
        let [n, sums] = [0, [0, 0, 0]];
        const [depth, height, width] = truth.shape;
        for (let d = 0, i = 0; d < depth; d++)
          for (let h = 0; h < height; h++)
            for (let w = 0; w < width; w++, i++)
              if (truth.data[i] === s + 1) {
                n++;
                sums = toWorld(d, h, w).map((x, a) => x + sums[a]);
              }
        return [side, n ? sums.map((x) => x / n) : null];
      }),
    );
    const own = Object.fromEntries(SIDES.map((s) => [s, k[s].centroidLpsMm]));
    for (const side of SIDES)
      console.log(
        `  ${side} kidney with masses: Dice ${dice(sideMask(truth, side, centroids, toWorld), sideMask(labels, side, own, toWorld)).toFixed(3)}`,
      );
    const massTruth = truth.data.map((v) => (v === 3 ? 1 : 0));
    if (massTruth.some((v) => v))
      console.log(
        `  mass: Dice ${dice(
          massTruth,
          labels.data.map((v) => (v >= 3 ? 1 : 0)),
        ).toFixed(3)}`,
      );
  }
networks.dispose();
cpu.dispose();
