// `npm run study [-- --out DIR --tiny | --full --steps N --device KIND --other-code]`: the renal study's experiments on phantoms (docs/training.md).
// Stopped or killed, the same command goes on. Exit code: 0 done, 1 failed, 2 wrong usage (before anything is drawn), 130 interrupted.
import { parseArgs } from 'node:util';
import { softwareVersion } from '../dist/cli/version.js';
import { device, isRenvoxError } from '../dist/index.js';
import { runStudy, studyPlan } from '../dist/study/index.js';

/** What was asked for; undefined, and a line on stderr, where that cannot be. */
function asked() {
  try {
    const { values } = parseArgs({
      options: {
        out: { type: 'string' },
        tiny: { type: 'boolean' },
        full: { type: 'boolean' },
        steps: { type: 'string' },
        device: { type: 'string', default: 'auto' },
        'other-code': { type: 'boolean' },
      },
    });
    const { tiny, full, steps, out } = values;
    if (tiny && full) throw new Error('--tiny and --full exclude each other');
    if (steps !== undefined && !/^[1-9]\d{0,8}$/.test(steps))
      throw new Error(`Expected an integer of at least 1 for --steps but received ${steps}`);
    const size = full ? 'full' : tiny ? 'tiny' : 'default';
    return {
      ...{ size, out: out ?? `study-${size}`, otherCode: values['other-code'] ?? false },
      plan: studyPlan(size, steps === undefined ? undefined : Number(steps)),
      device: device(values.device),
    };
  } catch (error) {
    console.error(`study: ${error.message}`);
    return undefined;
  }
}

async function main({ size, out, otherCode, plan, device: d }) {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  if (size === 'full' && d.kind === 'cpu')
    console.error(
      '--full is the study’s own size: days to weeks on a CPU. It goes on when it is started again.',
    );
  try {
    const { tables } = await runStudy(out, plan, {
      ...{ device: d, signal: stop.signal, software: softwareVersion(), otherCode },
      say: (line) => console.error(line),
    });
    console.log(tables);
    return 0;
  } catch (error) {
    if (!isRenvoxError(error)) throw error;
    console.error(`study: ${error.code}: ${error.message}`);
    return error.code === 'AbortError' ? 130 : 1;
  } finally {
    d.dispose();
  }
}

const wanted = asked();
process.exitCode = wanted ? await main(wanted) : 2;
