/** The masses that `renvox analyze` reports beside its label map, and which component each of them is. */
import { basename, dirname, join } from 'node:path';
import { RenvoxError } from '../errors.js';
import { type Grid, type Triple, toIndex, toWorld, type Volume } from '../volume/index.js';
import { caseId, isFile } from './find-cases.js';
import type { Instances } from './instances.js';
import { MASS_CLASSES, type MassClass, sumsToOne } from './lesions.js';
import { readInput } from './read-input.js';
import type { LabelScheme } from './scheme.js';

export interface ReportedMass {
  readonly class: MassClass;
  /** In the order of {@link MASS_CLASSES}. */
  readonly probabilities: readonly [number, number, number];
  readonly voxels: number;
  /** LPS mm. */
  readonly centroid: Triple;
}

/** What a predicted mass was called. */
export interface MassCall {
  readonly class: MassClass | null;
  readonly probabilities: readonly [number, number, number] | null;
}

/** The report of a case whose labels lie in a folder of its own: report.json beside them. */
export async function reportBeside(labels: string, id: string): Promise<string | undefined> {
  const folder = dirname(labels);
  if (caseId(basename(folder)) !== id) return undefined;
  const path = join(folder, 'report.json');
  return (await isFile(path)) ? path : undefined;
}

/**
 * Reads the masses of a report.json of an analysis.
 * @param labels - the label map of the same analysis
 * @throws RenvoxError InvalidFile where it is no report, or one of an image of another shape
 */
export async function readReport(
  path: string,
  labels: Volume,
): Promise<{ masses: ReportedMass[]; bytes: Buffer }> {
  const fail = (what: string) =>
    new RenvoxError('InvalidFile', `${path} is no report of these labels: ${what}`, { path });
  const bytes = await readInput(path);
  let json: { input?: { shape?: unknown }; masses?: unknown };
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw fail(cause instanceof Error ? cause.message : String(cause));
  }
  const shape = json?.input?.shape;
  if (!Array.isArray(shape) || shape.join() !== labels.fileShape.join())
    throw fail(`expected input.shape ${labels.fileShape.join('x')} but found ${shape}`);
  if (!Array.isArray(json.masses)) throw fail(`expected a list of masses`);
  return { masses: json.masses.map((mass, i) => reportedMass(mass, `masses[${i}]`, fail)), bytes };
}

function reportedMass(
  mass: Record<string, unknown>,
  where: string,
  fail: (what: string) => RenvoxError,
): ReportedMass {
  const name = mass?.class as MassClass;
  if (!MASS_CLASSES.includes(name)) throw fail(`${where}.class is ${String(name)}`);
  const p = mass.probabilities as Record<string, unknown> | undefined;
  const probabilities = MASS_CLASSES.map((c) => p?.[c] as number);
  const possible =
    probabilities.every((v) => typeof v === 'number' && v >= 0 && v <= 1) &&
    sumsToOne(probabilities.reduce((a, b) => a + b, 0));
  if (!possible)
    throw fail(
      `${where}.probabilities are ${JSON.stringify(p)}, not three numbers that add up to 1`,
    );
  const centroid = mass.centroid_lps_mm;
  if (!(Array.isArray(centroid) && centroid.length === 3 && centroid.every(Number.isFinite)))
    throw fail(`${where}.centroid_lps_mm is ${JSON.stringify(centroid)}`);
  const voxels = mass.voxels as number;
  if (!(voxels >= 1)) throw fail(`${where}.voxels is ${String(voxels)}`);
  return {
    ...{ class: name, voxels },
    probabilities: probabilities as [number, number, number],
    centroid: centroid as unknown as Triple,
  };
}

/**
 * What each predicted component was called. Its class is that of its label, else of the report. A report's mass is the component of its
 * centroid and its number of voxels; failing that, the component of its class that its centroid lies in, for masses that touch are one
 * component: then probabilities are their mean, weighted by voxels.
 * @param offset - of the components' box in the whole map
 * @throws RenvoxError InvalidFile where report and labels contradict each other
 */
export function massCalls(
  masses: Instances,
  scheme: LabelScheme,
  box: { readonly shape: Triple; readonly offset: Triple },
  grid: Grid,
  reported: readonly ReportedMass[],
  path: string,
): MassCall[] {
  const { shape, offset } = box;
  const own = masses.list.map((): ReportedMass[] => []);
  const classOf = (i: number) => scheme.get(masses.list[i]?.label as number)?.class;
  const centroids = masses.list.map(({ centroid: c }) =>
    toWorld(grid, [c[0] + offset[0], c[1] + offset[1], c[2] + offset[2]]),
  );
  const [x, y, z] = toWorld(grid, [0, 0, 0]);
  const nearEnough =
    Math.min(
      ...(
        [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ] as const
      ).map((step) => {
        const [p, q, r] = toWorld(grid, step);
        return Math.hypot(p - x, q - y, r - z);
      }),
    ) / 2;
  for (const mass of reported) {
    const distance = (i: number) => {
      const [a, b, c] = centroids[i] as [number, number, number];
      return Math.hypot(a - mass.centroid[0], b - mass.centroid[1], c - mass.centroid[2]);
    };
    const same = masses.list.findIndex(
      ({ voxels }, i) => voxels === mass.voxels && distance(i) < nearEnough,
    );
    if (same >= 0) {
      const name = classOf(same);
      if (name !== undefined && name !== mass.class)
        throw new RenvoxError(
          'InvalidFile',
          `${path} calls a mass of ${mass.voxels} voxels ${mass.class} that the labels call ${name}: they are not of one analysis`,
          { path, voxels: mass.voxels, report: mass.class, labels: name },
        );
      own[same]?.push(mass);
      continue;
    }
    const at = toIndex(grid, mass.centroid).map((v, k) => Math.round(v) - (offset[k] as number));
    const [d, h, w] = at as [number, number, number];
    if (!at.every((v, k) => v >= 0 && v < (shape[k] as number))) continue;
    const i = (masses.map[(d * shape[1] + h) * shape[2] + w] as number) - 1;
    if (i >= 0 && (classOf(i) ?? mass.class) === mass.class) own[i]?.push(mass);
  }
  return masses.list.map((_, i): MassCall => {
    const found = own[i] as ReportedMass[];
    const all = found.reduce((sum, m) => sum + m.voxels, 0);
    const mean = (k: number) =>
      found.reduce((sum, m) => sum + m.voxels * (m.probabilities[k] as number), 0) / all;
    const [largest] = [...found].sort((a, b) => b.voxels - a.voxels);
    return {
      class: classOf(i) ?? largest?.class ?? null,
      probabilities:
        found.length > 1 ? [mean(0), mean(1), mean(2)] : (largest?.probabilities ?? null),
    };
  });
}
