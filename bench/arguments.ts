/** The command line of the benches. */
import { parseArgs } from 'node:util';
import { PEERS } from './peers.js';
import type { BenchOptions } from './row.js';

/** What counts on the simulated GPU instead of measuring time. */
export const COUNTING: readonly string[] = ['kernels', 'kernels-step'];

/** What was asked for, or what is wrong with it. */
export type Asked =
  | { readonly names: readonly string[]; readonly json: boolean; readonly options: BenchOptions }
  | { readonly fault: string };

const NAMED = { samples: 9, networkSamples: 9, patience: 20, brief: false };
/** All benches together shall end within ten minutes. */
const ALL = { ...NAMED, samples: 3, patience: 5, brief: true };

/** Reads arguments; `known` are the benches that there are. */
export function readArguments(args: readonly string[], known: readonly string[]): Asked {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return { fault: (error as Error).message };
  }
  const { values, positionals } = parsed;
  const { device = 'cpu', peer, samples } = values;
  if (device !== 'cpu' && device !== 'cuda-sim')
    return {
      fault: `Expected cpu or cuda-sim for --device but received ${device} (a GPU's times: npm run gpu-check)`,
    };
  if (peer !== undefined && peer !== 'none' && !PEERS.includes(peer as (typeof PEERS)[number]))
    return { fault: `Expected none or one of ${PEERS.join(', ')} for --peer but received ${peer}` };
  if (samples !== undefined && !(Number.isInteger(Number(samples)) && Number(samples) >= 1))
    return { fault: `Expected a positive integer for --samples but received ${samples}` };
  const simulated = device === 'cuda-sim';
  const offered = simulated ? COUNTING : known.filter((name) => !COUNTING.includes(name));
  const unknown = positionals.filter((name) => !offered.includes(name));
  if (unknown.length > 0) {
    const hint = simulated ? '' : ` (with --device cuda-sim: ${COUNTING.join(', ')})`;
    return {
      fault: `Expected some of ${offered.join(', ')}${hint} but received ${unknown.join(', ')}`,
    };
  }
  const usual = positionals.length > 0 && !values.brief ? NAMED : ALL;
  return {
    names: positionals.length > 0 ? positionals : offered,
    json: values.json ?? false,
    options: {
      ...usual,
      ...(samples === undefined
        ? {}
        : { samples: Number(samples), networkSamples: Number(samples) }),
      peer,
      large: values.large ?? false,
    },
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      large: { type: 'boolean' },
      brief: { type: 'boolean' },
      device: { type: 'string' },
      peer: { type: 'string' },
      samples: { type: 'string' },
    },
  });
}
