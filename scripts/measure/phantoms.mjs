// The whole cascade on phantoms: kidneys with their masses, masses found and named, contours named.
import { componentMap } from '../../dist/metrics/components.js';
import { sphereDiameterMm } from '../../dist/metrics/index.js';
import { phantom, phases } from '../../dist/phantom/index.js';
import { Random } from '../../dist/phantom/random.js';
import { analyze, classifyContours, LABELS, PHASES } from '../../dist/pipeline/index.js';
import { breathed } from '../../dist/train/samples/breath.js';
import { gridOf } from '../../dist/volume/index.js';
import { dice, meanOf, middleAndWorst, SIZES, sizeOf } from './figures.mjs';
import { drawFaults } from './pictures.mjs';
import { SIDES, sideMask } from './sides.mjs';

const CLASS = { 3: 'aml', 4: 'cystic', 5: 'solid' };

const centroids = ({ left, right }) => ({
  left: left.centroidLpsMm,
  right: right.centroidLpsMm,
});

/** Each true kidney: its Dice, and whether the other side's would be better. */
function kidneysOf(p, finding) {
  const grid = gridOf(p.ct);
  const masks = (labels, kidneys) =>
    Object.fromEntries(SIDES.map((s) => [s, sideMask(labels, s, centroids(kidneys), grid)]));
  const [truth, found] = [masks(p.labels, p.kidneys), masks(finding.labels, finding.kidneys)];
  return SIDES.filter((side) => truth[side].some((v) => v)).map((side) => {
    const kidney = dice(truth[side], found[side]);
    const other = dice(truth[side], found[side === 'left' ? 'right' : 'left']);
    return { kidney, wrongSide: other > kidney };
  });
}

/** Each true mass: whether any of its voxels is called a mass, and whether most of these have its class. */
function massesOf(p, found) {
  return p.masses.map((m) => {
    const votes = {};
    p.instances.data.forEach((id, i) => {
      const label = found.data[i];
      if (id === m.id && label >= 3) votes[label] = (votes[label] ?? 0) + 1;
    });
    const best = Object.entries(votes).sort((x, y) => y[1] - x[1])[0];
    return {
      mass: sizeOf(m.averageDiameterMm),
      large: m.averageDiameterMm >= 10,
      found: best !== undefined,
      right: best !== undefined && CLASS[best[0]] === m.class,
    };
  });
}

/** Each mass that was called, a component (26 neighbours) of one class's voxels: whether any of its voxels lies in a true mass. */
async function calledOf(p, { data }, device) {
  const masses = data.map((label) => (label >= 3 ? label : 0));
  const options = { device, perLabel: true, connectivity: 26 };
  const components = await componentMap(masses, p.ct.shape, options);
  const met = [];
  components.forEach((component, i) => {
    if (component > 0) met[component - 1] ||= p.instances.data[i] > 0;
  });
  return met.map((isTrue) => ({ called: true, true: isTrue }));
}

/** The patient in another phase, any of the three in turn, and in another breath, as analyze takes it. */
async function secondPhase({ seed, ct, phase: own }, device) {
  const others = phases.filter((phase) => phase !== own);
  const phase = others[seed % others.length];
  const grid = breathed(gridOf(ct), new Random(seed, 'breath'));
  const moved = await phantom(seed, { device, phase, grid });
  return { name: PHASES[phases.indexOf(phase)], ct: ct.like(moved.ct.data) };
}

/** What one phantom says. */
async function patient(seed, { device, weights, pictures, twoPhases }) {
  const p = await phantom(seed, { device });
  const phase = twoPhases ? await secondPhase(p, device) : undefined;
  const finding = await analyze(p.ct, { device, weights, phase });
  // Masses of one class that touch are one contour.
  const named = await classifyContours(p.ct, p.labels, { device, weights, phase });
  const items = [
    ...kidneysOf(p, finding),
    ...massesOf(p, finding.labels),
    ...named.masses.map((m) => ({
      contour: sizeOf(sphereDiameterMm((m.voxels * p.ct.voxelVolume) / 1000)),
      right: LABELS[m.class] === m.label,
    })),
    ...(await calledOf(p, finding.labels, device)),
  ];
  // Kidneys below a Dice of 0.9, masses of 10 mm and more missed or misnamed, false masses.
  const faults = [
    items.some((i) => i.kidney < 0.9) && 'kidney',
    items.some((i) => i.large && !i.found) && 'missed',
    items.some((i) => i.large && i.found && !i.right) && 'misnamed',
    items.some((i) => i.called && !i.true) && 'false',
  ].filter(Boolean);
  if (pictures)
    drawFaults(pictures, String(seed), faults, p.ct, finding, {
      labels: p.labels.data,
      masses: p.masses,
    });
  return items;
}

/** @param seeds - of the phantoms, one each */
export async function measurePhantoms(seeds, options) {
  const patients = [];
  for (const seed of seeds) patients.push(await patient(seed, options));
  const figure = (keep, of) => meanOf(patients, keep, of);
  const all = patients.flat();
  const kidneys = all.filter((i) => i.kidney !== undefined);
  const say = (text) => console.log(`  ${text}`);
  say(
    `kidney with masses, Dice: ${figure(
      (i) => i.kidney !== undefined,
      (i) => i.kidney,
    )}; ${middleAndWorst(kidneys.map((i) => i.kidney))}; sides wrong: ${
      kidneys.filter((i) => i.wrongSide).length
    }`,
  );
  const right = (i) => +i.right;
  for (const s of SIZES) {
    if (!all.some((i) => i.mass === s)) continue;
    say(
      `masses ${s} mm: found (any overlap) ${figure(
        (i) => i.mass === s,
        (i) => +i.found,
      )}`,
    );
    say(
      `  class right of the found ${figure((i) => i.mass === s && i.found, right)}; on true contours ${figure((i) => i.contour === s, right)}`,
    );
  }
  say(
    `masses >= 10 mm: recall ${figure(
      (i) => i.large === true,
      (i) => +i.found,
    )}, class right of the found ${figure((i) => i.large && i.found, right)}`,
  );
  say(
    `masses called, of any size: precision (any overlap) ${figure(
      (i) => i.called === true,
      (i) => +i.true,
    )}`,
  );
  say(
    `class of all found ${figure((i) => i.mass !== undefined && i.found, right)}; of all true contours ${figure((i) => i.contour !== undefined, right)}`,
  );
}
