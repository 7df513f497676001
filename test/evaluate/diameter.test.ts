// `--diameter`: the lesions' average diameter by the definition asked for, named in the summary.
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluateCohort, parseLesions, SCHEMES } from 'renvox/evaluate';
import type { DiameterName } from 'renvox/metrics';
import { Volume } from 'renvox/volume';
import t from 'tap';

t.test('each definition', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'renvox-diameter-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  // A mass of 6 x 4 x 2 mm; the file's axis 0, which is w, runs along the patient, as in KiTS.
  const data = new Uint8Array(8 * 8 * 8);
  for (let d = 2; d < 5; d++)
    for (let h = 2; h < 6; h++) for (let w = 3; w < 5; w++) data[(d * 8 + h) * 8 + w] = 2;
  const affine = [0, 0, -2, 0, 0, -1, 0, 0, -1, 0, 0, 0];
  const map = new Volume({ data, shape: [8, 8, 8], affine });
  t.equal(map.orientation, 'IPL');
  for (const folder of ['truth', 'prediction']) {
    await mkdir(join(root, folder));
    await map.write(join(root, folder, 'a.nii.gz'));
  }
  const folders = { truth: join(root, 'truth'), prediction: join(root, 'prediction') };
  // Across the diagonal of the 6 x 4 mm slice both other corners lie 24 / diagonal away.
  const diagonal = Math.hypot(6, 4);
  const expected = {
    sphere: Math.cbrt((6 * 48) / Math.PI),
    axial: (diagonal + 48 / diagonal) / 2,
    box: (6 + 4 + 2) / 3,
  };
  for (const [name, mm] of Object.entries(expected)) {
    const out = join(root, name);
    const options = { ...folders, labels: SCHEMES.kits, replicates: 100 };
    const diameter = name as DiameterName;
    const { summary } = await evaluateCohort(out, { ...options, diameter });
    t.match(summary.settings, { diameter: name });
    const [lesion] = parseLesions(await readFile(join(out, 'lesions.csv'), 'utf8'), name);
    t.ok(Math.abs((lesion?.averageDiameterMm as number) - mm) < 1e-9, `${name}: ${mm} mm`);
  }
  const bad = { ...folders, diameter: 'long' as DiameterName };
  await t.rejects(evaluateCohort(join(root, 'bad'), bad), { code: 'InvalidArgument' });
});
