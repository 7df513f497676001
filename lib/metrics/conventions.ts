/**
 * What other tools say where a mask is empty, how they take percentiles, and what they call a surface: named modes, so that a figure can be
 * compared with a published one. Read from the tools' own sources.
 */
import { invalidArgument } from '../errors.js';

/** A figure where a mask is empty; `raises`: the tool refuses, and so do we. */
export type EmptyValue = number | 'raises';

export interface Convention {
  /** What the mode is of. */
  readonly tool: string;
  /** Dice and IoU. */
  readonly overlap: {
    readonly bothEmpty: EmptyValue;
    readonly emptyTruth: EmptyValue;
    readonly emptyPrediction: EmptyValue;
  };
  /** Hausdorff, its percentiles, mean surface distances. */
  readonly distance: {
    readonly bothEmpty: EmptyValue;
    readonly oneEmpty: EmptyValue;
    readonly percentileOneEmpty: EmptyValue;
  };
  /** Normalised surface Dice. */
  readonly surfaceDice: { readonly bothEmpty: EmptyValue; readonly oneEmpty: EmptyValue };
  /** `voxels`: foreground voxels with a face neighbour in the background; `elements`: marching-cubes elements weighted by area. */
  readonly surface: 'voxels' | 'elements';
  /** `directed`: the larger of the two directed percentiles; `pooled`: the percentile of both directions' distances together. */
  readonly percentile: 'directed' | 'pooled';
  /** `pooled`: every place of both surfaces counts once (every area, for elements); `directed`: the mean of the two directed means. */
  readonly assd: 'pooled' | 'directed';
  readonly note: string;
}

const NAN = Number.NaN;
const INF = Number.POSITIVE_INFINITY;

export const CONVENTIONS = {
  renvox: {
    tool: 'renvox (default)',
    overlap: { bothEmpty: NAN, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: NAN, oneEmpty: INF, percentileOneEmpty: INF },
    surfaceDice: { bothEmpty: NAN, oneEmpty: 0 },
    surface: 'voxels',
    percentile: 'directed',
    assd: 'pooled',
    note: 'infinite and undefined figures are counted in every table, never dropped',
  },
  kits: {
    tool: 'KiTS21 and KiTS23 evaluation',
    overlap: { bothEmpty: 1, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: INF, oneEmpty: INF, percentileOneEmpty: INF },
    surfaceDice: { bothEmpty: 1, oneEmpty: 0 },
    surface: 'elements',
    percentile: 'directed',
    assd: 'pooled',
    note: 'the tool reports no Hausdorff distance; here it is that of surface-distance',
  },
  nnunet: {
    tool: 'nnU-Net v2',
    overlap: { bothEmpty: NAN, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: NAN, oneEmpty: NAN, percentileOneEmpty: NAN },
    surfaceDice: { bothEmpty: NAN, oneEmpty: NAN },
    surface: 'voxels',
    percentile: 'directed',
    assd: 'pooled',
    note: 'means leave NaN out; the tool reports no distances, here they are NaN where a mask is empty',
  },
  monai: {
    tool: 'MONAI (ignore_empty, its default)',
    overlap: { bothEmpty: NAN, emptyTruth: NAN, emptyPrediction: 0 },
    distance: { bothEmpty: NAN, oneEmpty: INF, percentileOneEmpty: NAN },
    surfaceDice: { bothEmpty: NAN, oneEmpty: 0 },
    surface: 'voxels',
    percentile: 'directed',
    assd: 'pooled',
    note: 'an empty truth is left out of Dice whatever was predicted',
  },
  metricsreloaded: {
    tool: 'MetricsReloaded',
    overlap: { bothEmpty: 1, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: 0, oneEmpty: NAN, percentileOneEmpty: NAN },
    surfaceDice: { bothEmpty: 1, oneEmpty: 0 },
    surface: 'voxels',
    percentile: 'directed',
    assd: 'pooled',
    note: '',
  },
  medpy: {
    tool: 'MedPy',
    overlap: { bothEmpty: 1, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: 'raises', oneEmpty: 'raises', percentileOneEmpty: 'raises' },
    surfaceDice: { bothEmpty: 'raises', oneEmpty: 'raises' },
    surface: 'voxels',
    percentile: 'pooled',
    assd: 'directed',
    note: 'asking for a distance of an empty mask throws InvalidArgument',
  },
  panoptica: {
    tool: 'panoptica',
    overlap: { bothEmpty: NAN, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: NAN, oneEmpty: INF, percentileOneEmpty: INF },
    surfaceDice: { bothEmpty: NAN, oneEmpty: 0 },
    surface: 'voxels',
    percentile: 'pooled',
    assd: 'directed',
    note: 'its edge cases are configurable; these are the ones for NaN and infinity',
  },
  'surface-distance': {
    tool: 'google-deepmind/surface-distance',
    overlap: { bothEmpty: NAN, emptyTruth: 0, emptyPrediction: 0 },
    distance: { bothEmpty: INF, oneEmpty: INF, percentileOneEmpty: INF },
    surfaceDice: { bothEmpty: NAN, oneEmpty: 0 },
    surface: 'elements',
    percentile: 'directed',
    assd: 'pooled',
    note: 'percentiles are the first distance at which the share of the area reaches them',
  },
} as const satisfies Record<string, Convention>;

export type ConventionName = keyof typeof CONVENTIONS;

/** @throws RenvoxError InvalidArgument */
export function conventionOf(name: ConventionName): Convention {
  if (!Object.hasOwn(CONVENTIONS, name))
    throw invalidArgument('conventions', Object.keys(CONVENTIONS).join(' or '), name);
  return CONVENTIONS[name];
}

/** The table of docs/conventions.md. */
export function conventionsMarkdown(): string {
  const text = (v: EmptyValue) =>
    v === 'raises' ? 'throws' : Number.isNaN(v) ? 'NaN' : v === INF ? '∞' : String(v);
  const rows = Object.entries(CONVENTIONS as Record<string, Convention>).map(([name, c]) =>
    [
      ...[`\`${name}\``, c.tool],
      `${text(c.overlap.bothEmpty)} / ${text(c.overlap.emptyTruth)} / ${text(c.overlap.emptyPrediction)}`,
      `${text(c.distance.bothEmpty)} / ${text(c.distance.oneEmpty)}`,
      text(c.distance.percentileOneEmpty),
      `${text(c.surfaceDice.bothEmpty)} / ${text(c.surfaceDice.oneEmpty)}`,
      ...[c.surface, c.percentile, c.assd, c.note],
    ].join(' | '),
  );
  return [
    '| mode | tool | Dice, IoU: both empty / truth empty / prediction empty | distances: both / one empty | percentile, one empty | surface Dice: both / one empty | surface | percentile | ASSD | note |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
}
