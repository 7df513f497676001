// The classifier alone on masses of phantoms whose contours err, as its training draws them but of seeds that no training used.
import { softmax } from '../../dist/ops/index.js';
import { probabilitiesOf } from '../../dist/pipeline/stages.js';
import { scope } from '../../dist/scope.js';
import { download } from '../../dist/tensor.js';
import { classSample } from '../../dist/train/samples/class.js';
import { SIZES, shareOf, sizeOf } from './figures.mjs';
import { bestRule, insideOf } from './hu-rule.mjs';

const NAMES = ['aml', 'cystic', 'solid'];
const greatest = (p) => p.indexOf(Math.max(...p));

/** One mass, named from its eight mirror images and from one image alone. */
function mass(
  seed,
  device,
  { network, shape, spacing, margin = 0, window, contour, phases, secondImage },
) {
  const crop = { shape, step: spacing[0], margin };
  const { level, width } = window;
  const hu = { low: level - width / 2, high: level + width / 2 };
  return scope(async () => {
    const s = classSample(device, seed, crop, { window: hu, contour, phases, secondImage });
    const named = [probabilitiesOf(network, s.image), softmax(network.infer(s.image))];
    const [image, ...classes] = await download([s.image, ...named]);
    const [right, alone] = classes.map((p) => greatest([...p]) === s.class);
    const { diameterMm, rough } = s;
    return {
      // Where the mask is beside the CT and not cut out of it.
      inside: contour === 'channel' ? insideOf(image, shape, window) : undefined,
      ...{ right, alone, truth: s.class, rough, size: sizeOf(diameterMm), large: diameterMm >= 10 },
      ...{ class: NAMES[s.class], phase: s.phases.join(', then ') },
    };
  });
}

/** @param seeds - of the masses, one each; twelve in a row hold each pair of class and phase once */
export async function measureContours(seeds, { device, weights, twoPhases }) {
  const all = [];
  const classifier = twoPhases ? weights.twoPhaseClassifier : weights.classifier;
  for (const seed of seeds) all.push(await mass(seed, device, classifier));
  const right = (m) => m.right;
  const alone = (m) => m.alone;
  const say = (what, list, holds = right) => console.log(`  ${what}: ${shareOf(list, holds)}`);
  say('class right, mean over mirror images', all);
  say(
    '  at least 10 mm',
    all.filter((m) => m.large),
  );
  for (const [name, rough] of [
    ['contours that err a little', false],
    ['contours that err by millimetres', true],
  ]) {
    const list = all.filter((m) => m.rough === rough);
    say(name, list);
    say(
      '  at least 10 mm',
      list.filter((m) => m.large),
    );
  }
  for (const s of SIZES)
    say(
      `${s} mm`,
      all.filter((m) => m.size === s),
    );
  if (all.every((m) => m.inside)) {
    const large = all.filter((m) => m.large);
    for (const [name, list] of [
      ['', all],
      [' of at least 10 mm', large],
    ]) {
      const { share, cut, right: ruled } = bestRule(list);
      const cuts = `more than ${Math.round(100 * share)} % below -20 HU AML, median below ${cut} HU cystic`;
      say(`HU alone${name} (${cuts}: the best cuts for these very masses)`, list, ruled);
      const only = (a, b) => list.filter((m) => a(m) && !b(m)).length;
      console.log(
        `    right by the network alone ${only(right, ruled)}, by HU alone ${only(ruled, right)}`,
      );
    }
  }
  say('one image alone', all, alone);
  for (const key of ['class', 'phase'])
    for (const value of new Set(all.map((m) => m[key])))
      say(
        `  ${value}`,
        all.filter((m) => m[key] === value),
        alone,
      );
}
