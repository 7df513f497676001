/**
 * `npm run --silent bench -- kernels-step --device cuda-sim [--json]`: what kernels.bench.ts counts, of the gradients between the norms of a U-Net's
 * training step, stored and formed on load. Tens of minutes: the gradients with respect to the weights run all their blocks.
 */
import { unetStepLayers } from './kernel-steps.js';
import { countLayers } from './kernels.bench.js';
import type { Row } from './row.js';

export { needsAddon } from './kernels.bench.js';

export function bench(): AsyncIterable<Row> {
  return countLayers([unetStepLayers(false), unetStepLayers(true)]);
}
