/**
 * The preview picture of an analysis: an axial and a coronal slice through both kidneys, then each mass from near, with
 * what was found outlined in colour on the CT. Left of the picture is the patient's right, as radiologists look.
 */
import { RenvoxError } from '../errors.js';
import type { Triple, Volume } from '../volume/index.js';
import { encodePng } from './png.js';
import { Canvas, type Colour } from './preview/canvas.js';
import {
  type Cut,
  drawCut,
  type HuWindow,
  type Outline,
  type PatientView,
  patientIndex,
  patientView,
} from './preview/plane.js';

/** A mass as the preview shows it; analyze's masses are such. */
export interface PreviewMass {
  readonly side: 'left' | 'right' | null;
  readonly class: 'aml' | 'cystic' | 'solid';
  readonly averageDiameterMm: number;
  /** LPS mm. */
  readonly centroidLpsMm: Triple;
}

/** Options of {@link drawPreview}. */
export interface PreviewOptions {
  /** Of the CT's grey values, in HU. Default level 40, width 400 (soft tissue). */
  window?: HuWindow;
  /** Most masses that get pictures of their own; the rest is counted. Default 6. */
  maxMasses?: number;
}

const LEFT_KIDNEY = 1;
const RIGHT_KIDNEY = 2;
const CLASS_LABEL = { aml: 3, cystic: 4, solid: 5 } as const;
const CLASS_NAME = { aml: 'AML', cystic: 'Cystic', solid: 'Solid' } as const;

const COLOURS: Readonly<Record<number, Colour>> = {
  1: [61, 214, 224],
  2: [155, 229, 100],
  3: [255, 183, 3],
  4: [190, 140, 255],
  5: [255, 82, 96],
};
const LEGEND: readonly (readonly [string, number])[] = [
  ['Left kidney', 1],
  ['Right kidney', 2],
  ['AML', 3],
  ['Cystic', 4],
  ['Solid', 5],
];
const OUTLINES: ReadonlyMap<number, Outline> = new Map(
  [1, 2, 3, 4, 5].map((label) => [
    label,
    // A mass in a kidney has its own line, so the kidney draws none against it.
    { colour: COLOURS[label] as Colour, holds: label <= 2 ? [label, 3, 4, 5] : [label] },
  ]),
);

const BACKGROUND: Colour = [14, 17, 22];
const PANEL: Colour = [0, 0, 0];
const FRAME: Colour = [48, 54, 64];
const BRIGHT: Colour = [232, 236, 241];
const DIM: Colour = [139, 148, 160];

// Pixels. Every row is WIDTH wide, with GAP around and between its panels.
const WIDTH = 1560;
const GAP = 18;
const HEADER = 64;
const CAPTION = 36;
const FOOTER = 62;
const OVERVIEW_HEIGHT = 560;
const MASSES_PER_ROW = 3;

/**
 * Draws the picture.
 * @param ct the CT in HU (after its slope and inter), with the affine that decides left and right
 * @param labels on the CT's voxels: 1 left kidney, 2 right kidney, 3 AML, 4 cystic, 5 solid
 * @param masses in the order in which they shall come
 * @returns three bytes a pixel, rows from the top
 * @throws ShapeMismatch where `labels` has another length than the CT
 */
export function drawPreview(
  ct: Volume,
  labels: Uint8Array,
  masses: readonly PreviewMass[],
  options: PreviewOptions = {},
): { width: number; height: number; rgb: Uint8Array } {
  if (labels.length !== ct.data.length) {
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected ${ct.data.length} labels, one for each voxel of the CT, but received ${labels.length}`,
      { expected: ct.data.length, received: labels.length },
    );
  }
  const { window = { level: 40, width: 400 }, maxMasses = 6 } = options;
  const view = patientView(ct, labels);
  const shown = masses.slice(0, maxMasses);
  const rows = Math.ceil(shown.length / MASSES_PER_ROW);
  // A lone mass or two get wider cells than three in a row.
  const cells = Math.max(2, Math.min(MASSES_PER_ROW, shown.length));
  const cellWidth = Math.floor((WIDTH - GAP * (cells + 1)) / cells);
  const side = Math.min(380, Math.floor((cellWidth - GAP / 2) / 2));
  const overviewHeight = OVERVIEW_HEIGHT + CAPTION + GAP;
  const height = HEADER + overviewHeight + rows * (side + CAPTION + GAP) + FOOTER;
  const canvas = new Canvas(WIDTH, height, BACKGROUND);
  const paint = (area: Area, cut: Cut): void => {
    drawCut(canvas, area, view, cut, window, OUTLINES);
    sides(canvas, area);
    canvas.frame(area.x - 1, area.y - 1, area.width + 2, area.height + 2, FRAME);
  };
  header(canvas, masses.length);
  overview(canvas, view, paint);
  shown.forEach((mass, k) => {
    const column = k % MASSES_PER_ROW;
    const top = HEADER + overviewHeight + Math.floor(k / MASSES_PER_ROW) * (side + CAPTION + GAP);
    const used = 2 * side + GAP / 2;
    const x = GAP + column * (cellWidth + GAP) + Math.floor((cellWidth - used) / 2);
    massPair(canvas, view, paint, { mass, number: k + 1, x, top, side });
  });
  footer(canvas, height, masses.length - shown.length, window);
  return { width: WIDTH, height, rgb: canvas.rgb };
}

/** {@link drawPreview} as the bytes of a PNG file. */
export function previewPng(
  ct: Volume,
  labels: Uint8Array,
  masses: readonly PreviewMass[],
  options: PreviewOptions = {},
): Buffer {
  const { width, height, rgb } = drawPreview(ct, labels, masses, options);
  return encodePng(width, height, rgb);
}

interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

type Paint = (area: Area, cut: Cut) => void;

function header(canvas: Canvas, masses: number): void {
  const y = 42;
  const end = canvas.text('renvox', GAP, y, { colour: BRIGHT, size: 3 });
  const count = masses === 0 ? 'no mass found' : masses === 1 ? '1 mass' : `${masses} masses`;
  canvas.text(count, end + 24, y, { colour: DIM, size: 2 });
  canvas.text('Not a medical device', WIDTH - GAP, y, { colour: DIM, size: 2, align: 'right' });
}

function footer(canvas: Canvas, height: number, hidden: number, window: HuWindow): void {
  const y = height - 24;
  let x = GAP + 8;
  for (const [name, label] of LEGEND) {
    canvas.ring(x, y - 7, 8, 5, COLOURS[label] as Colour);
    x = canvas.text(name, x + 17, y, { colour: BRIGHT, size: 2 }) + 40;
  }
  const more = hidden > 0 ? `${hidden} more not shown · ` : '';
  const text = `${more}HU ${window.level - window.width / 2} to ${window.level + window.width / 2}`;
  canvas.text(text, WIDTH - GAP, y, { colour: DIM, size: 2, align: 'right' });
}

/** R and L in the panel's upper corners: the patient's. */
function sides(canvas: Canvas, { x, y, width }: Area): void {
  for (const [letter, left] of [
    ['R', x + 6],
    ['L', x + width - 28],
  ] as const) {
    canvas.shade(left, y + 6, 22, 24, 0.6);
    canvas.text(letter, left + 11, y + 25, { colour: BRIGHT, size: 2, align: 'centre' });
  }
}

function overview(canvas: Canvas, view: PatientView, paint: Paint): void {
  const found = kidneySlices(view);
  const width = Math.floor((WIDTH - 3 * GAP) / 2);
  const { size, mm } = view;
  const extent = size.map((n, axis) => n * (mm[axis] as number)) as [number, number, number];
  const body = bodyBox(view, Math.round(found.axial));
  // The coronal panel shows the body's width and, around the kidneys, as much of its height as fits that scale.
  const across = Math.max(body.width, 1);
  const axialScale = Math.max(across / width, body.depth / OVERVIEW_HEIGHT);
  const coronalScale = Math.max(across / width, Math.min(extent[2], 420) / OVERVIEW_HEIGHT);
  const half = (coronalScale * OVERVIEW_HEIGHT) / 2;
  const head = extent[2] <= 2 * half ? extent[2] / 2 : clamp(found.head, half, extent[2] - half);
  const panels: [Cut, string, number][] = [
    [
      {
        plane: 'axial',
        slice: found.axial,
        centre: [body.centre[0], body.centre[1]],
        mmPerPixel: axialScale,
      },
      'Axial',
      found.axial,
    ],
    [
      {
        plane: 'coronal',
        slice: found.coronal,
        // Down the picture runs from the head: the view's last slice comes first.
        centre: [body.centre[0], extent[2] - head - (mm[2] as number) / 2],
        mmPerPixel: coronalScale,
      },
      'Coronal',
      found.coronal,
    ],
  ];
  for (const [k, [cut, name]] of panels.entries()) {
    const area = { x: GAP + k * (width + GAP), y: HEADER, width, height: OVERVIEW_HEIGHT };
    canvas.rectangle(area.x, area.y, area.width, area.height, PANEL);
    paint(area, cut);
    const baseline = area.y + area.height + 25;
    const end = canvas.text(name, area.x, baseline, { colour: BRIGHT, size: 2 });
    const what = found.any ? 'through the kidneys' : 'no kidney in view';
    canvas.text(what, end + 14, baseline, { colour: DIM, size: 2 });
  }
}

function massPair(
  canvas: Canvas,
  view: PatientView,
  paint: Paint,
  at: { mass: PreviewMass; number: number; x: number; top: number; side: number },
): void {
  const { mass, x, top, side } = at;
  const index = patientIndex(view, mass.centroidLpsMm);
  const point = index.map((value, axis) => value * (view.mm[axis] as number)) as [
    number,
    number,
    number,
  ];
  const last = ((view.size[2] as number) - 1) * (view.mm[2] as number);
  const mmPerPixel = clamp(2.6 * mass.averageDiameterMm, 80, 240) / side;
  paint(
    { x, y: top, width: side, height: side },
    { plane: 'axial', slice: index[2], centre: [point[0], point[1]], mmPerPixel },
  );
  paint(
    { x: x + side + GAP / 2, y: top, width: side, height: side },
    { plane: 'coronal', slice: index[1], centre: [point[0], last - point[2]], mmPerPixel },
  );
  const colour = COLOURS[CLASS_LABEL[mass.class]] as Colour;
  const baseline = top + side + 25;
  const title = `${at.number}  ${CLASS_NAME[mass.class]} ${mass.averageDiameterMm.toFixed(0)} mm`;
  const end = canvas.text(title, x, baseline, { colour, size: 2 });
  if (mass.side !== null) {
    canvas.text(`${mass.side} kidney`, end + 14, baseline, { colour: DIM, size: 2 });
  }
}

/** Slices that show as much as they can of the smaller kidney there; of the one, where there is one; else the middle. */
function kidneySlices(view: PatientView): {
  any: boolean;
  axial: number;
  coronal: number;
  /** mm of the kidneys' middle along the head axis. */
  head: number;
} {
  const { size, mm } = view;
  const counts = [1, 2].map((axis) => {
    const n = size[axis] as number;
    return { left: new Float64Array(n), right: new Float64Array(n) };
  }) as [Counts, Counts];
  countKidneys(view, counts);
  const [back, head] = counts;
  const total = head.left.reduce((a, b) => a + b, 0) + head.right.reduce((a, b) => a + b, 0);
  if (total === 0) {
    const middle = size.map((n) => (n - 1) / 2) as [number, number, number];
    return {
      any: false,
      axial: middle[2],
      coronal: middle[1],
      head: ((middle[2] as number) + 0.5) * mm[2],
    };
  }
  let moment = 0;
  for (let z = 0; z < size[2]; z++) {
    moment += ((head.left[z] as number) + (head.right[z] as number)) * z;
  }
  return {
    any: true,
    axial: richest(head),
    coronal: richest(back),
    head: (moment / total + 0.5) * mm[2],
  };
}

interface Counts {
  left: Float64Array;
  right: Float64Array;
}

function countKidneys(
  { labels, size, step, start }: PatientView,
  [back, head]: readonly [Counts, Counts],
): void {
  for (let z = 0; z < size[2]; z++) {
    for (let y = 0; y < size[1]; y++) {
      const row = start + z * step[2] + y * step[1];
      let left = 0;
      let right = 0;
      for (let x = 0, at = row; x < size[0]; x++, at += step[0]) {
        const label = labels[at] as number;
        if (label === LEFT_KIDNEY) left++;
        else if (label === RIGHT_KIDNEY) right++;
      }
      (back.left[y] as number) += left;
      (back.right[y] as number) += right;
      (head.left[z] as number) += left;
      (head.right[z] as number) += right;
    }
  }
}

/** The slice with the most of the lesser side; ties, as where one kidney is missing, by both together. */
function richest({ left, right }: Counts): number {
  let best = 0;
  let bestScore = -1;
  for (let k = 0; k < left.length; k++) {
    const [l, r] = [left[k] as number, right[k] as number];
    const score = Math.min(l, r) * 1e6 + l + r;
    if (score > bestScore) [best, bestScore] = [k, score];
  }
  return best;
}

/** The rectangle, in mm, of the body in an axial slice: what is denser than -300 HU, table and all. */
function bodyBox(
  { volume, size, mm, step, start }: PatientView,
  slice: number,
): { centre: [number, number]; width: number; depth: number } {
  const threshold = (-300 - volume.inter) / volume.slope;
  const rising = volume.slope > 0;
  let [x0, x1, y0, y1] = [size[0], -1, size[1], -1];
  for (let y = 0; y < size[1]; y++) {
    for (let x = 0; x < size[0]; x++) {
      const value = volume.data[start + slice * step[2] + y * step[1] + x * step[0]] as number;
      // NaN is no body either.
      if (!(rising ? value > threshold : value < threshold)) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x);
      y0 = Math.min(y0, y);
      y1 = Math.max(y1, y);
    }
  }
  if (x1 < 0) [x0, x1, y0, y1] = [0, size[0] - 1, 0, size[1] - 1];
  return {
    centre: [((x0 + x1) / 2) * mm[0], ((y0 + y1) / 2) * mm[1]],
    width: (x1 - x0 + 1) * mm[0],
    depth: (y1 - y0 + 1) * mm[1],
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
