// `npm run demo`: draws a phantom CT, analyses it, prints what was found and how it agrees with the truth, and leaves the files in demo-output/.
import { join } from 'node:path';
import { phantomCommand } from '../dist/cli/phantom.js';
import { softwareVersion } from '../dist/cli/version.js';
import { analyze, device, readVolume } from '../dist/index.js';
import { compare } from '../dist/metrics/index.js';
import { makeReport, reportText, writeFinding } from '../dist/pipeline/index.js';

const out = 'demo-output';
const seed = Number(process.argv[2] ?? 6);

console.log(`Drawing a phantom abdomen (seed ${seed}: no patient) …`);
const [folder] = await phantomCommand({ out, count: 1, seed });
const ct = await readVolume(join(folder, 'ct.nii.gz'));
const truth = await readVolume(join(folder, 'labels.nii.gz'));
console.log(
  `CT of ${ct.fileShape.join(' x ')} voxels, ${ct.fileSpacing.map((mm) => mm.toFixed(2)).join(' x ')} mm`,
);

console.log('Analysing it …\n');
const cpu = device('auto');
const finding = await analyze(ct, { device: cpu });
const report = makeReport(ct, finding, softwareVersion());
const result = join(folder, 'analysis');
await writeFinding(result, ct, finding, report);
console.log(reportText(report));

const names = { 1: 'left kidney', 2: 'right kidney', 3: 'AML', 4: 'cystic', 5: 'solid' };
const { labels } = await compare(truth, finding.labels, { device: cpu });
console.log('\nAgreement with the truth (masses by class):');
for (const [label, figures] of Object.entries(labels)) {
  if (figures.state === 'both_empty') continue;
  const state =
    figures.state === 'normal'
      ? `Hausdorff 95 % ${figures.hd95.toFixed(1)} mm`
      : figures.state.replace('_', ' ');
  console.log(`  ${names[label].padEnd(12)} Dice ${figures.dice.toFixed(3)}  ${state}`);
}
console.log(
  `\nTime of the analysis: ${finding.timings.total.toFixed(1)} s on ${finding.provenance.device}.`,
);
console.log(
  `Look at ${join(result, 'preview.png')}, and at ${join(folder, 'case.json')} for the truth.`,
);
cpu.dispose();
