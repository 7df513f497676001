/** Training on a folder of labelled CTs. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { Device } from '../device.js';
import { isRenvoxError, RenvoxError } from '../errors.js';
import { maskEquals, maskOutside, raggedMask } from '../ops/index.js';
import { Random } from '../phantom/random.js';
import { besideMask } from '../pipeline/mask-channel.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { augment, type View } from './augmentation.js';
import { fileHashes, ItemCache } from './data/cache.js';
import { type Item, itemsOf } from './data/items.js';
import { type DataSet, findDataSet } from './data/layouts.js';
import { readPatients, type Split, splitPatients, usualSplit } from './data/patients.js';
import { readCase } from './data/read-case.js';
import { augmentationOf, rimOf } from './data/rim.js';
import { checkSwap, maskChannels, type Preset } from './preset.js';
import type { CaseLists, Sample, Sampler } from './sampler.js';
import { outlineOf } from './samples/kidney-view.js';
import { coveringPatches } from './samples/patches.js';

export interface FolderOptions {
  device: Device;
  signal?: AbortSignal | undefined;
  onCase?: ((name: string) => void) | undefined;
  /** A CSV with the columns case and patient: all cases of a patient lie on one side of the split. Without it each case is a patient. */
  manifest?: string | undefined;
  /** Default 8:1:1. */
  split?: Split | undefined;
  /**
   * A folder that keeps preprocessed cases for later runs, and the most bytes it may hold (default 20 GB): at least what of this run's cases is beyond
   * `memory`.
   */
  cache?: { folder: string; bytes?: number | undefined } | undefined;
  /**
   * Bytes of preprocessed cases that are held in memory; what is beyond them is read from the cache whenever it is drawn, and without a cache is
   * an error. Default 1 GB.
   */
  memory?: number | undefined;
  /** Cases without any labelled voxel are samples, not problems. Default false. */
  allowEmpty?: boolean | undefined;
}

/** With a step of the study, 1.5 GB, and the validation samples a run stays below 4 GB. */
const MEMORY = 1e9;

/**
 * Reads a data set (nnU-Net's layout, KiTS's or that of `renvox phantom`, see docs/training.md) once, keeps what the preset's task needs of it in
 * memory, and draws augmented samples from it. Everything is read and checked before the first sample. Patients are parted 8:1:1 into training,
 * validation and test, by the preset's seed; with fewer than five and no folds, validation looks at those that are trained on, and `source` says so.
 * @throws RenvoxError FileNotFound; InvalidFile listing every problem of the data set; InvalidArgument where nothing in it serves the task, or
 *   where it needs more memory, or more of the cache, than it may have
 */
export async function folderSampler(
  preset: Preset,
  folder: string,
  options: FolderOptions,
): Promise<Sampler> {
  for (const [field, value] of Object.entries({
    foundContours: preset.foundContours,
    secondImage: preset.secondImage === 'change',
    kinds: preset.kinds === 'even',
  }))
    if (value)
      throw new RenvoxError(
        'InvalidArgument',
        `The ${field} of the preset ${preset.name} is of phantoms; a folder's samples are its CTs, phases and labels as they are`,
        { preset: preset.name, field },
      );
  checkSwap(preset);
  const data = await findDataSet(folder);
  const patients = await patientsOf(data, options.manifest);
  const patientOf = (name: string) => patients.get(name) ?? name;
  const names = data.cases.map(({ name }) => name);
  const parts = splitPatients(names.map(patientOf), options.split ?? usualSplit, preset.seed);
  const { items, content } = await readItems(preset, data, options);
  const within = (part: readonly string[]) => names.filter((n) => part.includes(patientOf(n)));
  const cases: CaseLists = {
    training: within(parts.training),
    validation: within(parts.validation),
    test: within(parts.test),
  };
  const held = cases.validation.length > 0;
  const of = (part: readonly string[]) => items.filter((item) => part.includes(item.case));
  const trained = of(cases.training);
  const seen = held ? of(cases.validation) : trained;
  if (trained.length === 0 || seen.length === 0)
    throw new RenvoxError(
      'InvalidArgument',
      `${names.length} cases hold ${trained.length} samples to train the task ${preset.task} on and ${seen.length} to validate; at least one of each is needed`,
      { folder, task: preset.task },
    );
  // In patches a case has several; drawing one needs the item's voxels, which may stay in the cache.
  const shown = seen.flatMap((item) =>
    preset.sampling
      ? coveringPatches(item, preset.grid.shape).map((start) => ({ item, start }))
      : boxesOf(preset, item).map((start) => ({ item, start })),
  );
  // Every case's middle before any case's ends, so that few samples show many cases.
  if (!preset.sampling) shown.sort((a, b) => fromMiddle(preset, a) - fromMiddle(preset, b));
  const split = held
    ? `${cases.training.length} to train, ${cases.validation.length} to validate, ${cases.test.length} to test`
    : 'validated on the cases trained on';
  return {
    source: `${names.length} labelled CTs (${split})`,
    cases,
    content,
    ...(data.channels.length > 1 ? { channels: data.channels } : {}),
    training(device, seed) {
      const r = new Random(seed, 'folder');
      const item = r.pick(trained);
      return draw(preset, device, item, place(preset, item, r), r);
    },
    validation(device, index) {
      const { item, start } = shown[index % shown.length] as (typeof shown)[number];
      return draw(preset, device, item, start);
    },
    validationCount: shown.length,
  };
}

/**
 * Reads and checks all cases without keeping anything: what `renvox train --check` does.
 * @throws RenvoxError as {@link folderSampler}
 */
export async function checkFolder(
  preset: Preset,
  folder: string,
  options: Omit<FolderOptions, 'device' | 'cache' | 'split'>,
): Promise<DataSet> {
  const data = await findDataSet(folder);
  await patientsOf(data, options.manifest);
  await eachCase(preset, data, options, async () => undefined);
  return data;
}

/** Case to patient. A row that names no case may be a case's patient with a slip of the pen: a problem of the data set. */
async function patientsOf(
  { cases, problems }: DataSet,
  manifest: string | undefined,
): Promise<ReadonlyMap<string, string>> {
  if (manifest === undefined) return new Map();
  const patients = await readPatients(manifest);
  const names = new Set(cases.map(({ name }) => name));
  for (const name of patients.keys())
    if (!names.has(name))
      problems.push(`${basename(manifest)} names ${name}, which is no case of the folder`);
  return patients;
}

/** The items of all cases, and what identifies each case's content: a hash over its files and what their labels mean. */
async function readItems(
  preset: Preset,
  data: DataSet,
  options: FolderOptions,
): Promise<{ items: Item[]; content: Record<string, string> }> {
  const { task, grid, window, sampling } = preset;
  const { classes } = preset.architecture.config;
  const meanings = [...data.meanings];
  const patches = sampling !== undefined;
  const recipe = { task, grid, window, patches, classes, meanings, rim: rimOf(preset) };
  const { cache: kept } = options;
  const cache = kept && new ItemCache(kept.folder, recipe, kept.bytes);
  const keys = new Map<string, string>();
  const content: Record<string, string> = {};
  const identify = (name: string, files: readonly string[]) => {
    const facts = JSON.stringify({ files, meanings });
    content[name] = createHash('sha256').update(facts).digest('hex');
  };
  const items: Item[] = [];
  const { memory = MEMORY } = options;
  let [held, total] = [0, 0];
  const keepItems = (made: readonly Item[], key: string | undefined) => {
    for (const [k, item] of made.entries()) {
      const bytes = item.image.byteLength + item.labels.byteLength;
      total += bytes;
      if (held + bytes <= memory) {
        held += bytes;
        items.push(item);
      } else if (cache && key) items.push(cache.lazy(key, k, item));
    }
  };
  const known = new Set<string>();
  if (cache)
    for (const files of data.cases) {
      const hashes = await fileHashes(files);
      if (!hashes) continue;
      const key = cache.key(hashes);
      keys.set(files.name, key);
      const found = await cache.get(key, files.name);
      // An empty case that is no longer allowed is read again, so that it is told as it would be without a cache.
      if (!found || (found.empty && !options.allowEmpty)) continue;
      keepItems(found.items, key);
      identify(files.name, hashes);
      known.add(files.name);
      options.onCase?.(files.name);
    }
  await eachCase(preset, data, { ...options, known }, async (one) => {
    const made = await itemsOf(preset, one, options.device);
    const key = keys.get(one.name);
    if (cache && key) await cache.put(key, made, one.empty);
    keepItems(made, key);
    identify(one.name, one.hashes);
    options.onCase?.(one.name);
  });
  if (total > memory && !cache)
    throw new RenvoxError(
      'InvalidArgument',
      `The preprocessed cases take ${gigabytes(total)} of memory, more than ${gigabytes(memory)}: choose a cache, which keeps the rest on disk, or more memory`,
      { bytes: total, memory },
    );
  if (cache && cache.needed > cache.bytes)
    throw new RenvoxError(
      'InvalidArgument',
      `The preprocessed cases that ${gigabytes(memory)} of memory do not hold take ${gigabytes(cache.needed)} of the cache, more than ${gigabytes(cache.bytes)}: choose a larger cache or more memory`,
      { bytes: cache.needed, cache: cache.bytes, memory },
    );
  // Whether a case came from the cache must not matter.
  const order = new Map(data.cases.map(({ name }, i) => [name, i]));
  items.sort((a, b) => (order.get(a.case) as number) - (order.get(b.case) as number));
  return { items, content };
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(3)} GB`;

/** Goes through all cases before it complains, so that one run shows every fault of a data set. */
async function eachCase(
  preset: Preset,
  data: DataSet,
  options: {
    signal?: AbortSignal | undefined;
    allowEmpty?: boolean | undefined;
    known?: ReadonlySet<string>;
  },
  use: (one: NonNullable<Awaited<ReturnType<typeof readCase>>>) => Promise<void>,
): Promise<void> {
  const problems = [...data.problems];
  const mask = maskChannels(preset);
  const wanted = preset.architecture.config.inputChannels ?? 1;
  if (wanted !== data.channels.length + mask)
    problems.push(
      `the data set has ${data.channels.length} channels (${data.channels.join(', ')})${mask ? ` and the ${preset.task === 'mass' ? 'kidney' : 'mass'}’s mask` : ''}, the preset ${preset.name} ${wanted}`,
    );
  for (const files of data.cases) {
    if (options.known?.has(files.name)) continue;
    try {
      const { signal, allowEmpty = false } = options;
      const one = await readCase(files, data.meanings, problems, { signal, allowEmpty });
      // The rest is only looked at where something is wrong.
      if (one && problems.length === 0) await use(one);
    } catch (error) {
      if (!isRenvoxError(error) || error.code === 'AbortError') throw error;
      problems.push(`${files.name}: ${error.message}`);
    }
  }
  if (problems.length > 0)
    throw new RenvoxError(
      'InvalidFile',
      `${problems.length} problems in ${data.folder}:\n  ${problems.join('\n  ')}`,
      { folder: data.folder, problems },
    );
}

/** One sample that begins at `start` in the item, augmented where there is a generator. */
function draw(
  preset: Preset,
  device: Device,
  item: Item,
  start: View['start'],
  r?: Random,
): Sample {
  const { grid, task, window, contour } = preset;
  return scope(() => {
    const view: View = {
      ...{ size: grid.shape, spacing: grid.spacing, low: window.low, high: window.high },
      start,
    };
    const settings = r ? augmentationOf(preset) : {};
    const { image, labels } = augment(device, item, view, settings, r?.bits());
    if (task === 'class')
      return {
        image:
          contour === 'channel'
            ? besideMask(image, labels)
            : maskOutside(image, labels, window.low),
        target: device.tensor(Int32Array.of(item.class ?? 0)),
      };
    return {
      image: task === 'mass' ? withMask(image, labels, grid.spacing[0], r) : image,
      target: labels,
    };
  });
}

/** Voxels along D, H, W that an item has more than the network's box. */
function roomOf({ grid }: Preset, { shape }: Item): [number, number, number] {
  return grid.shape.map((n, axis) => (shape[axis] as number) - n) as [number, number, number];
}

function middleOf(preset: Preset, item: Item): [number, number, number] {
  return roomOf(preset, item).map((free) => free / 2) as [number, number, number];
}

/** Whether the network's box is one of several along the body: kidneys may lie anywhere in it. */
const goesAlong = ({ task }: Preset): boolean => task === 'kidney' || task === 'one-stage';

/** Where the boxes begin that validation looks at: the middle; along a body that is longer by more than an eighth as few as cover it, evenly spread. */
function boxesOf(preset: Preset, item: Item): View['start'][] {
  const middle = middleOf(preset, item);
  // The rim is there to be turned in, not to be seen.
  const [rim] = rimOf(preset);
  const free = roomOf(preset, item)[0] - 2 * rim;
  if (!goesAlong(preset) || free <= preset.grid.shape[0] / 8) return [middle];
  const count = Math.ceil(free / preset.grid.shape[0]) + 1;
  const along = Array.from({ length: count }, (_, k) => rim + Math.round((k * free) / (count - 1)));
  return along.map((d) => [d, middle[1], middle[2]] as const);
}

/** How far a box lies from its item's middle along the body, in voxels. */
function fromMiddle(preset: Preset, { item, start }: { item: Item; start: View['start'] }): number {
  return Math.abs(start[0] - middleOf(preset, item)[0]);
}

/**
 * Where the network's box begins in the item when it is trained on: in its middle, anywhere along a body that is longer. Patches lie anywhere, a
 * share of them round a labelled voxel.
 */
function place(preset: Preset, item: Item, r: Random): View['start'] {
  const { grid, sampling } = preset;
  const room = roomOf(preset, item);
  if (!sampling) {
    const middle = middleOf(preset, item);
    return [goesAlong(preset) ? r.integer(0, room[0]) : middle[0], middle[1], middle[2]];
  }
  if (!r.chance(sampling.foreground)) {
    // The rim is there to be turned in, not to be seen.
    const [d, h, w] = rimOf(preset);
    const within = (free: number, rim: number) => r.integer(rim, Math.max(rim, free - rim));
    return [within(room[0], d), within(room[1], h), within(room[2], w)];
  }
  const voxel = labelled(item, r);
  const [, height, width] = item.shape;
  const at = [
    Math.floor(voxel / (height * width)),
    Math.floor(voxel / width) % height,
    voxel % width,
  ];
  const start = room.map((free, a) => {
    const wanted = (at[a] as number) - Math.floor((grid.shape[a] as number) / 2);
    return Math.min(Math.max(wanted, 0), free);
  });
  return start as [number, number, number];
}

/** A labelled voxel, each label as often as another; the middle where there is none. */
function labelled({ labels }: Item, r: Random): number {
  const counts = new Array<number>(256).fill(0);
  for (const label of labels) counts[label] = (counts[label] as number) + 1;
  const present = counts.flatMap((n, label) => (n > 0 && label > 0 ? [label] : []));
  if (present.length === 0) return Math.floor(labels.length / 2);
  const label = r.pick(present);
  let left = r.integer(1, counts[label] as number);
  let at = -1;
  while (left > 0) {
    at = labels.indexOf(label, at + 1);
    left--;
  }
  return at;
}

/** The kidney's mask as last channel; in training its outline errs as a kidney network's does. */
function withMask(image: Tensor, truth: Tensor, step: number, r?: Random): Tensor {
  const mask = r
    ? raggedMask(truth, { ...outlineOf(r, step), seed: r.bits() })
    : maskEquals(truth, [1, 2]);
  return besideMask(image, mask);
}
