// Each network alone on the validation samples of the preset in its file, which its training never saw, as this checkout draws them.
import { join } from 'node:path';
import { describeWeights } from '../../dist/nn/index.js';
import { argmax, overlapCounts, reshape } from '../../dist/ops/index.js';
import { scope } from '../../dist/scope.js';
import { checkPreset, classNames, phantomSampler } from '../../dist/train/index.js';
import { meanOf, shareOf } from './figures.mjs';

/** Of one sample: how many voxels (or samples, of a classifier) have each pair of true and found class, in rows of truth. */
async function countsOf(network, sampler, device, index, classes) {
  return scope(async () => {
    const { image, target } = sampler.validation(device, index);
    const found = argmax(network.infer(image));
    const flat = [1, 1, found.size];
    const { counts } = overlapCounts(reshape(target, flat), reshape(found, flat), {
      labels: classes,
    });
    return [...(await counts.data())];
  });
}

/** Dice of each class but the background, of the samples that have it. */
function segmentation(samples, classes, names) {
  for (let c = 1; c < classes; c++) {
    const groups = samples.map((counts) => {
      const sum = (at) => Array.from({ length: classes }, (_, k) => counts[at(k)]);
      const total = (list) => list.reduce((a, b) => a + b, 0);
      const truth = total(sum((k) => c * classes + k));
      const found = total(sum((k) => k * classes + c));
      return truth > 0 ? [{ dice: (2 * counts[c * classes + c]) / (truth + found) }] : [];
    });
    console.log(
      `  ${names[c - 1]}, Dice: ${meanOf(
        groups,
        () => true,
        (i) => i.dice,
      )}`,
    );
  }
}

function classification(samples, classes, names) {
  const cells = samples.map((counts) => counts.indexOf(1));
  const items = cells.map((at) => ({ truth: Math.floor(at / classes), found: at % classes }));
  const right = (i) => i.truth === i.found;
  console.log(`  class right: ${shareOf(items, right)}`);
  names.forEach((name, c) => {
    const own = items.filter((i) => i.truth === c);
    console.log(`    ${name}: ${shareOf(own, right)}`);
  });
}

/**
 * @param most - samples of each network at most; its preset says how many there are
 * @param folder - of the weights
 */
export async function measureHeldOut(most, folder, { device, weights }) {
  for (const [name, { network }] of [
    ['kidney', weights.kidney],
    ['mass', weights.mass],
    ['class', weights.classifier],
    ...(weights.twoPhaseClassifier ? [['class-two-phases', weights.twoPhaseClassifier]] : []),
  ]) {
    const { metadata } = await describeWeights(join(folder, `${name}.safetensors`));
    const preset = checkPreset(metadata.training?.preset);
    const { classes } = preset.architecture.config;
    const finder = preset.foundContours ? weights.mass : undefined;
    const sampler = phantomSampler(preset, { finder });
    const count = Math.min(most, preset.validation.samples);
    const samples = [];
    for (let i = 0; i < count; i++)
      samples.push(await countsOf(network, sampler, device, i, classes));
    console.log(`${name} network alone, ${count} samples held out of training`);
    const show = preset.task === 'class' ? classification : segmentation;
    show(samples, classes, classNames(preset));
  }
}
