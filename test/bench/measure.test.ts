// What `npm run measure` reads of its command line and of label maps; it measures nothing here.
import { readVolume, Volume } from 'renvox/volume';
import t from 'tap';
import { dataFolder } from '../data-folder.js';

interface Asked {
  phantoms: number[];
  contours: number[];
  components: number[];
  heldOut: number;
  cts: boolean;
  belief: Record<string, object | undefined>;
}
interface OnCt {
  data: Uint8Array;
  known: Uint8Array;
  shape: readonly number[];
}
const of = (file: string) => new URL(`../../scripts/measure/${file}`, import.meta.url).href;
const { readOptions } = (await import(of('options.mjs'))) as {
  readOptions(args: string[]): Asked;
};
const { ontoCt } = (await import(of('sides.mjs'))) as {
  ontoCt(labels: Volume, ct: Volume, values: Record<number, number>): OnCt;
};
const { dice, meanOf, countOf, shareOf, sizeOf } = (await import(of('figures.mjs'))) as {
  dice(truth: Uint8Array, found: Uint8Array, known?: Uint8Array): number;
  meanOf<T>(groups: T[][], keep: (item: T) => boolean, of: (item: T) => number): string;
  countOf<T>(groups: T[][], keep: (item: T) => boolean): string;
  shareOf<T>(items: T[], holds: (item: T) => boolean): string;
  sizeOf(mm: number): string;
};

t.test('the command line', async (t) => {
  const usual = readOptions([]);
  t.match(usual, { cts: true, contours: [], components: [], heldOut: 0 });
  t.same([usual.phantoms.length, usual.phantoms[0]], [20, 31000000]);
  t.match(readOptions(['--contours', '2']), {
    ...{ phantoms: [], cts: false, contours: [52000000, 52000001] },
  });
  t.same(
    readOptions(['--phantoms', '2', '--seed', '61000000,62000000']).phantoms,
    [61000000, 61000001, 62000000, 62000001],
    'so many of each seed',
  );
  const belief = ['--belief', 'mass=none', '--belief', 'kidney=1.5,0.5'];
  t.same(readOptions(belief).belief, { mass: undefined, kidney: { lead: 1.5, share: 0.5 } });
  t.same(readOptions(['--belief', 'kidney=4,0.5,50,6,0.8']).belief, {
    kidney: { lead: 4, share: 0.5, thin: { below: 50, lead: 6, share: 0.8 } },
  });
  for (const [args, expected] of [
    [['--phantoms', 'many'], /integer of at least 0 for --phantoms but received many/],
    [['--seed', '1,x'], /--seed but received x/],
    [['--belief', 'class=none'], /kidney or mass=none, =LEAD,SHARE or .* received class=none/],
    [['--belief', 'mass=1,2'], /received mass=1,2/],
    [['--belief', 'mass=1,1,50,6'], /received mass=1,1,50,6/],
  ] as const)
    t.throws(() => readOptions([...args]), expected);
});

t.test('labels of fewer slices, mirrored, on the voxels of a CT', async (t) => {
  const affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0];
  const ct = new Volume({ data: new Int16Array(4 * 3 * 2), shape: [4, 3, 2], affine });
  // Slices 1 and 2 of the CT, rows from its last to its first.
  const labels = new Volume({
    data: Uint8Array.of(5, 0, 0, 0, 0, 7, 0, 2, 0, 0, 0, 0),
    shape: [2, 3, 2],
    affine: [1, 0, 0, 0, 0, -1, 0, 2, 0, 0, 2, 2],
  });
  const { data, known } = ontoCt(labels, ct, { 5: 1, 7: 2 });
  t.same([...known], [...Array(6).fill(0), ...Array(12).fill(1), ...Array(6).fill(0)]);
  const expected = new Uint8Array(24);
  // Label [0, 0, 0] is CT [1, 2, 0], label [0, 2, 1] is CT [1, 0, 1]; 2 means nothing here.
  expected[(1 * 3 + 2) * 2] = 1;
  expected[(1 * 3 + 0) * 2 + 1] = 2;
  t.same(data, expected);
});

const folder = dataFolder();
const skip = folder ? false : 'no test data here';

t.test("TotalSegmentator's labels lie in its CT as its own counts say", { skip }, async (t) => {
  const ct = await readVolume(`${folder}/ct/totalsegmentator_ct_3mm.nii.gz`);
  const labels = await readVolume(`${folder}/totalsegmentator/labels_total_model.nii.gz`);
  const { data, known } = ontoCt(labels, ct, { 2: 2, 3: 1 });
  const count = (list: Uint8Array, value: number) => list.filter((v) => v === value).length;
  t.same([count(data, 2), count(data, 1)], [3947, 3676], 'right, left kidney');
  const [, height, width] = ct.shape;
  t.equal(count(known, 1), 30 * height * width, 'the slices that have labels');
});

t.test('figures', async (t) => {
  const [truth, found] = [Uint8Array.of(1, 1, 0, 1), Uint8Array.of(1, 0, 1, 1)];
  t.equal(dice(truth, found), 2 / 3);
  t.equal(dice(truth, found, Uint8Array.of(1, 0, 0, 1)), 1, 'where labels are known');
  const groups = [[1, 2], [3], [4, 5, 6]];
  const all = () => true;
  t.match(
    meanOf(groups, all, (x) => x),
    /^3\.500 \[[\d.]+, [\d.]+\] of 6$/,
  );
  t.equal(
    meanOf([[2], [2]], all, (x) => x),
    '2.000 [2.000, 2.000] of 2',
  );
  t.equal(
    meanOf(groups, () => false, Number),
    'none',
  );
  t.match(
    countOf(groups, (x) => x > 2),
    /^4 \[\d+, \d+\]$/,
  );
  t.equal(
    shareOf([1, 2, 3, 4], (x) => x < 4),
    '3 of 4 = 0.750 [0.301, 0.954]',
    'Wilson',
  );
  t.same([4.9, 5, 10, 20].map(sizeOf), ['< 5', '5-10', '10-20', '> 20']);
});
