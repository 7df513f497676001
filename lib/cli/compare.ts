/** What `renvox compare` does: two label maps in, their agreement out. */
import type { Command } from 'commander';
import { invalidArgument, isRenvoxError, RenvoxError } from '../errors.js';
import { type Agreement, type Comparison, compare, comparisonJson } from '../metrics/index.js';
import { readVolume } from '../volume/index.js';
import { interruptSignal } from './exit.js';

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('compare')
    .description('Dice, IoU, Hausdorff and surface distances of two label maps on one grid')
    .argument('<truth>', 'label map as .nii or .nii.gz')
    .argument('<prediction>', 'label map on the same grid')
    .option('--labels <list>', 'labels to compare, as 1,2 (default: all that occur)', parseLabels)
    .option('--json', 'figures as JSON on stdout; what is infinite or undefined is null')
    .action(
      async (truth: string, prediction: string, options: { labels?: number[]; json?: boolean }) => {
        process.stdout.write(
          await compareCommand(truth, prediction, { ...options, signal: interruptSignal() }),
        );
      },
    );
}

export interface CompareCommandOptions {
  /** Default: all labels that occur. */
  labels?: readonly number[] | undefined;
  json?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Compares two NIfTI label maps and returns what goes to stdout.
 * @throws RenvoxError as readVolume and compare; ShapeMismatch where the two files differ in shape, spacing or affine; InvalidFile
 * where voxels are no labels (negative, above 255, not integer)
 */
export async function compareCommand(
  truthPath: string,
  predictionPath: string,
  options: CompareCommandOptions = {},
): Promise<string> {
  const { labels, json = false, signal } = options;
  const [truth, prediction] = await Promise.all([
    readVolume(truthPath, { signal }),
    readVolume(predictionPath, { signal }),
  ]);
  const comparison = await compare(truth, prediction, {
    ...(labels && { labels }),
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    throw isRenvoxError(error, 'InvalidArgument') && error.details.parameter !== 'labels'
      ? notLabels(truthPath, predictionPath, error)
      : error;
  });
  return json
    ? `${JSON.stringify(comparisonJson(comparison), null, 2)}\n`
    : comparisonText(comparison);
}

/** Voxels that are no labels: for the API a bad argument, here a bad file. */
function notLabels(truth: string, prediction: string, cause: RenvoxError): RenvoxError {
  const { parameter, expected, received } = cause.details;
  const file = { truth, prediction }[String(parameter)];
  return new RenvoxError(
    'InvalidFile',
    file === undefined
      ? `Expected label maps but ${truth} or ${prediction} is none: ${cause.message}`
      : `Expected ${expected} in ${file} but found ${String(received)}`,
    { truth, prediction },
    { cause },
  );
}

/**
 * Labels of an option like `--labels 1,2`.
 * @throws RenvoxError InvalidArgument
 */
export function parseLabels(text: string): number[] {
  const labels = text.split(',').map((part) => part.trim());
  if (!labels.every((part) => /^\d{1,3}$/.test(part) && Number(part) >= 1 && Number(part) <= 255))
    throw invalidArgument('--labels', 'numbers from 1 to 255 with commas between', text);
  return labels.map(Number);
}

/** A table for people, with the rule for empty masks where it was needed. */
export function comparisonText(comparison: Comparison): string {
  const head = ['label', 'dice', 'iou', 'hausdorff mm', 'hd95 mm', 'assd mm', 'truth', 'predicted'];
  const entries = Object.entries(comparison.labels);
  const rows = entries.map(([label, agreement]) => [label, ...figures(agreement)]);
  if (entries.length > 1) rows.push(['all', ...figures(comparison)]);
  const table = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...table.map((row) => (row[i] as string).length)));
  const lines = table.map((row) =>
    row
      .map((cell, i) => cell.padStart(widths[i] as number))
      .join('  ')
      .trimEnd(),
  );
  if (entries.length === 0) lines.push('no label occurs in either map');
  if (entries.some(([, { state }]) => state !== 'normal'))
    lines.push('one map empty: dice and iou 0, distances infinite; both empty: undefined (-)');
  return `${lines.join('\n')}\n`;
}

function figures(a: Agreement): string[] {
  const text = (n: number, digits: number) =>
    Number.isNaN(n) ? '-' : Number.isFinite(n) ? n.toFixed(digits) : 'inf';
  return [
    text(a.dice, 4),
    text(a.iou, 4),
    text(a.hausdorff, 2),
    text(a.hd95, 2),
    text(a.assd, 3),
    String(a.voxelsTruth),
    String(a.voxelsPrediction),
  ];
}
