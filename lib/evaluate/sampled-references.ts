/** KiTS21's reference segmentations: sampled from the annotations of several people, or read as they were sampled. */
import { createHash } from 'node:crypto';
import { RenvoxError } from '../errors.js';
import { boxOf, UNEXPECTED, WANTED } from '../metrics/label-box.js';
import { readVolume, sameGrid, type Triple, type Volume } from '../volume/index.js';
import { requireUnscaled } from './labelled-box.js';
import { RandomState } from './random-state.js';
import {
  type AnnotatedInstance,
  type KitsKind,
  PAINTED,
  type ReferenceFile,
  type References,
} from './references.js';

/** NUMBER_OF_GROUPS of the official tool (kits21/configuration/labels.py). */
const GROUPS = 5;
/** The official tool's own default, for cases without a number to be seeded by. */
const DEFAULT_SEED = 1234;
/** Votes are counted in ten bits; in five where that is enough, for half the memory. */
const MOST_SAMPLES = 1023;
const FEW_SAMPLES = 31;

/** A part of a label map on the grid of the whole; all else is 0. */
export interface Piece {
  readonly shape: Triple;
  readonly offset: Triple;
  readonly data: Uint8Array;
}

export interface SampledReference {
  readonly group: string;
  /** As the official tool names the file: `kidney_i1a2_i2a1_cyst_tumor_i1a3`. */
  readonly name: string;
  /** References of one key are equal. */
  readonly key: string;
  /** The label map's pieces, later ones painted over earlier ones; without a value they hold labels. */
  readonly layers: readonly Layer[];
}

export interface Layer {
  readonly value?: number;
  readonly piece: Piece;
}

export interface ReferenceSet {
  /** The majority of the annotators on the whole grid. */
  readonly majority: Volume;
  /** SHA-256 over the hashes of all files, in order. */
  readonly sha256: string;
}

/** What the official tool seeds a case's samples with: the number at the end of its id. */
export function referenceSeed(id: string): number {
  const digits = /(\d+)$/.exec(id)?.[1];
  const seed = digits === undefined ? DEFAULT_SEED : Number(digits);
  return seed <= 0xffffffff ? seed : DEFAULT_SEED;
}

/** One sample: the index of the annotation that is taken of each instance. */
export interface Choice {
  readonly group: string;
  readonly indices: readonly number[];
}

/**
 * What `sample_segmentations.py` of kits21 chooses: per group one offset an instance; sample i takes the annotation (offset + i) mod n; as many
 * samples a group as the instance with the fewest annotations has, so that a group never uses an annotation twice.
 */
export function sampleChoices(
  instances: readonly Pick<AnnotatedInstance, 'annotations'>[],
  seed: number,
): Choice[] {
  const random = new RandomState(seed);
  const perGroup = Math.min(...instances.map(({ annotations }) => annotations.length));
  const choices: Choice[] = [];
  for (let g = 0; g < GROUPS; g++) {
    const offsets = instances.map(({ annotations }) => random.integer(annotations.length));
    for (let i = 0; i < perGroup; i++)
      choices.push({
        group: `group_${g}`,
        indices: instances.map((x, k) => ((offsets[k] as number) + i) % x.annotations.length),
      });
  }
  return choices;
}

type Visit = (reference: SampledReference) => Promise<void>;

/**
 * Reads all files of a case's references, one at a time, of each the box that holds something, and visits each reference.
 * @param grid - a volume on the grid that all must lie on
 * @throws RenvoxError as readVolume; ShapeMismatch for another grid; InvalidFile for values that are no label
 */
export async function readReferences(
  id: string,
  references: References,
  grid: Volume,
  visit: Visit,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ReferenceSet> {
  const hash = createHash('sha256');
  const read = async (path: string, highest: number): Promise<[Piece, string]> => {
    const volume = await readVolume(path, options);
    hash.update(`${volume.sha256}\n`);
    if (!sameGrid(volume, grid))
      throw new RenvoxError(
        'ShapeMismatch',
        `${path} does not lie on the grid of the prediction: shape ${volume.shape.join('x')} against ${grid.shape.join('x')}, spacing ${volume.spacing.join('x')} against ${grid.spacing.join('x')} mm, or another affine`,
        { path, shapes: [volume.shape, grid.shape], affines: [volume.affine, grid.affine] },
      );
    return [pieceOf(volume, path, highest), volume.sha256 as string];
  };
  const majority =
    references.kind === 'samples'
      ? await fromSamples(references.samples, (path) => read(path, 3), grid, visit)
      : await fromAnnotations(id, references.instances, (path) => read(path, 1), grid, visit);
  return { majority: grid.like(majority), sha256: hash.digest('hex') };
}

async function fromSamples(
  files: readonly ReferenceFile[],
  read: (path: string) => Promise<[Piece, string]>,
  grid: Volume,
  visit: Visit,
): Promise<Uint8Array> {
  if (files.length > MOST_SAMPLES)
    throw new RenvoxError(
      'InvalidFile',
      `Expected at most ${MOST_SAMPLES} sampled references of a case but found ${files.length}`,
      { files: files.length },
    );
  // Votes for three nested regions, each in its own bits: kidney and masses, masses, tumour.
  const few = files.length <= FEW_SAMPLES;
  const votes = few ? new Uint16Array(grid.data.length) : new Uint32Array(grid.data.length);
  const bits = few ? 5 : 10;
  const all = 2 ** bits - 1;
  const ballot = [0, 1, 1 + 2 ** bits + 2 ** (2 * bits), 1 + 2 ** bits];
  for (const { group, name, path } of files) {
    const [piece, key] = await read(path);
    await visit({ group, name, key, layers: [{ piece }] });
    eachVoxel(piece, grid.shape, (at, value) => {
      votes[at] = (votes[at] as number) + (ballot[value] as number);
    });
  }
  const half = files.length / 2;
  const majority = new Uint8Array(votes.length);
  for (let at = 0; at < votes.length; at++) {
    const v = votes[at] as number;
    if (v === 0) continue;
    if (v >>> (2 * bits) > half) majority[at] = 2;
    else if (((v >>> bits) & all) > half) majority[at] = 3;
    else if ((v & all) > half) majority[at] = 1;
  }
  return majority;
}

async function fromAnnotations(
  id: string,
  instances: readonly AnnotatedInstance[],
  read: (path: string) => Promise<[Piece, string]>,
  grid: Volume,
  visit: Visit,
): Promise<Uint8Array> {
  const majority = new Uint8Array(grid.data.length);
  const pieces: Piece[][] = [];
  for (const { annotations } of instances) {
    const own: Piece[] = [];
    for (const { path } of annotations) own.push((await read(path))[0]);
    pieces.push(own);
  }
  // KiTS23: per instance more than half of its annotators, ORed per kind, painted kidney, cyst, tumour.
  const votes = new Uint8Array(grid.data.length);
  for (const [kind, value] of PAINTED)
    instances.forEach((instance, k) => {
      if (instance.kind !== kind) return;
      const own = pieces[k] as Piece[];
      for (const piece of own)
        eachVoxel(piece, grid.shape, (at) => {
          votes[at] = (votes[at] as number) + 1;
        });
      for (const piece of own)
        eachVoxel(piece, grid.shape, (at) => {
          if ((votes[at] as number) > own.length / 2) majority[at] = value;
          votes[at] = 0;
        });
    });
  for (const { group, indices } of sampleChoices(instances, referenceSeed(id)))
    await visit({
      ...{ group, name: sampleName(instances, indices), key: indices.join(' ') },
      layers: PAINTED.flatMap(([kind, value]) =>
        instances.flatMap((instance, k) =>
          instance.kind === kind
            ? [{ value, piece: pieces[k]?.[indices[k] as number] as Piece }]
            : [],
        ),
      ),
    });
  return majority;
}

function sampleName(instances: readonly AnnotatedInstance[], indices: readonly number[]): string {
  const part = (kind: KitsKind) =>
    kind +
    instances
      .map((x, k) =>
        x.kind === kind ? `_i${x.instance}a${x.annotations[indices[k] as number]?.annotation}` : '',
      )
      .join('');
  return (['kidney', 'cyst', 'tumor'] as const).map(part).join('_');
}

/** Label maps, given by their layers, in the least box that holds them all. */
export function paint(maps: readonly (readonly Layer[])[]): { shape: Triple; maps: Uint8Array[] } {
  const pieces = maps.flat().map(({ piece }) => piece);
  const held = pieces.filter(({ data }) => data.length > 0);
  const least = (k: 0 | 1 | 2) => Math.min(...held.map(({ offset }) => offset[k]));
  const most = (k: 0 | 1 | 2) => Math.max(...held.map(({ offset, shape }) => offset[k] + shape[k]));
  const any = held.length > 0;
  const low: Triple = any ? [least(0), least(1), least(2)] : [0, 0, 0];
  const shape: Triple = any ? [most(0) - low[0], most(1) - low[1], most(2) - low[2]] : [1, 1, 1];
  return {
    shape,
    maps: maps.map((layers) => {
      const map = new Uint8Array(shape[0] * shape[1] * shape[2]);
      for (const { value, piece } of layers) {
        const { offset } = piece;
        const moved: Triple = [offset[0] - low[0], offset[1] - low[1], offset[2] - low[2]];
        eachVoxel({ ...piece, offset: moved }, shape, (at, own) => {
          map[at] = value ?? own;
        });
      }
      return map;
    }),
  };
}

function eachVoxel(
  { shape, offset, data }: Piece,
  whole: Triple,
  visit: (at: number, value: number) => void,
): void {
  for (let d = 0, from = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++) {
      const row = ((d + offset[0]) * whole[1] + h + offset[1]) * whole[2] + offset[2];
      for (let w = 0; w < shape[2]; w++, from++) {
        const value = data[from] as number;
        if (value !== 0) visit(row + w, value);
      }
    }
}

/**
 * The box of a label map that holds something.
 * @throws RenvoxError InvalidFile for values above `highest`
 */
export function pieceOf(volume: Volume, path: string, highest: number): Piece {
  requireUnscaled(volume, path);
  const { data, shape } = volume;
  const values = new Uint8Array(256).fill(UNEXPECTED).fill(WANTED, 1, highest + 1);
  const refuse = (others: ReadonlyMap<number, number>): never => {
    const [value] = others.keys();
    throw new RenvoxError(
      'InvalidFile',
      `Expected integers from 0 to ${highest} in ${path} but found ${value}`,
      { path, value },
    );
  };
  const box = boxOf([{ data, values, refuse }], shape);
  const own = box.maps[0] as Uint8Array;
  // The box of nothing is one empty voxel, which would widen others.
  if (own.length === 1 && own[0] === 0)
    return { shape: [0, 0, 0], offset: [0, 0, 0], data: new Uint8Array(0) };
  return { shape: box.shape, offset: box.offset, data: own };
}
