/** `renvox classify`: CTs and contours of masses in, label maps of what each mass is called out: what `evaluate --on-truth` reads. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { checkWritable, makeFolder } from '../atomic-write.js';
import { isRenvoxError, RenvoxError } from '../errors.js';
import { refuseInputs } from '../not-an-input.js';
import { EXIT, interruptSignal } from './exit.js';

interface Options {
  images: string;
  contours: string;
  labels: string;
  out: string;
  secondImages?: string;
  weights?: string;
  device: 'auto' | 'cpu' | 'cuda';
  precision?: 'fp32' | 'bf16' | 'fp16';
  json?: boolean;
}

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('classify')
    .description('name masses whose contours are given, case by case (not a medical device)')
    .requiredOption('--images <folder>', 'CTs: ID.nii.gz, ID_0000.nii.gz or ID/imaging.nii.gz')
    .option('--second-images <folder>', 'CTs of the same cases in a second contrast phase')
    .requiredOption('--contours <folder>', 'label maps of the same cases, true ones say')
    .option('--labels <file>', 'what their values mean: renvox, kits or JSON', 'renvox')
    .requiredOption('--out <folder>', 'where ID.nii.gz goes: masses alone, as analyze labels them')
    .option('--weights <dir>', 'folder with the networks (default: the shipped ones)')
    .addOption(
      new Option('--device <kind>', 'where to compute')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .addOption(
      new Option('--precision <type>', "of the network's convolutions").choices([
        ...['fp32', 'bf16', 'fp16'],
      ]),
    )
    .option('--json', 'what each mass is called, on stdout')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { findCases } = await import('../evaluate/find-cases.js');
  const { findImages } = await import('../evaluate/find-images.js');
  const { classifyContours, loadCascade } = await import('../pipeline/index.js');
  const { forPhases } = await import('../pipeline/networks.js');
  const { device } = await import('../device.js');
  const { readVolume } = await import('../volume/index.js');
  const { schemeOf } = await import('./evaluate.js');
  const scheme = await schemeOf(options.labels);
  const labels = [...scheme].flatMap(([v, { structure }]) => (structure === 'mass' ? [v] : []));
  const images = await findImages(options.images);
  const { secondImages } = options;
  const seconds = secondImages === undefined ? undefined : await findImages(secondImages);
  const cases = await findCases(options.contours);
  const written = [...cases.keys()].map((id) => join(options.out, `${id}.nii.gz`));
  const files = [images, seconds ?? [], cases].flatMap((of) => [...of].map(([, path]) => path));
  const folders = [options.images, secondImages, options.contours];
  await refuseInputs('--out', options.out, [options.out, ...written], [...folders, ...files]);
  await checkWritable(options.out);
  const signal = interruptSignal();
  const on = device(options.device);
  try {
    const { precision } = options;
    const twoPhases = seconds !== undefined;
    const weights = await loadCascade(on, options.weights, { precision, twoPhases });
    await makeFolder(options.out);
    const { classifier } = forPhases(weights, twoPhases);
    const sees = classifier.phases === 2 ? 'the CT and its second phase' : 'the CT alone';
    console.error(`named by ${classifier.name}.safetensors, which sees ${sees}`);
    const all: ({ case: string; masses: object[] } | { case: string; failed: string })[] = [];
    let failed = 0;
    for (const [id, path] of cases) {
      try {
        const read = (of: ReadonlyMap<string, string>, folder: string) => {
          const image = of.get(id);
          if (image === undefined)
            throw new RenvoxError('FileNotFound', `${folder} has no CT of it`, { case: id });
          return readVolume(image, { signal });
        };
        const ct = await read(images, options.images);
        const phase = seconds && { ct: await read(seconds, secondImages as string) };
        const contours = await readVolume(path, { signal });
        const named = await classifyContours(ct, contours, {
          ...{ labels, device: on, weights, signal, phase },
        });
        await named.labels.write(join(options.out, `${id}.nii.gz`), { signal });
        const calls = named.masses.map(
          (mass) => `${mass.class} (${mass.probabilities[mass.class].toFixed(2)})`,
        );
        console.error(`${id}: ${calls.join(', ') || 'no mass'}`);
        const masses = named.masses.map(({ centroidLpsMm, ...mass }) => ({
          ...mass,
          centroid_lps_mm: centroidLpsMm,
        }));
        all.push({ case: id, masses });
      } catch (error) {
        if (!isRenvoxError(error) || ['AbortError', 'DeviceLost'].includes(error.code)) throw error;
        failed++;
        all.push({ case: id, failed: error.message });
        console.error(`${id}: failed: ${error.message}`);
      }
    }
    if (options.json) console.log(JSON.stringify(all, null, 2));
    console.error('Research software, not a medical device: not for clinical use.');
    if (failed > 0) process.exitCode = EXIT.input;
  } finally {
    on.dispose();
  }
}
