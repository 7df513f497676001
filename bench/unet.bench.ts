/**
 * The study's U-Net (16 to 256 channels, two classes) over a volume of 128^3: time of a forward pass and the most memory that the process
 * was resident with, each in a process of its own, by the plan for inference and by the eager form.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Row } from './row.js';

const program = fileURLToPath(new URL('unet-forward.js', import.meta.url));

export async function* bench(): AsyncIterable<Row> {
  for (const form of ['infer', 'forward']) {
    const { stdout } = await promisify(execFile)(process.execPath, [program, form]);
    yield { name: `unet/128^3 16..256 ${form}`, ...(JSON.parse(stdout) as Record<string, number>) };
  }
}
