/** What `renvox evaluate` does: a cohort in, the study's tables out. */
import { basename, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { RenvoxError } from '../errors.js';
import {
  type CohortEvaluation,
  type CohortOptions,
  compareSystems,
  evaluateCohort,
  evaluateLesions,
  type LabelScheme,
  PROTOCOLS,
  type Protocol,
  parseScheme,
  SCHEMES,
} from '../evaluate/index.js';
import { checkOutput } from '../evaluate/output-folder.js';
import { readInput } from '../evaluate/read-input.js';
import { DISCLAIMER } from '../evaluate/report.js';
import { markdownOf } from '../evaluate/table.js';
import { DIAMETERS, type DiameterName } from '../metrics/diameter.js';
import { EXIT, interruptSignal } from './exit.js';
import { softwareVersion } from './version.js';

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('evaluate')
    .description("the study's tables of a cohort, every figure with its 95 % interval")
    .option('--truth <folder>', 'true label maps: ID.nii.gz, or ID/labels.nii.gz')
    .option('--prediction <folder>', 'predicted label maps of the same cases')
    .option(
      '--labels <file>',
      'renvox, kits, or JSON {value: {structure, side?, class?}}; default: as the protocol',
    )
    .option('--prediction-labels <file>', 'the same of the predictions, where theirs are others')
    .addOption(
      new Option(
        '--protocol <name>',
        'kits23, kits21 (references sampled from several annotators): the official scores too, as evaluation.csv',
      )
        .choices([...PROTOCOLS])
        .default('renvox'),
    )
    .addOption(
      new Option('--diameter <name>', "a mass's average diameter: of the equal sphere, axial, box")
        .choices(DIAMETERS)
        .default('sphere'),
    )
    .option('--manifest <file>', 'CSV of case,patient,sex,age,phase')
    .option('--on-truth <folder>', 'label maps of what the masses are called on true contours')
    .option('--images <folder>', 'CTs, for the pictures of the worst masses and kidneys')
    .option('--lesions <file>', 'instead of folders: the tables again from a lesions.csv')
    .option(
      '--compare <folders...>',
      'two systems side by side: two folders that evaluate wrote, or with --truth two of predictions',
    )
    .option(
      '--iou <number>',
      'from this IoU on a mass counts as found (default: any shared voxel)',
      Number,
    )
    .option(
      '--pictures <number>',
      'of so many of the worst masses, half as many kidneys (default: 8)',
      Number,
    )
    .option('--replicates <number>', 'of the bootstrap (default: 2000)', Number)
    .option('--seed <number>', 'of the bootstrap (default: 1)', Number)
    .option('--out <folder>', 'where the tables go')
    .option('--resume', 'go on where an earlier run into the folder ended')
    .option('--json', 'summary.json on stdout')
    .action(async (options: EvaluateCommandOptions) => {
      const { text, failed } = await evaluateCommand({ ...options, signal: interruptSignal() });
      process.stdout.write(text);
      if (failed > 0) process.exitCode = EXIT.input;
    });
}

export interface EvaluateCommandOptions {
  truth?: string | undefined;
  prediction?: string | undefined;
  labels?: string | undefined;
  predictionLabels?: string | undefined;
  protocol?: Protocol | undefined;
  diameter?: DiameterName | undefined;
  manifest?: string | undefined;
  onTruth?: string | undefined;
  images?: string | undefined;
  lesions?: string | undefined;
  compare?: readonly string[] | undefined;
  iou?: number | undefined;
  pictures?: number | undefined;
  replicates?: number | undefined;
  seed?: number | undefined;
  out?: string | undefined;
  resume?: boolean | undefined;
  json?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes the report and returns what goes to stdout, the tables as Markdown or the summary as JSON, and how many cases failed.
 * @throws RenvoxError as evaluateCohort, evaluateLesions and compareSystems; InvalidArgument for options that do not go together, or too few
 */
export async function evaluateCommand(
  options: EvaluateCommandOptions,
): Promise<{ text: string; failed: number }> {
  const { truth, prediction, lesions, json = false, signal } = options;
  if (options.compare === undefined && lesions === undefined)
    if (truth === undefined || prediction === undefined)
      throw usage(
        'nothing to evaluate: give --truth and --prediction, or --lesions, or --compare with two folders',
      );
  const { out } = options;
  if (out === undefined) throw usage('--out is missing: the folder where the tables go');
  const print = (summary: object, tables: Parameters<typeof markdownOf>[0][]) =>
    json
      ? `${JSON.stringify(summary, null, 2)}\n`
      : [`> ${DISCLAIMER}`, '', ...tables.map(markdownOf)].join('\n');
  const common = {
    ...{ signal, software: softwareVersion() },
    ...(options.replicates !== undefined && { replicates: options.replicates }),
    ...(options.seed !== undefined && { seed: options.seed }),
  };
  if (options.compare !== undefined) {
    const [a, b] = options.compare;
    if (options.compare.length !== 2 || a === undefined || b === undefined)
      throw usage(`--compare takes two folders, not ${options.compare.length}`);
    if (lesions !== undefined || prediction !== undefined)
      throw usage('--compare goes with --truth alone, without --lesions and --prediction');
    if (truth === undefined) refuseOfFolders('--compare without --truth', options);
    else await checkOutput(out, 'comparison', [a, b, truth]);
    const { folders, failed } =
      truth === undefined
        ? { folders: [a, b] as const, failed: 0 }
        : await evaluateBoth(out, [a, b], truth, options, common);
    const { summary, tables } = await compareSystems(...folders, out, common);
    return { text: print(summary, [...tables]), failed };
  }
  if (lesions !== undefined) {
    if (truth !== undefined || prediction !== undefined)
      throw usage('--lesions goes without --truth and --prediction');
    refuseOfFolders('--lesions', options);
    const { summary, tables } = await evaluateLesions(lesions, out, common);
    return { text: print(summary, [...tables]), failed: 0 };
  }
  const folders = { truth: truth as string, prediction: prediction as string };
  const { summary, tables, failed } = await evaluateFolders(out, folders, options, common);
  return { text: print(summary, [...tables]), failed: failed.length };
}

function usage(message: string): RenvoxError {
  return new RenvoxError('InvalidArgument', message);
}

/** Options that only say how folders are measured would silently do nothing. */
function refuseOfFolders(what: string, options: EvaluateCommandOptions): void {
  for (const [name, flag] of [
    ['labels', '--labels'],
    ['predictionLabels', '--prediction-labels'],
    ['manifest', '--manifest'],
    ['onTruth', '--on-truth'],
    ['images', '--images'],
    ['iou', '--iou'],
    ['pictures', '--pictures'],
  ] as const)
    if (options[name] !== undefined)
      throw usage(`${flag} says how label maps are measured: it does nothing with ${what}`);
}

/** What all three kinds of runs take. */
type Common = Pick<CohortOptions, 'signal' | 'software' | 'replicates' | 'seed'>;

/** Two folders of predictions against one truth, each into a folder of its own in the output. */
async function evaluateBoth(
  out: string,
  predictions: readonly [string, string],
  truth: string,
  options: EvaluateCommandOptions,
  common: Common,
): Promise<{ folders: readonly [string, string]; failed: number }> {
  const names = predictions.map((folder) => basename(resolve(folder)));
  const apart = names[0] === names[1] ? ['a', 'b'] : names;
  const folders = apart.map((name) => join(out, name)) as [string, string];
  let failed = 0;
  for (const [k, prediction] of predictions.entries()) {
    const from = { truth, prediction };
    failed += (await evaluateFolders(folders[k] as string, from, options, common)).failed.length;
  }
  return { folders, failed };
}

/** Measures and writes a cohort, and tells of each case on stderr. */
async function evaluateFolders(
  out: string,
  folders: { readonly truth: string; readonly prediction: string },
  options: EvaluateCommandOptions,
  common: Common,
): Promise<CohortEvaluation> {
  const done = await evaluateCohort(out, {
    ...{ ...folders, ...common, iou: options.iou, pictures: options.pictures },
    manifest: options.manifest,
    ...{ onTruth: options.onTruth, images: options.images, resume: options.resume },
    ...(options.labels !== undefined && { labels: await schemeOf(options.labels) }),
    ...(options.predictionLabels !== undefined && {
      predictionLabels: await schemeOf(options.predictionLabels),
    }),
    ...{ protocol: options.protocol, diameter: options.diameter },
    onProgress: ({ case: id, done, of, error, resumed }) => {
      const what = error ? `failed: ${error}` : resumed ? 'taken from before' : 'measured';
      console.error(`[${done}/${of}] ${id} ${what}`);
    },
    onStage: (stage) => console.error(stage),
  });
  for (const { case: id, text } of done.warnings)
    console.error(`warning: ${id === null ? '' : `${id}: `}${text}`);
  for (const { case: id, status, reason } of done.failed)
    if (status !== 'failed') console.error(`${id}: ${reason}`);
  return done;
}

/** A preset, or a JSON file. @throws RenvoxError FileNotFound, InvalidFile */
export async function schemeOf(labels: string): Promise<LabelScheme> {
  if (labels === 'renvox' || labels === 'kits') return SCHEMES[labels];
  const text = (await readInput(labels, ' (presets are renvox and kits)')).toString('utf8');
  const wrong = (what: string, cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new RenvoxError(
      'InvalidFile',
      `${labels} is no ${what}: ${reason}`,
      { file: labels },
      { cause },
    );
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw wrong('JSON', cause);
  }
  try {
    return parseScheme(json);
  } catch (cause) {
    throw wrong('label scheme', cause);
  }
}
