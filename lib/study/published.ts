/** What the study reports (Front. Oncol. 2023, doi 10.3389/fonc.2023.1169922), beside the path of the same figure in an evaluation. */

/** Which cohort of the study: its test set or its external one. */
export type CohortName = 'internal' | 'external';

export interface PublishedFigure {
  what: string;
  path: string;
  /** As the article gives it; empty where it gives none. */
  internal: string;
  external: string;
  digits: number;
}

/** Hausdorff is given as 5.10/4.26 and 3.75/4.88 mm (left/right, kidney and mass), its definition is not. */
export const PUBLISHED: readonly PublishedFigure[] = [
  ...(['left', 'right'] as const).map((side) => ({
    what: `kidney, ${side}: Dice`,
    path: `segmentation.kidney.${side}.dice.mean`,
    ...{ internal: '0.99', external: '0.98', digits: 3 },
  })),
  ...(['left', 'right'] as const).map((side, k) => ({
    what: `masses, ${side}: Dice`,
    path: `segmentation.mass.${side}.dice.mean`,
    ...{ internal: ['0.75', '0.83'][k] as string, external: ['0.70', '0.72'][k] as string },
    digits: 3,
  })),
  ...(['left', 'right'] as const).map((side, k) => ({
    what: `kidney, ${side}: Hausdorff, mm`,
    path: `segmentation.kidney.${side}.hausdorff.mean`,
    ...{ internal: ['5.10', '4.26'][k] as string, external: '', digits: 2 },
  })),
  ...(['left', 'right'] as const).map((side, k) => ({
    what: `masses, ${side}: Hausdorff, mm`,
    path: `segmentation.mass.${side}.hausdorff.mean`,
    ...{ internal: ['3.75', '4.88'][k] as string, external: '', digits: 2 },
  })),
  ...(
    [
      ['aml', 'AML', '1.00'],
      ['cystic', 'cystic', '0.98'],
      ['solid', 'solid', '0.99'],
    ] as const
  ).map(([name, title, auc]) => ({
    what: `${title}: AUC`,
    path: `classification.overall.${name}.auc`,
    ...{ internal: auc, external: '', digits: 3 },
  })),
  {
    what: 'Pearson r of Dice and right class, >= 5 mm',
    path: 'correlation.dice_correct.ge5mm.r',
    ...{ internal: '0.209', external: '', digits: 3 },
  },
];

/** Figures that the article has no single number for, or none at all. */
export const OWN: readonly Pick<PublishedFigure, 'what' | 'path' | 'digits'>[] = [
  { what: 'masses found: recall', path: 'detection.overall.recall', digits: 3 },
  { what: 'masses found: precision', path: 'detection.overall.precision', digits: 3 },
  { what: 'masses < 5 mm: recall', path: 'detection.lt5mm.recall', digits: 3 },
  { what: 'masses >= 5 mm: recall', path: 'detection.ge5mm.recall', digits: 3 },
  { what: 'class right, of masses found', path: 'classification.overall.accuracy', digits: 3 },
  { what: 'class right on true contours', path: 'on_truth.overall.accuracy', digits: 3 },
  { what: 'found and class right, of all masses', path: 'end_to_end.overall.accuracy', digits: 3 },
];
