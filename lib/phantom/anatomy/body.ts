/** What all organ groups of one phantom share: the scene, its tones and the measures of the trunk. */
import type { Palette, Tone } from '../palette.js';
import type { Random } from '../random.js';
import { type Paint, type Scene, Tissue, type TissueId } from '../scene.js';

export interface Body {
  readonly scene: Scene;
  readonly palette: Palette;
  /** Of the whole phantom; organ groups take streams of it. */
  readonly random: Random;
  /** mm: structures much finer than this are left out. */
  readonly voxel: number;
  /** Half the width and depth of the trunk in mm, skin included, and the y of its middle (0 = middle of the vertebral bodies). */
  readonly halfWidth: number;
  readonly halfDepth: number;
  readonly middle: number;
  /** mm of fat under the skin, at the sides and in front, and of the muscle beneath. */
  readonly fatLayer: number;
  readonly wall: number;
}

/** Decides a trunk's size and fat, in mm: what everything else is placed by. */
export function drawBody(random: Random, scene: Scene, palette: Palette, voxel: number): Body {
  const r = random.stream('body');
  const fatLayer = r.logUniform(5, 50);
  const wall = r.uniform(8, 14);
  const halfWidth = r.normal(142, 12, 118, 170) + fatLayer * 0.9;
  const back = r.uniform(76, 86) + fatLayer * 0.5;
  const halfDepth = r.normal(98, 12, 78, 128) + fatLayer * 0.75;
  return {
    ...{ scene, palette, random, voxel, halfWidth, halfDepth },
    ...{ middle: back - halfDepth, fatLayer, wall },
  };
}

/** Inner organs lie in the fat of the cavity and over the lung. */
export const inside: readonly TissueId[] = [Tissue.fat, Tissue.lung];

const allTissues = Object.values(Tissue);

/** All tissues but these. */
export const allBut = (...tissues: readonly TissueId[]): TissueId[] =>
  allTissues.filter((t) => !tissues.includes(t));

/** A tone as paint, by default one that clears labels. All fields in one order: scenes read them a thousand times. */
export const paintOf = (tissue: TissueId, tone: Tone, more: Partial<Paint> = {}): Paint => ({
  tissue: more.tissue ?? tissue,
  hu: more.hu ?? tone.hu,
  fine: more.fine ?? tone.fine,
  coarse: more.coarse ?? tone.coarse,
  label: 'label' in more ? more.label : 0,
  instance: more.instance,
  over: more.over,
  patches: more.patches,
  softness: more.softness ?? 0,
  fixed: more.fixed ?? false,
});

/** Runs `draw` for the left side (+1) and the right side (-1). */
export function bothSides(draw: (side: 1 | -1) => void): void {
  draw(1);
  draw(-1);
}
