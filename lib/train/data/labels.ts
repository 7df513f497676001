/** What the values of a data set's label maps mean, and the one numbering that training works with. */

/** Labels of `renvox analyze`, and two for data sets that say less: a kidney of no stated side, a mass of no stated class. */
export const LABELS = {
  left: 1,
  right: 2,
  aml: 3,
  cystic: 4,
  solid: 5,
  kidney: 6,
  mass: 7,
} as const;

/** Stored value to one of {@link LABELS}; 0 stays 0. */
export type LabelMeanings = ReadonlyMap<number, number>;

const same = (values: readonly number[]): LabelMeanings => new Map(values.map((v) => [v, v]));

/** 1 left kidney, 2 right kidney, 3 AML, 4 cystic, 5 solid. */
export const renvoxLabels: LabelMeanings = same([1, 2, 3, 4, 5]);

/** 1 kidney, 2 tumour, 3 cyst. */
export const kitsLabels: LabelMeanings = new Map([
  [1, LABELS.kidney],
  [2, LABELS.solid],
  [3, LABELS.cystic],
]);

const NAMES: readonly [RegExp, number][] = [
  [/aml|angiomyolipoma/, LABELS.aml],
  [/cyst/, LABELS.cystic],
  [/solid|tumou?r|carcinoma|rcc/, LABELS.solid],
  [/mass|lesion/, LABELS.mass],
  [/(?=.*kidney)(?=.*left)/, LABELS.left],
  [/(?=.*kidney)(?=.*right)/, LABELS.right],
  [/kidney/, LABELS.kidney],
];

/** Which of {@link LABELS} a name of nnU-Net's dataset.json means; undefined for one that renvox does not know. */
export function labelNamed(name: string): number | undefined {
  const plain = name.toLowerCase();
  return NAMES.find(([pattern]) => pattern.test(plain))?.[1];
}
