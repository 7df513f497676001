import { ops } from 'renvox';
import t from 'tap';

function image(m: readonly number[], point: readonly number[]): number[] {
  return [0, 1, 2].map((r) =>
    [...point, 1].reduce((sum, v, c) => sum + v * (m[4 * r + c] as number), 0),
  );
}

function near(actual: readonly number[], expected: readonly number[], what: string): void {
  const worst = Math.max(...actual.map((v, i) => Math.abs(v - (expected[i] as number))));
  t.ok(actual.length === expected.length && worst < 1e-10, `${what}: ${worst.toExponential(1)}`);
}

const size = [11, 21, 31] as const; // centre 5, 10, 15

near(ops.augmentationAffine({ size }), ops.identityAffine, 'nothing changes');
// Content at h = centre + 4 turns to w = centre + 4: the output there reads the input here.
const quarter = (rotation: [number, number, number]) => ops.augmentationAffine({ size, rotation });
near(image(quarter([90, 0, 0]), [5, 10, 19]), [5, 14, 15], 'about D: H to W');
near(image(quarter([0, 90, 0]), [9, 10, 15]), [5, 10, 19], 'about H: W to D');
near(image(quarter([0, 0, 90]), [5, 14, 15]), [9, 10, 15], 'about W: D to H');
near(image(quarter([90, 0, 90]), [5, 10, 19]), [9, 10, 15], 'about W first, then D: D to H to W');
near(
  image(ops.augmentationAffine({ size, translation: [0, 0.5, 0] }), [5, 10 + 10.5, 15]),
  [5, 10, 15],
  'content moves by half of H',
);
near(
  image(ops.augmentationAffine({ size, scale: 2 }), [5, 10, 21]),
  [5, 10, 18],
  'content doubles',
);
near(image(ops.augmentationAffine({ size, flip: ['d', 'w'] }), [0, 3, 1]), [10, 3, 29], 'mirrored');
// 4 voxels of 2 mm along H become 8 voxels of 1 mm along W.
near(
  image(ops.augmentationAffine({ size, rotation: [90, 0, 0], spacing: [1, 2, 1] }), [5, 10, 23]),
  [5, 14, 15],
  'rotation in mm',
);

const some = ops.augmentationAffine({
  size,
  rotation: [10, -20, 30],
  translation: [0.1, -0.05, 0],
  scale: 1.2,
  spacing: [3, 1, 1],
});
near(ops.composeAffine(some, ops.invertAffine(some)), ops.identityAffine, 'inverse');
t.ok(Math.abs(ops.affineDeterminant(some) - 1.2 ** -3) < 1e-12, 'volume');
t.throws(() => ops.invertAffine(new Array(12).fill(0)), { code: 'InvalidArgument' });

const ranges = {
  rotation: 10,
  translation: [0.1, 0.2, 0],
  scale: [0.5, 2],
  flip: [0.5, 0, 1],
} as const;
t.strictSame(ops.randomAugmentation(7, ranges), ops.randomAugmentation(7, ranges), 'repeatable');
const drawn = Array.from({ length: 2000 }, (_, seed) => ops.randomAugmentation(seed, ranges));
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
t.ok(drawn.every((a) => a.rotation.every((v) => Math.abs(v) <= 10)));
t.ok(drawn.every((a) => Math.abs(a.translation[1]) <= 0.2 && a.translation[2] === 0));
t.ok(drawn.every((a) => a.scale >= 0.5 && a.scale <= 2));
t.ok(Math.abs(mean(drawn.map((a) => a.rotation[0]))) < 0.6, 'rotations are centred');
t.ok(Math.abs(mean(drawn.map((a) => Math.log2(a.scale)))) < 0.06, 'so are scales');
t.ok(Math.abs(mean(drawn.map((a) => (a.flip.includes('d') ? 1 : 0))) - 0.5) < 0.06);
t.ok(drawn.every((a) => !a.flip.includes('h') && a.flip.includes('w')));
t.notSame(ops.randomAugmentation(1, ranges), ops.randomAugmentation(2 ** 32 + 1, ranges));
for (const bad of [{ rotation: -1 }, { scale: [2, 1] as const }, { scale: [0, 1] as const }])
  t.throws(() => ops.randomAugmentation(1, bad), { code: 'InvalidArgument' });
t.throws(() => ops.randomAugmentation(-1, {}), { code: 'InvalidArgument' });
t.throws(() => ops.augmentationAffine({ size, scale: 0 }), { code: 'InvalidArgument' });
