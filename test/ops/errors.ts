/**
 * The largest error of each operation, written down as the tests of test/ops compare: a JSON line a subtest goes to the file that RENVOX_ERRORS names,
 * { device, errors: { operation: error } }, with the precision of products and the 16-bit type of the result where there is one. null: nothing that it had a part in was
 * compared with a tolerance. Without the variable nothing is done.
 *
 * An error belongs to the operations that ran since the comparison before: of these to those whose names begin as the test file's does
 * (conv3d-precision.test.ts: conv3d, conv3dGradInput), or else to all but what makes inputs.
 */
import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Device } from 'renvox';

const file = process.env.RENVOX_ERRORS;
const subject = basename(process.argv[1] ?? '').split(/[.-]/)[0] as string;
const INPUTS = new Set(['fill', 'randomNormal', 'cast']);

let errors = new Map<string, number | null>();
let since = new Set<string>();
let compared = false;

/** Names what the device runs from now on. */
export function watchErrors(device: Device): void {
  if (!file) return;
  errors = new Map();
  since = new Set();
  const run = device.run.bind(device);
  device.run = (name, fields) => {
    if (compared) since.clear();
    compared = false;
    const made = run(name, fields);
    const { precision } = fields as { precision?: unknown };
    const products = precision === 'bf16' || precision === 'fp16' ? ` ${precision}` : '';
    const dtype = made[0]?.dtype;
    const stored = dtype === 'bf16' || dtype === 'f16' ? ` to ${dtype}` : '';
    const full = `${name}${products}${stored}`;
    since.add(full);
    if (!errors.has(full)) errors.set(full, null);
    return made;
  };
}

/** Records the error of what ran last, and returns it. */
export function noteError(error: number): number {
  compared = true;
  const own = [...since].filter((name) => name.startsWith(subject));
  const made = [...since].filter((name) => !INPUTS.has(name));
  for (const name of own.length > 0 ? own : made.length > 0 ? made : since)
    errors.set(name, Math.max(errors.get(name) ?? 0, error));
  return error;
}

/** At the end of a subtest. */
export function writeErrors(device: Device): void {
  if (!file) return;
  // JSON has no Infinity.
  const told = [...errors].map(([name, e]) => [name, e === null ? null : Math.min(e, 1e308)]);
  appendFileSync(
    file,
    `${JSON.stringify({ device: device.kind, errors: Object.fromEntries(told) })}\n`,
  );
}
