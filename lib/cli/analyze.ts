/** `renvox analyze`: a CT in, label map, report and preview out. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { checkWritable } from '../atomic-write.js';
import { invalidArgument, unfitArgument } from '../errors.js';
import type { GradCamMethod } from '../nn/index.js';
import { refuseInputs } from '../not-an-input.js';
import type { PhaseName } from '../pipeline/index.js';
import { EXIT, interruptSignal } from './exit.js';

interface Options {
  out?: string;
  weights?: string;
  device: 'auto' | 'cpu' | 'cuda';
  precision?: 'fp32' | 'bf16' | 'fp16';
  phase?: { name: PhaseName; path: string };
  ownPhase?: PhaseName;
  gradCam?: boolean | GradCamMethod;
  gradCamLayer?: string;
  dryRun?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('analyze')
    .description(
      'find kidneys and masses on an abdominal CT and name each mass (not a medical device)',
    )
    .argument('<input>', 'CT as .nii or .nii.gz')
    .option('--out <dir>', 'folder for labels.nii.gz, report.json, preview.png')
    .option(
      '--weights <dir>',
      'folder with kidney, mass and class.safetensors, or with one-stage and class.safetensors alone (default: the shipped ones)',
    )
    .addOption(
      new Option('--device <kind>', 'where to compute')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .addOption(
      new Option(
        '--precision <type>',
        "of the networks' convolutions (default: fp32 on the CPU, bf16 on a GPU)",
      ).choices(['fp32', 'bf16', 'fp16']),
    )
    .option(
      '--phase <name=file>',
      'a second phase of the same patient, for enhancement: unenhanced, cmp, np or excretory',
      phaseOf,
    )
    .addOption(
      new Option('--own-phase <name>', 'the phase of the CT itself (default: not known)').choices(
        phases,
      ),
    )
    .addOption(
      new Option('--grad-cam [method]', 'also write gradcam.nii.gz: where the classifier looked')
        .choices(['grad-cam', 'grad-cam++'])
        .preset('grad-cam'),
    )
    .option(
      '--grad-cam-layer <name>',
      'of the classifier, layer2 say (default: its last of at least 4 voxels a side)',
    )
    .option('--dry-run', 'say what would be done and the memory it would take')
    .option('--json', 'the report on stdout, and nothing else there')
    .option('--quiet', 'no progress')
    .action(run);
}

async function run(input: string, options: Options, command: Command): Promise<void> {
  const say = (line: string) => {
    if (!options.quiet) console.error(line);
  };
  const pipeline = await import('../pipeline/index.js');
  const { out } = options;
  if (out !== undefined) await checkOut(out, input, options);
  if (options.dryRun) {
    const plan = await pipeline.planAnalysis(input, {
      phase: options.phase?.path,
      gradCam: requestOf(options) !== undefined,
    });
    console.log(options.json ? JSON.stringify(plan, null, 2) : planText(plan));
    return;
  }
  if (out === undefined)
    return command.error("error: required option '--out <dir>' not specified", {
      exitCode: EXIT.usage,
    });
  const { device } = await import('../device.js');
  const { readVolume } = await import('../volume/index.js');
  const { softwareVersion } = await import('./version.js');
  const signal = interruptSignal();
  const gpu = device(options.device);
  try {
    say(`reading ${input}`);
    const ct = await readVolume(input, { signal });
    const second = options.phase && {
      name: options.phase.name,
      ct: await readVolume(options.phase.path, { signal }),
    };
    const finding = await pipeline.analyze(ct, {
      phase: second,
      ownPhase: options.ownPhase,
      gradCam: requestOf(options),
      device: gpu,
      signal,
      precision: options.precision,
      ...(options.weights === undefined ? {} : { weights: options.weights }),
      onProgress: ({ stage, done, total }) => say(`[${done}/${total}] ${stage}`),
    });
    const report = pipeline.makeReport(ct, finding, softwareVersion());
    await pipeline.writeFinding(out, ct, finding, report, { signal });
    for (const warning of report.warnings) console.error(`warning: ${warning}`);
    if (options.json) console.log(JSON.stringify(report, null, 2));
    else console.log(pipeline.reportText(report));
    say(
      `wrote ${pipeline.filesOf(finding).join(', ')} to ${out}; the analysis took ${report.timings_s.total.toFixed(1)} s`,
    );
  } finally {
    gpu.dispose();
  }
}

/** Before anything is read: whether the folder can be written to, and holds nothing that is read under a name that is written. */
async function checkOut(out: string, input: string, { phase }: Options): Promise<void> {
  const { GRAD_CAM_FILE, OUTPUT_FILES } = await import('../pipeline/output.js');
  if (out === '') throw invalidArgument('--out', 'the path of a folder', out);
  if ((await stat(out).catch(() => undefined))?.isDirectory() === false)
    throw unfitArgument('--out', 'a folder, there or not', `${out}, which is a file`);
  const written = [...OUTPUT_FILES, GRAD_CAM_FILE].map((name) => join(out, name));
  await refuseInputs('--out', out, written, [input, phase?.path]);
  await checkWritable(out);
}

const phases: readonly PhaseName[] = ['unenhanced', 'cmp', 'np', 'excretory'];

function phaseOf(text: string, before: Options['phase']): NonNullable<Options['phase']> {
  if (before !== undefined)
    throw new InvalidArgumentError('One second phase is compared; it was given twice.');
  const at = text.indexOf('=');
  const name = phases.find((p) => p === text.slice(0, at));
  const path = text.slice(at + 1);
  if (at < 0 || name === undefined || path === '')
    throw new InvalidArgumentError(`Expected NAME=FILE with ${phases.join(', ')} as NAME.`);
  return { name, path };
}

function requestOf({ gradCam, gradCamLayer: layer }: Options) {
  if (gradCam === undefined && layer === undefined) return undefined;
  const method = gradCam === 'grad-cam++' ? gradCam : 'grad-cam';
  return { method, ...(layer === undefined ? {} : { layer }) } as const;
}

function planText(
  plan: Awaited<ReturnType<typeof import('../pipeline/index.js')['planAnalysis']>>,
): string {
  const { input, stages, memory_mb: memory, outputs } = plan;
  return [
    `input: ${input.shape.join(' x ')} voxels of ${input.spacing_mm.map((mm) => mm.toFixed(2)).join(' x ')} mm`,
    ...stages.map((s, i) => `${i + 1}. ${s}`),
    `memory: about ${memory.total} MB (CT ${memory.ct}, label maps ${memory.labels}, networks ${memory.networks}, Node ${memory.node})`,
    `would write: ${outputs.join(', ')}`,
  ].join('\n');
}
