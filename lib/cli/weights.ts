/** `renvox weights`: import, export and show weights files. */
import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { unfitArgument } from '../errors.js';
import type { ImportReport, WeightsDescription } from '../nn/index.js';

interface ImportCommand {
  out: string;
  geometry: 'dilated' | 'strided';
  classes: number;
  hidden: number;
  seed: number;
  json?: boolean;
}

/** Declares the commands. */
export function register(program: Command): void {
  const weights = program.command('weights').description('import, export and show weights files');
  weights
    .command('import')
    .description("make a classifier of MedicalNet's ResNet-10 (nothing in the file is executed)")
    .argument('<file>', '.pth as PyTorch writes it, before 1.6 or since, or .safetensors')
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .addOption(
      new Option('--geometry <name>', "dilated is MedicalNet's own function, strided MONAI's")
        .choices(['dilated', 'strided'])
        .default('dilated'),
    )
    .option('--classes <n>', 'classes of the new head', wholeNumber, 3)
    .option('--hidden <n>', 'units of its hidden layer', wholeNumber, 128)
    .option('--seed <n>', 'of its weights', wholeNumber, 0)
    .option('--json', 'what became of each key, as JSON')
    .action(runImport);
  weights
    .command('export')
    .description('a network as ONNX, with its grid, window, orientation and labels in the metadata')
    .argument('<file>', '.safetensors that renvox wrote')
    .requiredOption('--out <file>', 'the .onnx file to write')
    .action(runExport);
  weights
    .command('show')
    .description('what a file holds: architecture, keys, shapes, metadata, hash')
    .argument('<file>', '.safetensors, .pth or .onnx')
    .option('--json', 'as JSON')
    .option('--preset', 'only the preset that it was trained by, as JSON for train --preset')
    .action(runShow);
}

/**
 * Refuses to write over the file that is read, by whatever name.
 * @throws RenvoxError InvalidArgument
 */
async function checkOther(path: string, out: string): Promise<void> {
  const [from, to] = await Promise.all(
    [path, out].map((name) => stat(name, { bigint: true }).catch(() => undefined)),
  );
  if (from && to && from.dev === to.dev && from.ino === to.ino)
    throw unfitArgument('--out', 'another file than the one that is read', out);
}

async function runImport(path: string, options: ImportCommand): Promise<void> {
  await checkOther(path, options.out);
  const { importWeights, saveNetwork } = await import('../nn/index.js');
  const { device } = await import('../device.js');
  const { geometry, classes, hidden, seed } = options;
  using cpu = device('cpu');
  const from = { geometry, classes, hidden, seed, device: cpu };
  const { network, report, metadata } = await importWeights(path, from);
  await saveNetwork(options.out, network, metadata);
  console.log(options.json ? JSON.stringify(report, null, 2) : importText(report));
  console.error(`wrote ${options.out}`);
}

async function runExport(path: string, { out }: { out: string }): Promise<void> {
  await checkOther(path, out);
  const { loadNetwork } = await import('../nn/index.js');
  const { saveOnnx } = await import('../onnx/index.js');
  const { device } = await import('../device.js');
  const { softwareVersion } = await import('./version.js');
  using cpu = device('cpu');
  const { network, metadata, sha256 } = await loadNetwork(path, { device: cpu });
  const source = { ...softwareVersion(), weights_sha256: sha256 };
  await saveOnnx(out, network, metadata, { source });
  console.error(`wrote ${out}`);
}

async function runShow(path: string, options: { json?: boolean; preset?: boolean }): Promise<void> {
  const { describeWeights, readWeightsFile } = await import('../nn/index.js');
  const { describeOnnx } = await import('../onnx/index.js');
  // A protocol buffer has no magic number: the name tells.
  const description = path.toLowerCase().endsWith('.onnx')
    ? describeOnnx(await readWeightsFile(path))
    : await describeWeights(path);
  if (options.preset) console.log(JSON.stringify(await presetOf(path, description), null, 2));
  else console.log(options.json ? JSON.stringify(description, null, 2) : showText(description));
}

/** @throws RenvoxError InvalidWeights where the file names no preset */
async function presetOf(path: string, { metadata }: WeightsDescription): Promise<unknown> {
  const { training } = metadata as { training?: { preset?: unknown } | null };
  const preset = training?.preset;
  if (preset !== undefined) return preset;
  const { RenvoxError } = await import('../errors.js');
  const message = `Expected a preset in the metadata (training.preset) but ${path} has none`;
  throw new RenvoxError('InvalidWeights', message, { path });
}

const size = (shape: readonly number[]) => `[${shape.join(', ')}]`;

function importText({ file, architecture, taken, leftOut, made }: ImportReport): string {
  const width = Math.max(...taken.map(({ from }) => from.length));
  return [
    `file: ${file.format}, ${file.bytes} bytes, sha256 ${file.sha256}`,
    `network: ${JSON.stringify(architecture)}`,
    `taken, ${taken.length}:`,
    ...taken.map(
      (t) =>
        `  ${t.from.padEnd(width)} ${t.dtype} ${size(t.shape)}${t.from === t.name ? '' : ` as ${t.name}`}`,
    ),
    `left out, ${leftOut.length}:`,
    ...leftOut.map((t) => `  ${t.name} ${t.dtype} ${size(t.shape)}: ${t.why}`),
    `new, from the seed, ${made.length}:`,
    ...made.map((t) => `  ${t.name} ${t.dtype} ${size(t.shape)}`),
  ].join('\n');
}

function showText({ tensors, ...d }: WeightsDescription): string {
  const width = Math.max(0, ...tensors.map(({ name }) => name.length));
  return [
    `${d.format}, ${d.bytes} bytes, sha256 ${d.sha256}`,
    `architecture: ${d.architecture === null ? 'not said' : JSON.stringify(d.architecture)}`,
    ...Object.entries(d.metadata).map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
    `${tensors.length} tensors, ${d.values} values:`,
    ...tensors.map((t) => `  ${t.name.padEnd(width)} ${t.dtype} ${size(t.shape)}`),
  ].join('\n');
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('Expected an integer of at least 0.');
  return value;
}
