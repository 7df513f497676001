/**
 * Cutting a plane out of a CT and its label map, in patient directions decided by the affine, with square pixels.
 * A tilted volume is shown along its own axes, each taken for the patient axis that it is nearest to.
 */

import { axisDirections } from '../../volume/axes.js';
import type { Volume } from '../../volume/index.js';
import { gridOf, toIndex } from '../../volume/index.js';
import type { Canvas, Colour } from './canvas.js';

/** Voxels addressed along the patient: axis 0 to the left, 1 to the back, 2 to the head. */
export interface PatientView {
  readonly volume: Volume;
  readonly labels: Uint8Array;
  /** Voxels and mm along the three axes. */
  readonly size: readonly [number, number, number];
  readonly mm: readonly [number, number, number];
  /** data index = start + sum of index * step. */
  readonly start: number;
  readonly step: readonly [number, number, number];
}

/** Looks at `volume` and `labels`, which has one element for each of its voxels, along the patient's axes. */
export function patientView(volume: Volume, labels: Uint8Array): PatientView {
  const { fileShape, fileSpacing } = volume;
  const steps = [1, fileShape[0], fileShape[0] * fileShape[1]];
  const size: [number, number, number] = [0, 0, 0];
  const mm: [number, number, number] = [0, 0, 0];
  const step: [number, number, number] = [0, 0, 0];
  let start = 0;
  axisDirections(volume.affine).forEach(({ patient, sign }, axis) => {
    // RAS + is right, front, head; this view counts to the left, back, head.
    const along = sign > 0 === (patient === 2);
    const stride = steps[axis] as number;
    size[patient] = fileShape[axis] as number;
    mm[patient] = fileSpacing[axis] as number;
    step[patient] = along ? stride : -stride;
    if (!along) start += stride * ((fileShape[axis] as number) - 1);
  });
  return { volume, labels, size, mm, start, step };
}

/** Index along the patient's axes, not rounded, of a point in LPS mm. */
export function patientIndex(
  view: PatientView,
  lps: readonly [number, number, number],
): [number, number, number] {
  const [d, h, w] = toIndex(gridOf(view.volume), lps);
  const file = [w, h, d];
  const result: [number, number, number] = [0, 0, 0];
  axisDirections(view.volume.affine).forEach(({ patient }, axis) => {
    const index = file[axis] as number;
    result[patient] = view.step[patient] > 0 ? index : (view.size[patient] as number) - 1 - index;
  });
  return result;
}

/** A rectangle of a plane, as it comes on the picture. Radiological: the patient's right is on the left side. */
export interface Cut {
  /** Axial: seen from the feet, the front above. Coronal: seen from the front, the head above. */
  readonly plane: 'axial' | 'coronal';
  /** Slice index along the head axis (axial) or the back axis (coronal). */
  readonly slice: number;
  /** mm of the rectangle's centre from the view's first voxel: to the left, then down the picture's own axis. */
  readonly centre: readonly [number, number];
  readonly mmPerPixel: number;
}

/** What an outlined label looks like, and which labels it holds: their border with it is not drawn. */
export interface Outline {
  readonly colour: Colour;
  readonly holds: readonly number[];
}

/** Grey values of a window of HU. */
export interface HuWindow {
  readonly level: number;
  readonly width: number;
}

/** Draws a cut into a rectangle of the canvas: CT in grey, labels as lines. */
export function drawCut(
  canvas: Canvas,
  area: { x: number; y: number; width: number; height: number },
  view: PatientView,
  cut: Cut,
  window: HuWindow,
  outlines: ReadonlyMap<number, Outline>,
): void {
  const lattice = latticeOf(view, cut);
  canvas.grey(area.x, area.y, area.width, sampleCt(view, lattice, area.width, area.height, window));
  drawOutlines(canvas, area, view, lattice, outlines);
}

/** The plane as a two-dimensional array: where it begins, steps and voxels along the picture's axes, scale. */
interface Lattice {
  readonly base: number;
  readonly steps: readonly [number, number];
  readonly size: readonly [number, number];
  /** Lattice index of the rectangle's centre, and lattice steps a pixel. */
  readonly centre: readonly [number, number];
  readonly perPixel: readonly [number, number];
}

function latticeOf(view: PatientView, { plane, slice, centre, mmPerPixel }: Cut): Lattice {
  const { size, mm, start, step } = view;
  // Down the picture: axial to the back, coronal to the feet, against the head axis.
  const [down, through] = plane === 'axial' ? ([1, 2] as const) : ([2, 1] as const);
  const turned = plane === 'coronal';
  const at = Math.min(size[through] - 1, Math.max(0, Math.round(slice)));
  return {
    base: start + at * step[through] + (turned ? (size[2] - 1) * step[2] : 0),
    steps: [step[0], turned ? -step[down] : step[down]],
    size: [size[0], size[down]],
    centre: [centre[0] / mm[0], centre[1] / mm[down]],
    perPixel: [mmPerPixel / mm[0], mmPerPixel / mm[down]],
  };
}

/** Lattice index of the middle of a pixel along one axis. */
function position(lattice: Lattice, axis: 0 | 1, pixel: number, extent: number): number {
  return lattice.centre[axis] + (pixel + 0.5 - extent / 2) * lattice.perPixel[axis];
}

/** Bilinear, 0 outside of the volume; HU that are not finite are black. */
function sampleCt(
  { volume }: PatientView,
  lattice: Lattice,
  width: number,
  height: number,
  window: HuWindow,
): Uint8Array {
  const { data, slope, inter } = volume;
  const [n, m] = lattice.size;
  const low = window.level - window.width / 2;
  const result = new Uint8Array(width * height);
  for (let v = 0; v < height; v++) {
    const y = position(lattice, 1, v, height);
    if (y < -0.5 || y > m - 0.5) continue;
    const [y0, fy] = cell(y, m);
    const row = lattice.base + y0 * lattice.steps[1];
    const below = m > 1 ? lattice.steps[1] : 0;
    for (let u = 0; u < width; u++) {
      const x = position(lattice, 0, u, width);
      if (x < -0.5 || x > n - 0.5) continue;
      const [x0, fx] = cell(x, n);
      const at = row + x0 * lattice.steps[0];
      const right = n > 1 ? lattice.steps[0] : 0;
      const top = (data[at] as number) * (1 - fx) + (data[at + right] as number) * fx;
      const bottom =
        (data[at + below] as number) * (1 - fx) + (data[at + below + right] as number) * fx;
      const hu = (top * (1 - fy) + bottom * fy) * slope + inter;
      const value = ((hu - low) / window.width) * 255;
      result[v * width + u] = value > 0 ? Math.min(255, Math.round(value)) : 0;
    }
  }
  return result;
}

/** The lower index of the interval that holds `x`, and how far into it: clamped to an axis of n voxels. */
function cell(x: number, n: number): [number, number] {
  const lower = Math.min(Math.max(0, n - 2), Math.max(0, Math.floor(x)));
  return [lower, Math.min(1, Math.max(0, x - lower))];
}

/** Sub-pixels a side of a pixel, for smooth lines. */
const SUB = 2;
/** Line width in sub-pixels. */
const LINE = 5;

/**
 * A line along the inside of each label's border. The label of a sub-pixel is the one with the largest bilinear weight,
 * so borders are smooth where voxels are large.
 */
function drawOutlines(
  canvas: Canvas,
  area: { x: number; y: number; width: number; height: number },
  view: PatientView,
  lattice: Lattice,
  outlines: ReadonlyMap<number, Outline>,
): void {
  const width = area.width * SUB;
  const label = sampleLabels(view, lattice, area.width, area.height);
  const line = borders(label, width, outlines);
  const coverage = new Map<number, number>();
  for (let v = 0; v < area.height; v++) {
    for (let u = 0; u < area.width; u++) {
      const corner = v * SUB * width + u * SUB;
      // SUB is 2: most pixels have no line in any of their four parts.
      if (!(line[corner] || line[corner + 1] || line[corner + width] || line[corner + width + 1])) {
        continue;
      }
      const inside = [corner, corner + 1, corner + width, corner + width + 1];
      coverage.clear();
      for (const at of inside) {
        const own = label[at] as number;
        if (line[at]) coverage.set(own, (coverage.get(own) ?? 0) + 1);
      }
      for (const [own, count] of coverage) {
        const { colour } = outlines.get(own) as Outline;
        canvas.blend(area.x + u, area.y + v, colour, count / (SUB * SUB));
      }
    }
  }
}

/** Marks the sub-pixels of a label that lie less than the line's width from one that its outline does not hold. */
function borders(
  label: Uint8Array,
  width: number,
  outlines: ReadonlyMap<number, Outline>,
): Uint8Array {
  const height = label.length / width;
  const line = new Uint8Array(label.length);
  /** Marks `own` around a sub-pixel that is not held. The picture's edge cuts a label off without a line. */
  const stamp = (x: number, y: number, own: number): void => {
    for (let v = Math.max(0, y - LINE); v <= Math.min(height - 1, y + LINE); v++) {
      for (let u = Math.max(0, x - LINE); u <= Math.min(width - 1, x + LINE); u++) {
        const near = (u - x) ** 2 + (v - y) ** 2 < LINE ** 2;
        if (near && label[v * width + u] === own) line[v * width + u] = 1;
      }
    }
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const own = label[at] as number;
      if (own === 0) continue;
      const outline = outlines.get(own);
      if (outline === undefined) continue;
      const open = (other: number | undefined): boolean =>
        other !== own && other !== undefined && !outline.holds.includes(other);
      if (x > 0 && open(label[at - 1])) stamp(x - 1, y, own);
      if (x < width - 1 && open(label[at + 1])) stamp(x + 1, y, own);
      if (y > 0 && open(label[at - width])) stamp(x, y - 1, own);
      if (y < height - 1 && open(label[at + width])) stamp(x, y + 1, own);
    }
  }
  return line;
}

function sampleLabels(
  { labels }: PatientView,
  lattice: Lattice,
  pixelsWide: number,
  pixelsHigh: number,
): Uint8Array {
  const [width, height] = [pixelsWide * SUB, pixelsHigh * SUB];
  const [n, m] = lattice.size;
  const result = new Uint8Array(width * height);
  for (let v = 0; v < height; v++) {
    const y = position(lattice, 1, (v + 0.5) / SUB - 0.5, pixelsHigh);
    if (y < -0.5 || y > m - 0.5) continue;
    const [y0, fy] = cell(y, m);
    const below = m > 1 ? lattice.steps[1] : 0;
    for (let u = 0; u < width; u++) {
      const x = position(lattice, 0, (u + 0.5) / SUB - 0.5, pixelsWide);
      if (x < -0.5 || x > n - 0.5) continue;
      const [x0, fx] = cell(x, n);
      const at = lattice.base + y0 * lattice.steps[1] + x0 * lattice.steps[0];
      const right = n > 1 ? lattice.steps[0] : 0;
      const a = labels[at] as number;
      const b = labels[at + right] as number;
      const c = labels[at + below] as number;
      const d = labels[at + below + right] as number;
      result[v * width + u] = a === b && b === c && c === d ? a : heaviest([a, b, c, d], fx, fy);
    }
  }
  return result;
}

/** The label with the largest bilinear weight among those of the four corners. */
function heaviest(corners: readonly number[], fx: number, fy: number): number {
  const weights = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy];
  let best = 0;
  let bestWeight = -1;
  for (const candidate of corners) {
    let weight = 0;
    for (let k = 0; k < 4; k++) if (corners[k] === candidate) weight += weights[k] as number;
    if (weight > bestWeight) [best, bestWeight] = [candidate, weight];
  }
  return best;
}
