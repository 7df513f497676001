/** `renvox train`: a network from a preset, on phantoms or on a folder of labelled CTs. */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { RenvoxError } from '../errors.js';
import type { Preset, TrainProgress } from '../train/index.js';
import { interruptSignal } from './exit.js';

interface Options {
  preset: string;
  data: string;
  out: string;
  steps?: number;
  resume?: boolean;
  device: 'auto' | 'cpu' | 'cuda';
  quiet?: boolean;
}

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('train')
    .description('train a network and keep its weights, log and checkpoints in a folder')
    .requiredOption('--preset <file|name>', 'kidney, mass, class, paper, or a JSON file like them')
    .requiredOption('--data <dir|phantom>', 'phantom, or a folder of case_*/{ct,labels}.nii.gz')
    .requiredOption('--out <run>', 'folder for preset.json, log.jsonl, checkpoints and weights')
    .option('--steps <n>', "steps to train for, instead of the preset's", wholeNumber)
    .option('--resume', 'go on from the checkpoint in the folder, if there is one')
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
  const { folderSampler, phantomSampler, train } = await import('../train/index.js');
  const signal = interruptSignal();
  const say = (line: string) => {
    if (!options.quiet) process.stderr.write(`${line}\n`);
  };
  const named = await presetOf(options.preset);
  const preset = { ...named, steps: options.steps ?? named.steps };
  const d = device(options.device);
  try {
    const onCase = (name: string) => say(`read ${name}`);
    const sampler =
      options.data === 'phantom'
        ? phantomSampler(preset)
        : await folderSampler(preset, options.data, { device: d, signal, onCase });
    say(
      `training ${preset.name} on ${sampler.source}, ${d.kind}; Ctrl-C stops and keeps a checkpoint`,
    );
    const live = new Progress(preset, !options.quiet);
    const result = await train(preset, {
      ...{ out: options.out, sampler, device: d, signal },
      resume: options.resume ?? false,
      onProgress: (progress) => live.show(progress),
    }).finally(() => live.end());
    console.log(`${result.weights}`);
    say(`${result.steps} steps, ${figures(preset, result.validation.perClass)}`);
  } finally {
    d.dispose();
  }
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
    readonly wanted: boolean,
  ) {
    this.#live = wanted && process.stderr.isTTY === true;
  }

  show(progress: TrainProgress): void {
    if (!this.wanted) return;
    const { done, total, loss, validation, stepsPerSecond, secondsLeft } = progress;
    if (validation) this.#figures = `  ${figures(this.preset, validation.perClass)}`;
    const left = secondsLeft > 0 ? `  ${clock(secondsLeft)} left` : '';
    const line = `step ${done}/${total}  loss ${loss.toFixed(4)}${this.#figures}  ${stepsPerSecond.toFixed(2)} steps/s${left}`;
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

function figures({ task }: Preset, perClass: readonly (number | null)[]): string {
  const names = {
    kidney: ['kidney'],
    mass: ['kidney', 'mass'],
    class: ['aml', 'cystic', 'solid'],
  }[task];
  const list = perClass.map((v, i) => `${names[i] ?? i + 1} ${v === null ? '-' : v.toFixed(3)}`);
  return `${task === 'class' ? 'recall' : 'Dice'} ${list.join(', ')}`;
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected an integer of at least 1.');
  return value;
}
