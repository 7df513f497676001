// `npm run measure -- [PARTS] [--seed S[,S ...]] [--weights DIR] [--belief STAGE=RULE ...] [--pictures DIR]`: how good the shipped networks are, on
// phantoms of seeds that no training uses and on the CTs of the data folder (RENVOX_DATA, default ../shared/data), which were never trained on.
// Parts; without one: --phantoms 20 --cts.
//   --phantoms N     the whole cascade on N phantoms
//   --cts            the whole cascade on the real CTs, against the labels that there are
//   --contours N     the classifier alone on N masses, one phantom each, with contours that err; the first 12 hold each class in each phase
//   --components N   the kidney network alone on N samples: components that are no kidney, with and without its file's belief
//   --held-out N     each network alone on at most N of the validation samples of its preset
// --two-phases: every phantom and every mass in a second contrast phase as well, any of the others, in another breath, and the
// classifier that sees both.
// --seed is the first of N seeds (several: N of each) instead of 31000000, 52000000, 71000000 for phantoms, contours, components. --belief mass=none
// or kidney=LEAD,SHARE[,BELOW,LEAD,SHARE] is used instead of what the file says. --pictures: previews of truth and finding where the cascade went
// wrong. Intervals are of 95 %: of shares of independent trials Wilson's, of all others by bootstrap, phantoms or samples resampled whole. One CT has
// none.
import { join } from 'node:path';
import { device } from '../dist/index.js';
import { loadCascade, shippedWeights } from '../dist/pipeline/index.js';
import { measureComponents } from './measure/components.mjs';
import { measureContours } from './measure/contours.mjs';
import { measureCts } from './measure/cts.mjs';
import { measureHeldOut } from './measure/held-out.mjs';
import { readOptions } from './measure/options.mjs';
import { measurePhantoms } from './measure/phantoms.mjs';

const asked = readOptions(process.argv.slice(2));
const folder = asked.weights ?? shippedWeights();
const cpu = device('cpu');
const { twoPhases } = asked;
const loaded = await loadCascade(cpu, folder, { twoPhases: twoPhases || asked.heldOut > 0 });
if (twoPhases && !loaded.twoPhaseClassifier)
  throw new Error(`${folder} has no class-two-phases.safetensors`);
const weights = { ...loaded };
for (const [stage, belief] of Object.entries(asked.belief))
  weights[stage] = { ...loaded[stage], belief };
const options = { device: cpu, weights, twoPhases, pictures: asked.pictures };

for (const [what, seeds, measure] of [
  ['phantoms (phantoms, not patients)', asked.phantoms, measurePhantoms],
  ['masses of phantoms', asked.contours, measureContours],
  ['samples of the kidney network', asked.components, measureComponents],
]) {
  if (seeds.length === 0) continue;
  console.log(`${seeds.length} ${what}, seeds from ${seeds[0]} to ${seeds.at(-1)}`);
  await measure(seeds, options);
}
if (asked.heldOut > 0) await measureHeldOut(asked.heldOut, folder, options);
if (asked.cts) await measureCts(process.env.RENVOX_DATA ?? join('..', 'shared', 'data'), options);
loaded.dispose();
cpu.dispose();
