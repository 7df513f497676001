/** Which files of a folder are the cases of a data set: nnU-Net's layout, KiTS's, or that of `renvox phantom`. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RenvoxError } from '../../errors.js';
import { kitsLabels, type LabelMeanings, labelNamed, renvoxLabels } from './labels.js';

/** The files of one series with its labels. */
export interface CaseFiles {
  name: string;
  /** One a channel, in the order of `DataSet.channels`. */
  images: string[];
  labels: string;
}

export interface DataSet {
  layout: 'renvox' | 'kits' | 'nnunet';
  folder: string;
  /** Names of the images' channels, such as CMP and NP. */
  channels: string[];
  meanings: LabelMeanings;
  cases: CaseFiles[];
  /** What is wrong with the folder as such; cases are checked when they are read. */
  problems: string[];
}

/**
 * Looks at a folder:
 * - `dataset.json` beside imagesTr/ID_0000.nii.gz, ID_0001.nii.gz, ... and labelsTr/ID.nii.gz: nnU-Net (version 1 or 2);
 * - `case_*\/imaging.nii.gz` with segmentation.nii.gz: KiTS;
 * - `case_*\/ct.nii.gz` with labels.nii.gz: renvox.
 * @throws RenvoxError FileNotFound where the folder is none, or holds no case of any layout
 */
export async function findDataSet(folder: string): Promise<DataSet> {
  const entries = await list(folder);
  if (!entries) throw new RenvoxError('FileNotFound', `There is no folder ${folder}`, { folder });
  if (entries.includes('dataset.json')) return nnunet(folder);
  const names = entries.filter((name) => name.startsWith('case_')).sort();
  const inside = new Map<string, string[]>();
  for (const name of names) inside.set(name, (await list(join(folder, name))) ?? []);
  const kits = [...inside.values()].some((files) =>
    files.some((f) => /^(imaging|segmentation)\.nii/.test(f)),
  );
  const found = [...inside].filter(([, files]) => files.length > 0);
  if (found.length === 0)
    throw new RenvoxError(
      'FileNotFound',
      `The folder ${folder} has no case_*/ with ct.nii.gz and labels.nii.gz (renvox) or imaging.nii.gz and segmentation.nii.gz (KiTS), and no dataset.json (nnU-Net)`,
      { folder },
    );
  const [image, labels] = kits ? ['imaging', 'segmentation'] : ['ct', 'labels'];
  const file = (name: string, what: string) => {
    const plain = `${what}.nii`;
    return join(folder, name, inside.get(name)?.includes(plain) ? plain : `${plain}.gz`);
  };
  return {
    layout: kits ? 'kits' : 'renvox',
    folder,
    channels: ['CT'],
    meanings: kits ? kitsLabels : renvoxLabels,
    cases: found.map(([name]) => ({
      name,
      images: [file(name, image as string)],
      labels: file(name, labels as string),
    })),
    problems: [],
  };
}

/** Names in a folder; undefined where it is none. */
async function list(folder: string): Promise<string[] | undefined> {
  const found = await stat(folder).catch(() => undefined);
  return found?.isDirectory() ? (await readdir(folder)).sort() : undefined;
}

interface DatasetJson {
  channel_names?: Record<string, string>;
  /** Version 1. */
  modality?: Record<string, string>;
  labels?: Record<string, unknown>;
  numTraining?: number;
  file_ending?: string;
}

async function nnunet(folder: string): Promise<DataSet> {
  const path = join(folder, 'dataset.json');
  let description: DatasetJson;
  try {
    description = JSON.parse(await readFile(path, 'utf8')) as DatasetJson;
  } catch (error) {
    throw new RenvoxError('InvalidFile', `${path} is not JSON`, { path }, { cause: error });
  }
  const problems: string[] = [];
  const named = description.channel_names ?? description.modality ?? { 0: 'CT' };
  const channels = Object.keys(named)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => String(named[key]));
  const meanings = meaningsOf(description.labels ?? {}, problems);
  const ending = description.file_ending ?? '.nii.gz';
  const images = (await list(join(folder, 'imagesTr'))) ?? [];
  const maps = (await list(join(folder, 'labelsTr'))) ?? [];
  const ids = new Set<string>();
  for (const name of images) {
    const id = name.endsWith(ending) && /^(.+)_\d{4}$/.exec(name.slice(0, -ending.length))?.[1];
    if (id) ids.add(id);
  }
  for (const name of maps) if (name.endsWith(ending)) ids.add(name.slice(0, -ending.length));
  if (ids.size === 0)
    throw new RenvoxError(
      'FileNotFound',
      `The folder ${folder} has no imagesTr/ID_0000${ending} with labelsTr/ID${ending}`,
      { folder },
    );
  if (description.numTraining !== undefined && description.numTraining !== ids.size)
    problems.push(
      `dataset.json says numTraining ${description.numTraining}, ${ids.size} are there`,
    );
  const cases = [...ids].sort().map((name) => ({
    name,
    images: channels.map((_, c) =>
      join(folder, 'imagesTr', `${name}_${String(c).padStart(4, '0')}${ending}`),
    ),
    labels: join(folder, 'labelsTr', `${name}${ending}`),
  }));
  return { layout: 'nnunet', folder, channels, meanings, cases, problems };
}

/** Version 2 has {name: value}, version 1 {value: name}. */
function meaningsOf(labels: Record<string, unknown>, problems: string[]): LabelMeanings {
  const meanings = new Map<number, number>();
  for (const [key, other] of Object.entries(labels)) {
    const first = /^\d+$/.test(key) && typeof other === 'string';
    const [name, value] = first ? [other, Number(key)] : [key, other];
    if (value === 0) continue;
    const meaning = labelNamed(name);
    if (!Number.isInteger(value))
      problems.push(
        `dataset.json: the label "${name}" is ${JSON.stringify(value)}, expected an integer (regions are not read)`,
      );
    else if (meaning === undefined)
      problems.push(
        `dataset.json: the label "${name}" is none of kidney, left kidney, right kidney, mass, aml, cyst, tumour`,
      );
    else meanings.set(value as number, meaning);
  }
  if (meanings.size === 0) problems.push('dataset.json names no label');
  return meanings;
}
