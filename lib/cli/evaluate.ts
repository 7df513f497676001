/** What `renvox evaluate` does: a cohort in, the study's tables out. */
import { basename, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { invalidArgument, RenvoxError } from '../errors.js';
import {
  type CohortEvaluation,
  compareSystems,
  evaluateCohort,
  evaluateLesions,
  type LabelScheme,
  PROTOCOLS,
  type Protocol,
  parseScheme,
  SCHEMES,
} from '../evaluate/index.js';
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
    .requiredOption('--out <folder>', 'where the tables go')
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
  out: string;
  resume?: boolean | undefined;
  json?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes the report and returns what goes to stdout, the tables as Markdown or the summary as JSON, and how many cases failed.
 * @throws RenvoxError as evaluateCohort and evaluateLesions; InvalidArgument where neither folders nor lesions are given
 */
export async function evaluateCommand(
  options: EvaluateCommandOptions,
): Promise<{ text: string; failed: number }> {
  const { truth, prediction, lesions, out, json = false, signal } = options;
  const print = (summary: object, tables: Parameters<typeof markdownOf>[0][]) =>
    json
      ? `${JSON.stringify(summary, null, 2)}\n`
      : [`> ${DISCLAIMER}`, '', ...tables.map(markdownOf)].join('\n');
  const software = softwareVersion();
  if (options.compare !== undefined) {
    const [a, b] = options.compare;
    const other = lesions ?? prediction;
    if (options.compare.length !== 2 || a === undefined || b === undefined || other !== undefined)
      throw invalidArgument('--compare', 'two folders, and --truth alone beside them', [
        ...options.compare,
        ...(other === undefined ? [] : [other]),
      ]);
    const { folders, failed } =
      truth === undefined
        ? { folders: [a, b] as const, failed: 0 }
        : await evaluateBoth([a, b], truth, options);
    const { summary, tables } = await compareSystems(...folders, out, { signal, software });
    return { text: print(summary, [...tables]), failed };
  }
  if (lesions !== undefined) {
    if (truth !== undefined || prediction !== undefined)
      throw invalidArgument('--lesions', 'no --truth and --prediction beside it', lesions);
    const { summary, tables } = await evaluateLesions(lesions, out, { signal, software });
    return { text: print(summary, [...tables]), failed: 0 };
  }
  if (truth === undefined || prediction === undefined)
    throw invalidArgument('--truth and --prediction', 'two folders (or --lesions)', undefined);
  const { summary, tables, failed } = await evaluateFolders(out, truth, prediction, options);
  return { text: print(summary, [...tables]), failed: failed.length };
}

/** Two folders of predictions against one truth, each into a folder of its own in the output. */
async function evaluateBoth(
  predictions: readonly [string, string],
  truth: string,
  options: EvaluateCommandOptions,
): Promise<{ folders: readonly [string, string]; failed: number }> {
  const names = predictions.map((folder) => basename(resolve(folder)));
  const apart = names[0] === names[1] ? ['a', 'b'] : names;
  const folders = apart.map((name) => join(options.out, name)) as [string, string];
  let failed = 0;
  for (const k of [0, 1] as const)
    failed += (await evaluateFolders(folders[k], truth, predictions[k], options)).failed.length;
  return { folders, failed };
}

/** Measures and writes a cohort, and tells of each case on stderr. */
async function evaluateFolders(
  out: string,
  truth: string,
  prediction: string,
  options: EvaluateCommandOptions,
): Promise<CohortEvaluation> {
  const done = await evaluateCohort(out, {
    ...{ truth, prediction, signal: options.signal, software: softwareVersion() },
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
  });
  for (const { case: id, status, reason } of done.failed)
    if (status !== 'failed') console.error(`${id}: ${reason}`);
  return done;
}

/** A preset, or a JSON file. @throws RenvoxError FileNotFound, InvalidFile, InvalidArgument */
export async function schemeOf(labels: string): Promise<LabelScheme> {
  if (labels === 'renvox' || labels === 'kits') return SCHEMES[labels];
  const text = (await readInput(labels, ' (presets are renvox and kits)')).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RenvoxError(
      'InvalidFile',
      `${labels} is no JSON: ${reason}`,
      { file: labels },
      { cause },
    );
  }
  return parseScheme(json);
}
