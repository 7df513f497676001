// `npm run study [-- --out DIR --tiny | --full --steps N --device KIND]`: the renal study's experiments on phantoms (docs/training.md). Stopped or
// killed, the same command goes on.
import { parseArgs } from 'node:util';
import { softwareVersion } from '../dist/cli/version.js';
import { device, isRenvoxError } from '../dist/index.js';
import { runStudy, studyPlan } from '../dist/study/index.js';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    tiny: { type: 'boolean' },
    full: { type: 'boolean' },
    steps: { type: 'string' },
    device: { type: 'string', default: 'auto' },
  },
});
const size = values.full ? 'full' : values.tiny ? 'tiny' : 'default';
const out = values.out ?? `study-${size}`;
const plan = studyPlan(size, values.steps === undefined ? undefined : Number(values.steps));
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('interrupted')));
const d = device(values.device);
if (size === 'full' && d.kind === 'cpu')
  console.error(
    '--full is the study’s own size: days to weeks on a CPU. It goes on when it is started again.',
  );
try {
  const { tables } = await runStudy(out, plan, {
    ...{ device: d, signal: stop.signal, software: softwareVersion() },
    say: (line) => console.error(line),
  });
  console.log(tables);
} catch (error) {
  if (!isRenvoxError(error)) throw error;
  console.error(`study: ${error.code}: ${error.message}`);
  process.exitCode = error.code === 'AbortError' ? 130 : 1;
} finally {
  d.dispose();
}
