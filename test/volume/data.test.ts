import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { leftRightAxis, niftiBytes, parseNifti, readVolume } from 'renvox/volume';
import t from 'tap';
import { dataFolder } from '../data-folder.js';

interface Geometry {
  shape: number[];
  spacing_mm: number[];
  orientation: string;
  affine_ras: number[][];
  voxels?: Record<string, number>;
}

/** Reference figures by relative path: the sections of oracles.json that give a file's geometry. */
function oracles(folder: string): Map<string, Geometry> {
  const path = join(folder, 'oracles.json');
  const known = new Map<string, Geometry>();
  if (!existsSync(path)) return known;
  const sections = JSON.parse(readFileSync(path, 'utf8')) as Record<
    string,
    Record<string, Geometry>
  >;
  for (const section of ['label_maps', 'ct']) {
    for (const [name, figures] of Object.entries(sections[section] ?? {})) known.set(name, figures);
  }
  return known;
}

t.test('every volume of the data folder', async (t) => {
  const folder = dataFolder();
  if (folder === undefined) {
    t.comment('no data folder (RENVOX_DATA): nothing was read');
    return;
  }
  const known = oracles(folder);
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.nii.gz'))
    .sort();
  let compared = 0;
  for (const name of files) {
    const volume = await readVolume(join(folder, name));
    t.ok(volume.data.length > 0, name);
    const figures = known.get(name.replaceAll('\\', '/'));
    if (figures === undefined) continue;
    compared++;
    t.same(volume.fileShape, figures.shape, `${name}: shape`);
    t.same(volume.fileSpacing, figures.spacing_mm, `${name}: spacing, to the bit`);
    t.equal(volume.orientation, figures.orientation, `${name}: orientation`);
    t.same(volume.affine, figures.affine_ras.flat(), `${name}: affine, to the bit`);
    const axis = figures.orientation.search(/[LR]/);
    t.same(
      leftRightAxis(volume),
      { axis: 2 - axis, higherIsLeft: figures.orientation[axis] === 'L' },
      `${name}: sides`,
    );
    const header = niftiBytes(volume.like(new Uint8Array(volume.data.length)));
    t.same(parseNifti(header).affine, volume.affine, `${name}: affine of a label map`);
    if (figures.voxels === undefined) continue;
    const { data } = volume;
    const histogram = new Uint32Array(256);
    for (let k = 0; k < data.length; k++) (histogram[data[k] as number] as number)++;
    const counts = [...histogram.entries()].filter(([, count]) => count > 0);
    t.same(Object.fromEntries(counts), figures.voxels, `${name}: voxels of each label`);
  }
  t.comment(`${files.length} volumes read, ${compared} compared with oracles.json`);
});
