/** `renvox train`: a network from a preset, on phantoms or on a folder of labelled CTs. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import type { FolderOptions, Preset, Sampler, Split, TrainProgress } from '../train/index.js';
import { interruptSignal } from './exit.js';
import { softwareVersion } from './version.js';

interface Options {
  preset: string;
  data: string;
  out?: string;
  steps?: number;
  resume?: boolean;
  init?: string;
  massWeights?: string;
  manifest?: string;
  folds?: number;
  fold?: number;
  cache?: string;
  /** Bytes. */
  cacheSize?: number;
  /** Bytes. */
  memory?: number;
  allowEmpty?: boolean;
  check?: boolean;
  preview?: boolean;
  findRate?: boolean;
  device: 'auto' | 'cpu' | 'cuda';
  quiet?: boolean;
}

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('train')
    .description('train a network and keep its weights, log and checkpoints in a folder')
    .requiredOption(
      '--preset <file|name>',
      'kidney, mass, class, class-two-phases, demo, paper-kidney, paper-mass, paper-one-stage, paper-classifier (each with -literal), nnunet, or a JSON file',
    )
    .requiredOption(
      '--data <dir|phantom>',
      'phantom, or a folder in the layout of nnU-Net, KiTS or renvox phantom',
    )
    .option('--out <run>', 'folder for config, log, curves, checkpoints and weights')
    .option('--steps <n>', "steps to train for, instead of the preset's", wholeNumber)
    .option('--resume', 'go on from the checkpoint in the folder, if there is one')
    .option(
      '--init <weights>',
      'weights of the same architecture to begin with, also for --find-rate; with --resume, that the run began with',
    )
    .option(
      '--mass-weights <file>',
      'of the mass network that draws contours for a classifier whose preset has foundContours',
    )
    .option('--manifest <csv>', 'columns case, patient: all cases of a patient on one side')
    .option('--folds <n>', 'patients in this many folds instead of 8:1:1', wholeNumber)
    .option('--fold <k>', 'with --folds: which fold validates, from 0 (default: 0)', Number)
    .option('--cache <dir>', 'keeps preprocessed cases for later runs')
    .option(
      '--cache-size <GB>',
      'most that the cache may hold; the longest unused cases go (default: 20)',
      gigabytes,
    )
    .option(
      '--memory <GB>',
      'of preprocessed cases that are held in memory, the rest is read from the cache (default: 1)',
      gigabytes,
    )
    .option('--allow-empty', 'cases without any label are no problem')
    .option('--check', 'reads and checks the data set, trains nothing')
    .option('--preview', 'writes a picture of augmented samples (preview.png), trains nothing')
    .option('--find-rate', 'raises the learning rate, writes rates.json, trains nothing')
    .addOption(
      new Option('--device <kind>', 'where to compute')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .option('--quiet', 'no progress')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { device } = await import('../device.js');
  const { classNames, train } = await import('../train/index.js');
  const signal = interruptSignal();
  const say = (line: string) => {
    if (!options.quiet) process.stderr.write(`${line}\n`);
  };
  refuseIdle(options);
  const named = await presetOf(options.preset);
  const preset = await forChannels({ ...named, steps: options.steps ?? named.steps }, options.data);
  if (options.check) return check(preset, options, signal);
  const { out } = options;
  if (out === undefined)
    throw new RenvoxError('InvalidArgument', 'Expected --out RUN, or --check', {});
  const d = device(options.device);
  try {
    const sampler = await samplerOf(preset, options, d, signal, say);
    if (options.preview) return await preview(preset, sampler, d, out);
    if (options.findRate) return await rates(preset, sampler, d, { ...options, out }, signal, say);
    say(
      `training ${preset.name} on ${sampler.source}, ${d.kind}; Ctrl-C stops and keeps a checkpoint`,
    );
    const live = new Progress(preset, classNames(preset), !options.quiet);
    const result = await train(preset, {
      ...{ out, sampler, device: d, signal, software: softwareVersion() },
      ...{ resume: options.resume ?? false, init: options.init },
      onProgress: (progress) => live.show(progress),
    }).finally(() => live.end());
    console.log(`${result.weights}`);
    const early = result.stoppedEarly ? ' (stopped early)' : '';
    say(
      `${result.steps} steps${early}, ${figures(preset, classNames(preset), result.validation.perClass)}`,
    );
  } finally {
    d.dispose();
  }
}

/** Options that would change nothing are a slip of whoever gave them. */
function refuseIdle(options: Options): void {
  const refuse = (message: string) => {
    throw new RenvoxError('InvalidArgument', message, {});
  };
  const given = (names: readonly (keyof Options)[]) =>
    names.filter((name) => options[name] !== undefined);
  if (options.fold !== undefined && options.folds === undefined) refuse('--fold needs --folds');
  const [mode, other] = given(['check', 'preview', 'findRate']);
  if (other) refuse(`${flag(other)} beside ${flag(mode as Mode)}: expected one of them`);
  const [idle] = mode ? given(IDLE[mode as Mode]) : [];
  if (idle) refuse(`${flag(idle)} changes nothing with ${flag(mode as Mode)}`);
  if (options.data !== 'phantom') {
    if (options.cacheSize !== undefined && options.cache === undefined)
      refuse('--cache-size needs --cache');
    if (options.massWeights !== undefined)
      refuse('--mass-weights needs --data phantom: labels of a folder are its contours');
    return;
  }
  const [foreign] = given(['manifest', 'folds', 'cacheSize', 'cache', 'memory', 'allowEmpty']);
  if (foreign) refuse(`${flag(foreign)} needs a folder as --data: phantoms are drawn`);
}

type Mode = 'check' | 'preview' | 'findRate';

/** What has no effect where nothing is trained. */
const IDLE: Readonly<Record<Mode, readonly (keyof Options)[]>> = {
  check: ['init', 'resume', 'steps', 'folds', 'cacheSize', 'cache', 'memory'],
  preview: ['init', 'resume', 'steps'],
  findRate: ['resume'],
};

/** allowEmpty as --allow-empty. */
function flag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

async function samplerOf(
  preset: Preset,
  options: Options,
  device: Device,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Sampler> {
  const { folderSampler, phantomSampler } = await import('../train/index.js');
  if (options.data === 'phantom') {
    const { massWeights: file } = options;
    if (file === undefined) return phantomSampler(preset);
    const { loadStage } = await import('../pipeline/networks.js');
    const name = basename(file, '.safetensors');
    return phantomSampler(preset, { finder: await loadStage.unet(device, file, name, 'mass') });
  }
  const split: Split | undefined =
    options.folds === undefined ? undefined : { folds: options.folds, fold: options.fold ?? 0 };
  const settings: FolderOptions = {
    ...{ device, signal, split, manifest: options.manifest, allowEmpty: options.allowEmpty },
    onCase: (name) => say(`read ${name}`),
    cache:
      options.cache === undefined ? undefined : { folder: options.cache, bytes: options.cacheSize },
    memory: options.memory,
  };
  return folderSampler(preset, options.data, settings);
}

/** A preset's network with as many input channels as the data set has. */
async function forChannels(preset: Preset, data: string): Promise<Preset> {
  if (data === 'phantom') return preset;
  const { findDataSet } = await import('../train/index.js');
  const { maskChannels } = await import('../train/preset.js');
  const { channels } = await findDataSet(data);
  const inputChannels = channels.length + maskChannels(preset);
  const { architecture } = preset;
  if ((architecture.config.inputChannels ?? 1) === inputChannels) return preset;
  const config = { ...architecture.config, inputChannels };
  return { ...preset, architecture: { ...architecture, config } as Preset['architecture'] };
}

async function check(preset: Preset, options: Options, signal: AbortSignal): Promise<void> {
  const { checkFolder } = await import('../train/index.js');
  if (options.data === 'phantom')
    throw new RenvoxError('InvalidArgument', '--check needs a folder as --data', {});
  const { manifest, allowEmpty } = options;
  const { layout, channels, cases } = await checkFolder(preset, options.data, {
    ...{ signal, manifest, allowEmpty },
  });
  console.log(`${cases.length} cases, layout ${layout}, channels ${channels.join(', ')}: sound`);
}

async function preview(
  preset: Preset,
  sampler: Sampler,
  device: Device,
  out: string,
): Promise<void> {
  const { previewSamples } = await import('../train/index.js');
  const png = await previewSamples(preset, sampler, device);
  await makeFolder(out);
  const path = join(out, 'preview.png');
  await writeFileAtomic(path, [png]);
  console.log(path);
}

async function rates(
  preset: Preset,
  sampler: Sampler,
  device: Device,
  { out, steps, init }: Options & { out: string },
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const { findRate } = await import('../train/index.js');
  const curve = await findRate(preset, {
    ...{ sampler, device, signal, init, ...(steps ? { steps } : {}) },
  });
  await makeFolder(out);
  const path = join(out, 'rates.json');
  await writeFileAtomic(path, [Buffer.from(`${JSON.stringify(curve)}\n`)]);
  console.log(path);
  say(
    `suggested learning rate: ${curve.suggestion.toPrecision(2)} (preset: ${preset.optimiser.learningRate})`,
  );
}

/** A preset of the package by its name, else one from a file. */
async function presetOf(text: string): Promise<Preset> {
  const { checkPreset, presets } = await import('../train/index.js');
  const known = Object.hasOwn(presets, text) ? presets[text] : undefined;
  if (known) return known;
  let content: string;
  try {
    content = await readFile(text, 'utf8');
  } catch (error) {
    throw new RenvoxError(
      'FileNotFound',
      `There is no preset ${text}: neither one of ${Object.keys(presets).join(', ')} nor a file`,
      { preset: text },
      { cause: error },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RenvoxError('InvalidFile', `${text} is not JSON: ${reason}`, {}, { cause: error });
  }
  return checkPreset(value);
}

/** One line that is rewritten where a person watches; where not, a line at each validation and at most every ten seconds. */
class Progress {
  readonly #live: boolean;
  #figures = '';
  #width = 0;
  #last = 0;

  constructor(
    readonly preset: Preset,
    readonly names: readonly string[],
    readonly wanted: boolean,
  ) {
    this.#live = wanted && process.stderr.isTTY === true;
  }

  show(progress: TrainProgress): void {
    if (!this.wanted) return;
    const { done, total, loss, validation, samplesPerSecond, secondsLeft } = progress;
    if (validation) this.#figures = `  ${figures(this.preset, this.names, validation.perClass)}`;
    const left = secondsLeft > 0 ? `  ${clock(secondsLeft)} left` : '';
    const line = `step ${done}/${total}  loss ${loss.toFixed(4)}${this.#figures}  ${samplesPerSecond.toFixed(2)} samples/s${left}`;
    const now = performance.now();
    if (this.#live) {
      process.stderr.write(`\r${line.padEnd(this.#width)}${validation ? '\n' : ''}`);
      this.#width = validation ? 0 : line.length;
    } else if (validation || now - this.#last > 10_000) {
      process.stderr.write(`${line}\n`);
      this.#last = now;
    }
  }

  end(): void {
    if (this.#width > 0) process.stderr.write('\n');
    this.#width = 0;
  }
}

function figures(
  preset: Preset,
  names: readonly string[],
  perClass: readonly (number | null)[],
): string {
  const list = perClass.map((v, i) => `${names[i] ?? i + 1} ${v === null ? '-' : v.toFixed(3)}`);
  return `${preset.task === 'class' ? 'recall' : 'Dice'} ${list.join(', ')}`;
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function gigabytes(text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0 && value < 1e6))
    throw new InvalidArgumentError('Expected a number of gigabytes.');
  return value * 1e9;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected an integer of at least 1.');
  return value;
}
