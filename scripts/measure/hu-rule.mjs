// What HU alone say of a mass, the least that a network must beat: more than a share of fat in its inside is an AML, else a median up to a cut a
// cyst, else it is solid.

/** Below this, in HU, a voxel is fat (docs/findings.md). */
const FAT = -20;

/**
 * Share of fat and median HU of a mass without its border (voxels with all six neighbours in it; all of it where there are none).
 * @param image - [D, H, W, channels]: the CT as -1..1 of the window first, the mask last
 */
export function insideOf(image, shape, { level, width }) {
  const [depth, height, wide] = shape;
  const voxels = depth * height * wide;
  const channels = image.length / voxels;
  const inMass = (i) => image[i * channels + channels - 1] > 0;
  const steps = [height * wide, wide, 1];
  const inner = (i) => {
    const at = [Math.floor(i / steps[0]), Math.floor(i / wide) % height, i % wide];
    return at.every(
      (x, axis) =>
        x > 0 && x < shape[axis] - 1 && inMass(i - steps[axis]) && inMass(i + steps[axis]),
    );
  };
  const all = Array.from({ length: voxels }, (_, i) => i).filter(inMass);
  const core = all.filter(inner);
  const hu = Float64Array.from(
    core.length > 0 ? core : all,
    (i) => level + (image[i * channels] * width) / 2,
  ).sort();
  const fat = hu.findIndex((x) => x >= FAT);
  return {
    fat: (fat < 0 ? hu.length : fat) / Math.max(1, hu.length),
    median: hu[hu.length >> 1] ?? 0,
  };
}

/** 0 aml, 1 cystic, 2 solid. */
const ruled = ({ fat, median }, { share, cut }) => (fat > share ? 0 : median < cut ? 1 : 2);

/** The cuts with which the rule is most often right on these very masses, which favours it. */
export function bestRule(masses) {
  const right = (rule) => masses.filter((m) => ruled(m.inside, rule) === m.truth).length;
  let best = { share: 0.1, cut: 25 };
  for (let share = 0; share <= 0.5; share += 0.01)
    for (let cut = -20; cut <= 80; cut++) {
      const rule = { share, cut };
      if (right(rule) > right(best)) best = rule;
    }
  return { ...best, right: (m) => ruled(m.inside, best) === m.truth };
}
