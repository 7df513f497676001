// Pictures of what went wrong: what was found and what is true, each mass from near.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { previewPng } from '../../dist/pipeline/index.js';

/**
 * Writes NAME-FAULTS-found.png and, where the truth is known, NAME-FAULTS-truth.png; nothing without a fault.
 * @param truth - `labels` as analyze writes them, and `masses`
 */
export function drawFaults(folder, name, faults, ct, finding, truth) {
  if (faults.length === 0) return;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}-${faults.join('-')}`);
  const draw = (which, labels, masses) => {
    const options = { maxMasses: Math.max(6, masses.length) };
    writeFileSync(`${path}-${which}.png`, previewPng(ct, labels, masses, options));
  };
  draw('found', finding.labels.data, finding.masses);
  if (truth) draw('truth', truth.labels, truth.masses);
  console.log(`  pictures: ${path}-*.png`);
}
