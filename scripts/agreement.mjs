// `node scripts/agreement.mjs A.nii.gz B.nii.gz`: how many voxels of two label maps on one grid are equal, of all and of the foreground, which is
// every voxel that either calls kidney or mass. The figures of docs/kernels.md, How near bf16 is:
//   renvox analyze CT --device cpu --precision fp32 --out full
//   renvox analyze CT --device cpu --precision bf16 --out half
//   node scripts/agreement.mjs full/labels.nii.gz half/labels.nii.gz
// Needs the compiled library (npm run build:ts). Exit code 2: wrong arguments, or maps of different grids.

import { readVolume, sameGrid } from 'renvox/volume';

const files = process.argv.slice(2);
if (files.length !== 2) {
  console.error('usage: node scripts/agreement.mjs A.nii.gz B.nii.gz');
  process.exit(2);
}
const [a, b] = await Promise.all(files.map((file) => readVolume(file)));
if (!sameGrid(a, b)) {
  console.error(`${files.join(' and ')} are on different grids`);
  process.exit(2);
}
let [equal, foreground, equalThere] = [0, 0, 0];
for (let v = 0; v < a.data.length; v++) {
  const same = a.data[v] === b.data[v];
  if (same) equal++;
  if (a.data[v] === 0 && b.data[v] === 0) continue;
  foreground++;
  if (same) equalThere++;
}
const share = (part, whole, digits) =>
  whole === 0 ? 'none' : `${((100 * part) / whole).toFixed(digits)} %`;
console.log(`of all voxels: ${share(equal, a.data.length, 4)} of ${a.data.length}`);
console.log(`of the foreground: ${share(equalThere, foreground, 3)} of ${foreground}`);
