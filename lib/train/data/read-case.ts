/** One case of a data set, read and checked. */
import { basename } from 'node:path';
import { isRenvoxError } from '../../errors.js';
import { LEAST_CT_SPAN } from '../../volume/ct.js';
import { readVolume, reorient, sameGrid, Volume } from '../../volume/index.js';
import type { LabelMeanings } from './labels.js';
import type { CaseFiles } from './layouts.js';

/** All volumes have axes [d, h, w] running to the head, the back and the left, as nearly as their voxels do. */
export interface Case {
  name: string;
  /** One a channel. */
  images: Volume[];
  /** uint8, values of LABELS. */
  labels: Volume;
  /** Whether nothing is labelled. */
  empty: boolean;
  /** SHA-256 of the bytes of its files, labels last. */
  hashes: string[];
}

/** mm between which a voxel's edges can be believed. */
const EDGE = [0.05, 20] as const;

/** Reads and checks a case. What is wrong is added to `problems`; then there is no case. */
export async function readCase(
  { name, images, labels: labelFile }: CaseFiles,
  meanings: LabelMeanings,
  problems: string[],
  options: { signal?: AbortSignal | undefined; allowEmpty?: boolean } = {},
): Promise<Case | undefined> {
  const before = problems.length;
  const problem = (text: string) => problems.push(`${name}: ${text}`);
  const read = async (file: string) => {
    try {
      const volume = await readVolume(file, { signal: options.signal });
      checkPlace(volume, basename(file), problem);
      return volume;
    } catch (error) {
      if (!isRenvoxError(error) || error.code === 'AbortError') throw error;
      problem(error.message);
      return undefined;
    }
  };
  const volumes: (Volume | undefined)[] = [];
  for (const file of images) volumes.push(await read(file));
  const stored = await read(labelFile);
  const [first] = volumes;
  const against = (other: Volume, file: string) => {
    if (first && !sameGrid(first, other))
      problem(
        `${basename(images[0] as string)} (${describe(first)}) and ${basename(file)} (${describe(other)}) do not lie on the same grid`,
      );
  };
  volumes.forEach((volume, c) => {
    if (volume && c > 0) against(volume, images[c] as string);
    if (volume) checkValues(volume, basename(images[c] as string), problem);
  });
  if (stored) against(stored, labelFile);
  const map = stored && meant(stored, meanings, basename(labelFile), problem);
  const empty = map !== undefined && !map.some((label) => label > 0);
  if (empty && !options.allowEmpty)
    problem(`${basename(labelFile)} is empty: no kidney and no mass`);
  if (!stored || !map || problems.length > before) return undefined;
  const { shape, affine } = stored;
  return {
    name,
    empty,
    images: volumes.map((volume) => reorient(volume as Volume, 'LPS')),
    labels: reorient(new Volume({ data: map, shape, affine }), 'LPS'),
    hashes: [...volumes, stored].map((volume) => (volume as Volume).sha256 as string),
  };
}

const describe = (v: Volume) => `${v.fileShape.join('x')}, ${v.orientation}`;

function checkPlace(volume: Volume, file: string, problem: (text: string) => void): void {
  const wrong = volume.spacing.filter((mm) => mm < EDGE[0] || mm > EDGE[1]);
  if (wrong.length > 0)
    problem(
      `${file} has voxels of ${volume.fileSpacing.join(' x ')} mm, expected edges of ${EDGE.join(' to ')} mm`,
    );
  if (volume.affineSource === 'pixdim')
    problem(`${file} has no affine (neither sform nor qform), so that its sides are not known`);
}

function checkValues(volume: Volume, file: string, problem: (text: string) => void): void {
  const { data, slope, inter } = volume;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let odd = 0;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
    if (!Number.isFinite(value)) odd++;
  }
  if (odd > 0) problem(`${file} holds ${odd} values that are no numbers`);
  const span = Math.abs(slope) * (high - low);
  if (!(span >= LEAST_CT_SPAN))
    problem(
      `${file} spans ${low * slope + inter} to ${high * slope + inter}, which are no HU of a CT (at least ${LEAST_CT_SPAN} apart)`,
    );
}

/** How many values without a meaning a problem names. */
const NAMED = 10;

/** The label map in the numbering of LABELS; undefined, with a problem, where values have no meaning. */
function meant(
  stored: Volume,
  meanings: LabelMeanings,
  file: string,
  problem: (text: string) => void,
): Uint8Array | undefined {
  const { data, slope, inter } = stored;
  const map = new Uint8Array(data.length);
  const known = [...meanings.keys()].sort((a, b) => a - b);
  const odd = new Set<number>();
  for (let i = 0; i < data.length; i++) {
    const value = (data[i] as number) * slope + inter;
    if (value === 0) continue;
    const meaning = meanings.get(value);
    if (meaning !== undefined) map[i] = meaning;
    // A CT in the place of labels has thousands.
    else if (odd.size <= NAMED) odd.add(value);
  }
  if (odd.size === 0) return map;
  const values = [...odd].slice(0, NAMED).sort((a, b) => a - b);
  const more = odd.size > NAMED ? ' and more' : '';
  problem(`${file} holds ${values.join(', ')}${more}, expected integers from 0 to ${known.at(-1)}`);
  return undefined;
}
