// The cascade on the real CTs of the data folder, which were never trained on, against what is known of them.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { analyze } from '../../dist/pipeline/index.js';
import { gridOf, readVolume, toWorld } from '../../dist/volume/index.js';
import { dice } from './figures.mjs';
import { drawFaults } from './pictures.mjs';
import { centroidsOf, eachVoxel, ontoCt, SIDES, sideMask } from './sides.mjs';

/** A mass of no known class is drawn as a cystic one. */
const [LEFT, RIGHT, MASS] = [1, 2, 4];
/** TotalSegmentator's labels; they name no masses. */
const TOTAL = { 2: RIGHT, 3: LEFT };
/** Label maps in other places than X_labels.nii.gz beside X.nii.gz (1 left kidney, 2 right kidney, 3 mass). */
const ELSEWHERE = {
  'totalsegmentator_ct_3mm.nii.gz': 'labels_total_model.nii.gz',
  'totalsegmentator_dicom_decoded.nii.gz': 'labels_dicom_total_model.nii.gz',
};

/** What is known of a CT, on its own voxels; undefined where there are no labels. */
async function truthOf(data, name, ct) {
  const beside = join(data, 'ct', name.replace('.nii.gz', '_labels.nii.gz'));
  const elsewhere = join(data, 'totalsegmentator', ELSEWHERE[name] ?? '');
  const [path, values] = existsSync(beside)
    ? [beside, { 1: LEFT, 2: RIGHT, 3: MASS }]
    : [elsewhere, TOTAL];
  if (path === elsewhere && !(name in ELSEWHERE && existsSync(path))) return undefined;
  return { ...ontoCt(await readVolume(path), ct, values), path };
}

/** Whether a true mass's voxel lies in a called mass's sphere, with 2 mm to spare. */
function isTrue(called, { data, shape }, grid) {
  const r = called.averageDiameterMm / 2 + 2;
  let hit = false;
  eachVoxel(shape, (i, d, h, w) => {
    if (hit || data[i] !== MASS) return;
    const at = toWorld(grid, [d, h, w]);
    hit = Math.hypot(...called.centroidLpsMm.map((c, a) => c - at[a])) < r;
  });
  return hit;
}

/** Prints the figures of a CT with labels. @returns what went wrong */
function compared(ct, finding, truth) {
  const grid = gridOf(ct);
  const { labels, kidneys, masses } = finding;
  const found = { data: labels.data, shape: ct.shape };
  const own = Object.fromEntries(SIDES.map((s) => [s, kidneys[s].centroidLpsMm]));
  const centroids = centroidsOf(truth, grid);
  const faults = new Set();
  for (const side of SIDES) {
    const [is, called] = [
      sideMask(truth, side, centroids, grid),
      sideMask(found, side, own, grid).map((v, i) => v & truth.known[i]),
    ];
    if (is.some((v) => v)) {
      // One kidney is one figure: no interval.
      const figure = dice(is, called, truth.known);
      console.log(`  ${side} kidney with masses: Dice ${figure.toFixed(3)}`);
      if (figure < 0.9) faults.add('kidney');
    } else if (called.some((v) => v)) {
      const ml = (called.reduce((n, v) => n + v, 0) * ct.voxelVolume) / 1000;
      console.log(
        `  ${side}: ${ml.toFixed(0)} mL, masses included, where the labels have no kidney`,
      );
      faults.add('kidney');
    }
  }
  const isMass = truth.data.map((v) => (v === MASS ? 1 : 0));
  if (isMass.some((v) => v)) {
    const called = labels.data.map((v) => (v >= 3 ? 1 : 0));
    console.log(`  mass: Dice ${dice(isMass, called).toFixed(3)}`);
    if (!called.some((v, i) => v && isMass[i])) faults.add('missed');
  }
  const wrong = masses.filter((m) => !isTrue(m, truth, grid));
  console.log(`  masses where none is known: ${wrong.length} of ${masses.length}`);
  if (wrong.length > 0) faults.add('false');
  return [...faults];
}

/** @param data - the folder whose `ct` holds the CTs, `totalsegmentator` further labels */
export async function measureCts(data, { device, weights, pictures }) {
  const folder = join(data, 'ct');
  if (!existsSync(folder)) {
    console.log(`no CTs: ${folder} is not there`);
    return;
  }
  const isCt = (name) => name.endsWith('.nii.gz') && !name.endsWith('_labels.nii.gz');
  for (const name of readdirSync(folder).filter(isCt)) {
    const ct = await readVolume(join(folder, name));
    const finding = await analyze(ct, { device, weights });
    const { kidneys, masses, timings } = finding;
    const volumes = SIDES.map((s) => `${s} ${kidneys[s].volumeMl.toFixed(0)} mL`).join(', ');
    const list = masses.map((m) => ` [${m.side} ${m.class} ${m.averageDiameterMm.toFixed(0)} mm]`);
    console.log(
      `${name}: ${volumes}, ${masses.length} masses${list.join('')}, ${timings.total.toFixed(1)} s`,
    );
    const truth = await truthOf(data, name, ct);
    if (!truth) continue;
    const faults = compared(ct, finding, truth);
    if (pictures)
      drawFaults(pictures, name.replace('.nii.gz', ''), faults, ct, finding, {
        labels: truth.data,
        masses: [],
      });
  }
}
