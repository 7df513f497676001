/** Pictures of the worst masses and kidneys: the axial slice of the greatest disagreement, truth beside prediction. */
import { isRenvoxError } from '../errors.js';
import { encodePng } from '../pipeline/png.js';
import { Canvas, type Colour } from '../pipeline/preview/canvas.js';
import {
  drawCut,
  type HuWindow,
  type Outline,
  type PatientView,
  patientIndex,
  patientView,
} from '../pipeline/preview/plane.js';
import { readVolume, sameGrid, type Triple, type Volume } from '../volume/index.js';
import type { CaseInput } from './case-input.js';
import type { CaseRecord } from './case-record.js';
import { codedVoxels } from './instances.js';
import type { CaseSettings } from './measure-case.js';
import { readLabels } from './read-labels.js';
import type { Picture } from './report.js';
import type { LabelScheme } from './scheme.js';
import { text } from './table.js';
import { type WorstKidney, worstKidneys, worstLesions } from './worst.js';

/** Pixels of one panel's side, and the mm that it shows. */
const PANEL = 320;
const FIELD_MM = 128;
const CAPTION = 20;
const GAP = 4;
const INK: Colour = [235, 235, 240];
const PAPER: Colour = [24, 24, 28];
const FRAME: Colour = [255, 214, 60];
const ABDOMEN: HuWindow = { level: 40, width: 400 };
/** Kidney, mass: values of what is drawn here. */
const TRUTH: ReadonlyMap<number, Outline> = new Map([
  [1, { colour: [60, 140, 70], holds: [2] }],
  [2, { colour: [90, 255, 110], holds: [] }],
]);
const PREDICTION: ReadonlyMap<number, Outline> = new Map([
  [1, { colour: [150, 70, 140], holds: [2] }],
  [2, { colour: [255, 110, 235], holds: [] }],
]);
/** Without a CT the kidneys of either map are this grey, masses brighter. */
const GREYS = [0, 70, 120] as const;

interface Subject {
  readonly name: string;
  readonly table: string;
  readonly record: CaseRecord;
  readonly place: Triple;
  readonly captions: readonly [string, string];
  /** Of a mass, mm: it is framed, for others may be beside it. */
  readonly diameter: number | null;
}

/**
 * PNGs of the worst masses and kidneys, in the order of their tables.
 * @param most - masses, and half as many kidneys
 * @throws RenvoxError as readVolume; AbortError
 */
export async function worstPictures(
  records: readonly CaseRecord[],
  inputs: ReadonlyMap<string, CaseInput>,
  settings: CaseSettings,
  most: number,
): Promise<Picture[]> {
  const subjects = [...masses(records, most), ...kidneys(records, Math.ceil(most / 2))];
  const found = new Map<Subject, Picture>();
  // Case by case, so that one pair of volumes is in memory at a time.
  for (const record of new Set(subjects.map((s) => s.record))) {
    const input = inputs.get(record.case) as CaseInput;
    const { truth, prediction } = await readLabels(input, settings, { score: false });
    const { ct, why } = await readCt(input.image, truth, settings.signal);
    const scenes = [
      anatomy(truth, settings.scheme),
      anatomy(prediction, settings.predictionScheme),
    ];
    const base = ct ?? greyMap(truth, scenes as [Uint8Array, Uint8Array]);
    const views = scenes.map((labels) => patientView(base, labels));
    for (const subject of subjects)
      if (subject.record === record)
        found.set(subject, {
          ...{ name: `${subject.name}.png`, table: subject.table },
          title: [...subject.captions, ...why].join('; '),
          png: draw(views as [PatientView, PatientView], subject, ct !== undefined),
        });
  }
  return subjects.map((subject) => found.get(subject) as Picture);
}

/** The CT, or why there is none to be drawn: a picture is no reason to lose the figures. */
async function readCt(
  path: string | undefined,
  truth: Volume,
  signal: AbortSignal | undefined,
): Promise<{ ct?: Volume; why: string[] }> {
  if (path === undefined) return { why: [] };
  try {
    const ct = await readVolume(path, { signal });
    return sameGrid(ct, truth) ? { ct, why: [] } : { why: ['its CT lies on another grid'] };
  } catch (error) {
    if (!isRenvoxError(error) || error.code === 'AbortError') throw error;
    return { why: [`its CT cannot be read: ${error.message}`] };
  }
}

function masses(records: readonly CaseRecord[], most: number): Subject[] {
  const all = records.flatMap((record) =>
    record.lesions.map((lesion, k) => ({ record, lesion, place: record.places.lesions[k] })),
  );
  return worstLesions(
    all.map(({ lesion }) => lesion),
    most,
  ).flatMap((k, rank) => {
    const { record, lesion, place } = all[k] as (typeof all)[number];
    if (!place) return [];
    const { status, truthClass, predictedClass, averageDiameterMm, dice } = lesion;
    const number = `${rank + 1}`.padStart(2, '0');
    return [
      {
        ...{ name: `mass-${number}-${fileName(record.case)}`, table: 'worst', record, place },
        diameter: averageDiameterMm ?? 0,
        captions: [
          `${record.case}, ${lesion.side ?? 'no side'}, ${status}, ${text(averageDiameterMm, 1)} mm`,
          `true ${truthClass ?? '-'}, called ${predictedClass ?? '-'}${dice === null ? '' : `, Dice ${dice.toFixed(3)}`}`,
        ] as const,
      },
    ];
  });
}

function kidneys(records: readonly CaseRecord[], most: number): Subject[] {
  return worstKidneys(records, most).flatMap(({ record, side, dice }: WorstKidney, rank) => {
    const place = record.places.kidneys[side];
    if (!place) return [];
    const number = `${rank + 1}`.padStart(2, '0');
    return [
      {
        ...{ name: `kidney-${number}-${fileName(record.case)}-${side}`, table: 'worst-kidneys' },
        ...{ record, place, diameter: null },
        captions: [
          `${record.case}, ${side} kidney with masses`,
          `Dice ${dice.toFixed(3)}`,
        ] as const,
      },
    ];
  });
}

const fileName = (id: string) => id.replace(/[^\w.-]+/g, '_');

/** 1 kidney, 2 mass, of every voxel. */
function anatomy({ data }: Volume, scheme: LabelScheme): Uint8Array {
  const codes = new Uint8Array(256);
  const drawn = { ignore: 0, kidney: 1, mass: 2 } as const;
  for (const [value, { structure }] of scheme) codes[value] = drawn[structure];
  return codedVoxels(data, codes);
}

function greyMap(grid: Volume, [a, b]: [Uint8Array, Uint8Array]): Volume {
  return grid.like(a.map((v, i) => GREYS[Math.max(v, b[i] as number) as 0 | 1 | 2]));
}

function draw(
  [truth, prediction]: [PatientView, PatientView],
  subject: Subject,
  ct: boolean,
): Buffer {
  const canvas = new Canvas(2 * PANEL + GAP, PANEL + CAPTION, PAPER);
  const [left, back, head] = patientIndex(truth, subject.place);
  const cut = {
    plane: 'axial' as const,
    slice: Math.round(head),
    centre: [left * truth.mm[0], back * truth.mm[1]] as const,
    mmPerPixel: FIELD_MM / PANEL,
  };
  // Grey values of a label map are what they are; a CT has its window.
  const window = ct ? ABDOMEN : { level: 127.5, width: 255 };
  const style = { colour: INK, size: 1 };
  const panel = (x: number, name: string, view: PatientView, outlines: typeof TRUTH) => {
    drawCut(canvas, { x, y: CAPTION, width: PANEL, height: PANEL }, view, cut, window, outlines);
    if (subject.diameter !== null) corners(canvas, x + PANEL / 2, subject.diameter);
    // Radiological: the patient's right is on the left.
    const middle = CAPTION + PANEL / 2;
    canvas.text('R', x + 4, middle, style);
    canvas.text('L', x + PANEL - 4, middle, { ...style, align: 'right' });
    canvas.shade(x, CAPTION + PANEL - 17, PANEL, 17, 0.7);
    let at = x + 4;
    for (const [words, colour] of [
      [`${name}: `, INK],
      ['kidney ', outlines.get(1)?.colour],
      ['mass', outlines.get(2)?.colour],
    ] as [string, Colour][])
      at = canvas.text(words, at, CAPTION + PANEL - 6, { colour, size: 1 });
  };
  panel(0, 'truth', truth, TRUTH);
  panel(PANEL + GAP, 'prediction', prediction, PREDICTION);
  canvas.text(subject.captions[0], 4, 13, style);
  canvas.text(subject.captions[1], PANEL + GAP + 4, 13, style);
  return encodePng(canvas.width, canvas.height, canvas.rgb);
}

/** The four corners of a frame about the middle of a panel, where the mass of this picture is. */
function corners(canvas: Canvas, x: number, diameterMm: number): void {
  const half = Math.round(Math.min(PANEL / 2 - 12, 12 + (0.75 * diameterMm * PANEL) / FIELD_MM));
  const y = CAPTION + PANEL / 2;
  const length = 10;
  for (const sx of [-1, 1])
    for (const sy of [-1, 1]) {
      const [cx, cy] = [x + sx * half, y + sy * half];
      canvas.rectangle(Math.min(cx, cx - sx * length), cy, length, 1, FRAME);
      canvas.rectangle(cx, Math.min(cy, cy - sy * length), 1, length, FRAME);
    }
}
