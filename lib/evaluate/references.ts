/** Where the references of several annotators lie, as KiTS21 and KiTS23 keep them. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RenvoxError } from '../errors.js';
import { caseId, isFile, list } from './find-cases.js';

/** The kinds of structures that KiTS annotates, in the order in which the official tool draws for them. */
export const KITS_KINDS = ['kidney', 'tumor', 'cyst'] as const;
export type KitsKind = (typeof KITS_KINDS)[number];

/** Kinds with their label values, in the order in which they are painted: what comes later wins (kits21/annotation/postprocessing.py). */
export const PAINTED: readonly (readonly [KitsKind, number])[] = [
  ['kidney', 1],
  ['cyst', 3],
  ['tumor', 2],
];

/** One kidney, tumour or cyst as every annotator drew it. */
export interface AnnotatedInstance {
  readonly kind: KitsKind;
  readonly instance: number;
  /** By rising number of the annotation. */
  readonly annotations: readonly { readonly annotation: number; readonly path: string }[];
}

export interface ReferenceFile {
  readonly group: string;
  readonly name: string;
  readonly path: string;
}

/** Whole references that were sampled before, or what they are sampled from. */
export type References =
  | { readonly kind: 'samples'; readonly samples: readonly ReferenceFile[] }
  | { readonly kind: 'annotations'; readonly instances: readonly AnnotatedInstance[] };

/** Kind, instance, annotation. */
const ANNOTATION_FILE = /^(kidney|tumor|cyst)_instance-(\d+)_annotation-(\d+)\.nii(?:\.gz)?$/;
const IMAGE = /\.nii(\.gz)?$/;
/** KiTS21, KiTS23, and the files in the case's folder itself. */
const ANNOTATION_FOLDERS = ['segmentations', 'instances', '.'];

/**
 * References by case id. A case is a folder `ID` with `segmentation_samples/group_G/*.nii.gz` (also without groups), or with
 * `KIND_instance-I_annotation-A.nii.gz` in it, in `segmentations/` or in `instances/`. Samples that are there are taken before annotations.
 * @throws RenvoxError FileNotFound; InvalidFile where an annotation is there twice
 */
export async function findReferences(folder: string): Promise<Map<string, References>> {
  const found = new Map<string, References>();
  for (const entry of await list(folder)) {
    if (entry.name.startsWith('.') || !(entry.isDirectory() || entry.isSymbolicLink())) continue;
    const path = join(folder, entry.name);
    const references = (await samplesIn(path)) ?? (await annotationsIn(path));
    if (references) found.set(caseId(entry.name), references);
  }
  return found;
}

/** All files that references are made of, in a fixed order. */
export function referenceFiles(references: References): string[] {
  if (references.kind === 'samples') return references.samples.map(({ path }) => path);
  return references.instances.flatMap((i) => i.annotations.map(({ path }) => path));
}

/** Names in order; nothing where there is no such folder. */
async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [] as string[])).sort();
}

async function samplesIn(folder: string): Promise<References | undefined> {
  const root = join(folder, 'segmentation_samples');
  const samples: ReferenceFile[] = [];
  const add = async (group: string, from: string) => {
    for (const file of await names(from)) {
      const path = join(from, file);
      if (IMAGE.test(file) && !file.startsWith('.') && (await isFile(path)))
        samples.push({ group, name: file.replace(IMAGE, ''), path });
    }
  };
  await add('', root);
  for (const name of await names(root)) await add(name, join(root, name));
  return samples.length > 0 ? { kind: 'samples', samples } : undefined;
}

async function annotationsIn(folder: string): Promise<References | undefined> {
  for (const name of ANNOTATION_FOLDERS) {
    const from = join(folder, name);
    const instances = annotatedInstances(from, await names(from));
    if (instances.length > 0) return { kind: 'annotations', instances };
  }
  return undefined;
}

/**
 * Instances with their annotations among a folder's files, kinds in the order of {@link KITS_KINDS}, numbers rising.
 * @throws RenvoxError InvalidFile where an annotation is there twice
 */
export function annotatedInstances(folder: string, files: readonly string[]): AnnotatedInstance[] {
  const instances = new Map<string, { kind: KitsKind; instance: number; annotations: Files }>();
  for (const file of files) {
    const [, kind, instance, number] = ANNOTATION_FILE.exec(file) ?? [];
    if (kind === undefined) continue;
    const key = `${kind} ${Number(instance)}`;
    const own = instances.get(key) ?? {
      ...{ kind: kind as KitsKind, instance: Number(instance), annotations: [] },
    };
    const annotation = Number(number);
    const path = join(folder, file);
    const other = own.annotations.find((a) => a.annotation === annotation);
    if (other)
      throw new RenvoxError(
        'InvalidFile',
        `Annotation ${annotation} of ${key} is there twice: ${other.path} and ${path}`,
        { folder, files: [other.path, path] },
      );
    own.annotations.push({ annotation, path });
    instances.set(key, own);
  }
  const order = (kind: KitsKind) => KITS_KINDS.indexOf(kind);
  const sorted = [...instances.values()].sort(
    (a, b) => order(a.kind) - order(b.kind) || a.instance - b.instance,
  );
  for (const { annotations } of sorted) annotations.sort((a, b) => a.annotation - b.annotation);
  return sorted;
}

type Files = { annotation: number; path: string }[];
