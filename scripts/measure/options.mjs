// The command line of `npm run measure`.
import { parseArgs } from 'node:util';

/** First seeds. Training has those from its run's own seed (1 or more) times 1e9 on. */
const SEEDS = { phantoms: 31000000, contours: 52000000, components: 71000000 };
const STAGES = ['kidney', 'mass'];

function fail(message) {
  throw new Error(message);
}

function whole(name, text) {
  const n = Number(text);
  return Number.isSafeInteger(n) && n >= 0 && text.trim() !== ''
    ? n
    : fail(`Expected an integer of at least 0 for --${name} but received ${text}`);
}

/**
 * `mass=none` or `mass=1.5,0.5`: a lead, and the share of a component's voxels that must have it; `kidney=4,0.5,50,6,0.8` has other ones behind, for CTs
 * that cover fewer than so many mm.
 */
function beliefOf(text) {
  const [, stage, rule] = /^(\w+)=(.+)$/.exec(text) ?? [];
  const [lead, share, ...more] = (rule ?? '').split(',').map(Number);
  const [below, thinLead, thinShare] = more;
  const sound = (l, s) => l >= 0 && s >= 0 && s <= 1;
  const thin = more.length === 3 && below >= 0 && sound(thinLead, thinShare);
  const whole = sound(lead, share) && (more.length === 0 || thin);
  if (!STAGES.includes(stage) || !(rule === 'none' || whole))
    fail(
      `Expected ${STAGES.join(' or ')}=none, =LEAD,SHARE or =LEAD,SHARE,BELOW,LEAD,SHARE for --belief but received ${text}`,
    );
  if (rule === 'none') return [stage, undefined];
  const shorter = thin ? { thin: { below, lead: thinLead, share: thinShare } } : {};
  return [stage, { lead, share, ...shorter }];
}

/**
 * What to measure. Without a part of it named: 20 phantoms and the CTs.
 * @returns for each part the seeds (`phantoms`, `contours`, `components`), the number of samples (`heldOut`) or whether (`cts`)
 */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      phantoms: { type: 'string' },
      cts: { type: 'boolean' },
      contours: { type: 'string' },
      components: { type: 'string' },
      'held-out': { type: 'string' },
      seed: { type: 'string' },
      weights: { type: 'string' },
      belief: { type: 'string', multiple: true, default: [] },
      pictures: { type: 'string' },
      'two-phases': { type: 'boolean' },
    },
  });
  const parts = ['phantoms', 'cts', 'contours', 'components', 'held-out'];
  const named = parts.some((part) => values[part] !== undefined);
  const asked = named ? values : { phantoms: '20', cts: true };
  const firsts = values.seed?.split(',').map((seed) => whole('seed', seed));
  const seedsOf = (part) => {
    const count = whole(part, asked[part] ?? '0');
    return (firsts ?? [SEEDS[part]]).flatMap((first) =>
      Array.from({ length: count }, (_, k) => first + k),
    );
  };
  return {
    phantoms: seedsOf('phantoms'),
    contours: seedsOf('contours'),
    components: seedsOf('components'),
    heldOut: whole('held-out', asked['held-out'] ?? '0'),
    cts: asked.cts ?? false,
    weights: values.weights,
    belief: Object.fromEntries(values.belief.map(beliefOf)),
    pictures: values.pictures,
    twoPhases: values['two-phases'] ?? false,
  };
}
