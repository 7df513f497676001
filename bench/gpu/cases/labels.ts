/** Labels: components, measures, distances. */
import { ops, type Tensor } from 'renvox';
import { blocks, type Workbench } from './workbench.js';

export function labels({ add, d, size, half, random, labels }: Workbench): void {
  for (const connectivity of [6, 18, 26] as const)
    add(`connectedComponents ${connectivity}`, () => {
      const map = labels();
      return () => {
        const found = ops.connectedComponents(map, { connectivity });
        const each = ops.connectedComponents(map, { connectivity, perLabel: true });
        return [found.components, found.count, each.components, each.count];
      };
    });
  add('componentTable', () => {
    const map = labels();
    return () => {
      const { components } = ops.connectedComponents(map);
      return [ops.componentTable(components, { capacity: 7 })];
    };
  });
  add('keepComponents', () => {
    const map = labels();
    return () => {
      const { kept, voxels } = ops.keepComponents(ops.connectedComponents(map), {
        ...{ minimumVoxels: 2, largest: 9 },
      });
      return [kept, voxels];
    };
  });
  add('kidneySides', () => {
    const map = labels();
    const body = random([1, ...size], 4);
    return () => {
      const found = ops.connectedComponents(map);
      const { sides, table } = ops.kidneySides(found, body, { bodyThreshold: -1 });
      return [sides, table];
    };
  });
  add('boxAffine', () => {
    const map = labels();
    return () => {
      const { components } = ops.connectedComponents(map);
      const table = ops.componentTable(components, { capacity: 3 });
      return [ops.boxAffine(table, { row: 1, size: 16, spacing: [3, 1, 1], step: 1, margin: 2 })];
    };
  });
  add('overlapCounts', () => {
    const [a, b] = [labels(), labels(2)];
    return () => {
      const { counts, outside } = ops.overlapCounts(a, b, { labels: 4 });
      return [counts, outside];
    };
  });
  add('measureLabels', () => {
    const map = labels();
    return () => [ops.measureLabels(map, { spacing: [3, 0.75, 0.75], labels: 3 })];
  });
  add('labelHistograms', () => {
    const map = labels();
    const [image, minus] = [random([1, ...size, 1], 1), random([1, ...size, 1], 2)];
    const options = { labels: 3, low: -8, bins: 16 };
    return () => [
      ops.labelHistograms(map, image, options),
      ops.labelHistograms(map, image, { ...options, minus, interior: true }),
    ];
  });
  add('distanceTransform', () => {
    const map = labels();
    const spacing = [3, 0.75, 0.8] as const;
    return () => [
      ops.distanceTransform(map, { spacing }),
      ops.distanceTransform(map, { spacing: [1, 1, 1], to: 'foreground', dtype: 'f64' }),
    ];
  });
  for (const surface of ['voxels', 'elements'] as const)
    add(surface === 'voxels' ? 'surfaceDistances' : 'surfaceDistances elements', () => {
      const [a, b] = [labels(), labels(1)];
      return () => {
        const options = { spacing: [3, 1, 1] as const, tolerances: [2], capacity: 64, surface };
        const { summary, distancesAB, distancesBA } = ops.surfaceDistances(a, b, options);
        return [summary, distancesAB as Tensor, distancesBA as Tensor];
      };
    });
  add('instanceClasses', () => {
    const map = labels();
    const classes = d.tensor(Uint8Array.of(2, 0, 1));
    return () => [ops.instanceClasses(map, classes, 1)];
  });
  add('composeFindings', () => {
    const crop = (stream: number, shift: number) => ({
      logits: random([1, ...half, 3], stream),
      masses: d.tensor(blocks(half, shift), { shape: [1, ...half] }),
      affine: d.tensor(Float64Array.of(1.5, 0, 0, shift, 0, 1.6, 0, 1, 0, 0, 1.4, 0)),
    });
    const [left, right] = [crop(1, 0), crop(2, 3)];
    return () => [ops.composeFindings(left, right, { size: [...size], capacity: 4 })];
  });
}
