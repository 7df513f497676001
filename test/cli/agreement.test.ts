// scripts/agreement.mjs: shares of equal voxels, counted by hand.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { niftiFile } from '../volume/nifti-file.js';

const script = join(process.cwd(), 'scripts', 'agreement.mjs');

function agreement(...files: string[]) {
  const child = spawnSync(process.execPath, [script, ...files], { encoding: 'utf8' });
  return { status: child.status, text: child.stdout, errors: child.stderr };
}

t.test('two maps', (t) => {
  const map = (voxels: number[], n = voxels.length) =>
    niftiFile({ dim: [3, n, 1, 1], datatype: 2, voxels });
  const folder = t.testdir({
    'a.nii': map([0, 0, 1, 1, 2, 0, 0, 2]),
    'b.nii': map([0, 1, 1, 2, 2, 0, 0, 0]),
    'none.nii': map([0, 0, 0, 0, 0, 0, 0, 0]),
    'small.nii': map([0, 0, 1]),
  });
  const of = (...names: string[]) => agreement(...names.map((name) => join(folder, name)));
  t.equal(
    of('a.nii', 'b.nii').text,
    'of all voxels: 62.5000 % of 8\nof the foreground: 40.000 % of 5\n',
  );
  t.match(of('none.nii', 'none.nii').text, 'of the foreground: none of 0');
  t.match(of('a.nii', 'small.nii'), { status: 2, errors: /different grids/ });
  t.match(of('a.nii'), { status: 2, errors: /usage/ });
  t.end();
});
