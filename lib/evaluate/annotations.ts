/** KiTS annotations, a mask per instance and annotator, made into label maps by the official rule. */
import { RenvoxError } from '../errors.js';
import { gridDifference } from '../metrics/grid-difference.js';
import { readVolume, sameGrid, type Triple, type Volume } from '../volume/index.js';
import { list } from './find-cases.js';
import { annotatedInstances, type KitsKind, PAINTED } from './references.js';

/** Label maps of one case: 0 background, 1 kidney, 2 tumour, 3 cyst. */
export interface AnnotatedCase {
  readonly shape: Triple;
  /** mm along [d, h, w]. */
  readonly spacing: Triple;
  /** The published kind of reference: of each instance what more than half of its annotators marked. */
  readonly majority: Uint8Array;
  /**
   * By annotator's number: what is marked in the instances' annotations of that number. One number need not be one person throughout, and
   * an instance without that annotation is missing from the map.
   */
  readonly annotators: ReadonlyMap<number, Uint8Array>;
  /** Instances with the numbers of their annotations. */
  readonly instances: readonly {
    readonly kind: KitsKind;
    readonly instance: number;
    readonly annotations: readonly number[];
  }[];
}

/**
 * Reads a folder with files `KIND_instance-I_annotation-A.nii.gz` (kidney, tumor, cyst), as KiTS21 and KiTS23 have them. An instance is
 * where a strict majority of its own annotators marked it; instances of one kind are united, and the kinds painted in the order kidney, cyst,
 * tumour (`aggregate_case` in kits21/annotation/import.py). Other files are left alone.
 * @throws RenvoxError FileNotFound, InvalidFile where there is no such file; ShapeMismatch where the masks' grids differ
 */
export async function readAnnotations(folder: string): Promise<AnnotatedCase> {
  const files = (await list(folder)).map((entry) => entry.name);
  const found = annotatedInstances(folder, files);
  let first: Volume | undefined;
  let majority = new Uint8Array(0);
  const annotators = new Map<number, Uint8Array>();
  const instances: AnnotatedCase['instances'][number][] = [];
  for (const [kind, label] of PAINTED)
    for (const { instance, annotations } of found.filter((own) => own.kind === kind)) {
      let votes = new Uint8Array(0);
      for (const { annotation: annotator, path } of annotations) {
        const volume = await readVolume(path);
        first ??= volume;
        if (!sameGrid(first, volume))
          throw new RenvoxError(
            'ShapeMismatch',
            `Expected the annotations of ${folder} on one grid but of ${path} and the first of them ${gridDifference(volume, first)}`,
            { folder, file: path, shape: volume.shape, expected: first.shape },
          );
        const { data } = volume;
        if (majority.length === 0) majority = new Uint8Array(data.length);
        if (votes.length === 0) votes = new Uint8Array(data.length);
        const own = annotators.get(annotator) ?? new Uint8Array(data.length);
        annotators.set(annotator, own);
        for (let i = 0; i < data.length; i++)
          if (data[i] !== 0) {
            votes[i] = (votes[i] as number) + 1;
            own[i] = label;
          }
      }
      const half = annotations.length / 2;
      for (let i = 0; i < votes.length; i++) if ((votes[i] as number) > half) majority[i] = label;
      instances.push({ kind, instance, annotations: annotations.map((own) => own.annotation) });
    }
  if (!first)
    throw new RenvoxError(
      'InvalidFile',
      `Expected files KIND_instance-I_annotation-A.nii.gz in ${folder} but found none`,
      { folder },
    );
  const { shape, spacing } = first;
  const sorted = new Map([...annotators].sort(([a], [b]) => a - b));
  return { shape, spacing, majority, annotators: sorted, instances };
}
