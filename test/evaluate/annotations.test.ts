// Label maps of KiTS annotators: the official rule on masks made for it, on the published maps, and the table in docs/annotators.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAnnotations } from 'renvox/evaluate';
import { readVolume, Volume } from 'renvox/volume';
import t from 'tap';
import { dataFolder } from '../data-folder.js';

const SHAPE = [1, 2, 4] as const;
const AFFINE = [0.5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0];

async function folderOf(masks: Record<string, readonly number[]>, affines: number[][] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'renvox-annotations-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [i, [name, mask]] of Object.entries(masks).entries())
    await new Volume({
      ...{ data: Uint8Array.from(mask), shape: SHAPE, affine: affines[i] ?? AFFINE },
    }).write(join(folder, `${name}.nii.gz`));
  return folder;
}

t.test('strict majority of each instance, painted kidney, cyst, tumour', async (t) => {
  const folder = await folderOf({
    'kidney_instance-1_annotation-1': [1, 1, 1, 1, 1, 0, 0, 0],
    'kidney_instance-1_annotation-2': [1, 1, 1, 1, 0, 0, 0, 0],
    'kidney_instance-1_annotation-3': [0, 1, 1, 1, 0, 1, 0, 0],
    // One of two is no majority.
    'tumor_instance-1_annotation-1': [0, 0, 1, 1, 0, 0, 0, 0],
    'tumor_instance-1_annotation-2': [0, 0, 1, 0, 0, 0, 0, 0],
    // Two instances of one kind are united, each by its own votes: the last voxel has one vote of each and is in neither.
    'cyst_instance-1_annotation-1': [0, 0, 1, 0, 0, 0, 1, 1],
    'cyst_instance-1_annotation-2': [0, 0, 1, 0, 0, 0, 1, 0],
    'cyst_instance-2_annotation-1': [0, 1, 0, 0, 0, 0, 0, 0],
    'cyst_instance-2_annotation-10': [0, 1, 0, 0, 0, 0, 0, 1],
  });
  writeFileSync(join(folder, 'notes.txt'), 'other files are left alone');
  const found = await readAnnotations(folder);
  t.same([...found.majority], [1, 3, 2, 1, 0, 0, 3, 0]);
  t.same([found.shape, found.spacing], [SHAPE, [3, 1, 0.5]]);
  t.same([...found.annotators.keys()], [1, 2, 3, 10]);
  t.same([...(found.annotators.get(1) as Uint8Array)], [1, 3, 2, 2, 1, 0, 3, 3]);
  t.same([...(found.annotators.get(2) as Uint8Array)], [1, 1, 2, 1, 0, 0, 3, 0]);
  t.same([...(found.annotators.get(10) as Uint8Array)], [0, 3, 0, 0, 0, 0, 0, 3]);
  t.same(
    found.instances.map(({ kind, instance, annotations }) => [kind, instance, annotations]),
    [
      ['kidney', 1, [1, 2, 3]],
      ['cyst', 1, [1, 2]],
      ['cyst', 2, [1, 10]],
      ['tumor', 1, [1, 2]],
    ],
  );
});

t.test('what cannot be read', async (t) => {
  await t.rejects(readAnnotations('no such folder'), { code: 'FileNotFound' });
  await t.rejects(readAnnotations(await folderOf({})), { code: 'InvalidFile' });
  const mask = [1, 0, 0, 0, 0, 0, 0, 0];
  const names = { 'kidney_instance-1_annotation-1': mask, 'kidney_instance-1_annotation-2': mask };
  const moved = await folderOf(names, [AFFINE, AFFINE.with(3, 5)]);
  await t.rejects(readAnnotations(moved), {
    code: 'ShapeMismatch',
    message: /kidney_instance-1_annotation-2/,
  });
  const twice = await folderOf({
    'kidney_instance-1_annotation-1': mask,
    'kidney_instance-01_annotation-1': mask,
  });
  await t.rejects(readAnnotations(twice), { code: 'InvalidFile' });
});

const data = dataFolder();
const instances = data && join(data, 'kits23', 'instances');
const skip = instances ? false : 'no KiTS annotations (RENVOX_DATA)';

t.test('the published label maps are the majority of these annotations', { skip }, async (t) => {
  let compared = 0;
  // The first two of four, one with eight cysts: each takes seconds.
  for (const id of readdirSync(instances as string)
    .sort()
    .slice(0, 2)) {
    const { majority, shape } = await readAnnotations(join(instances as string, id));
    const published = await readVolume(join(data as string, 'kits23', 'labels', `${id}.nii.gz`));
    t.same(published.shape, shape);
    t.equal(Buffer.compare(majority, published.data as Uint8Array), 0, `${id} to the voxel`);
    compared += majority.length;
  }
  t.ok(compared > 0);
  t.comment(`voxels compared: ${compared}`);
});

t.test('docs/annotators.md holds what the command prints', { skip }, async (t) => {
  const child = spawnSync(process.execPath, ['scripts/annotators.mjs', '--case', 'case_00041'], {
    encoding: 'utf8',
    env: { ...process.env, RENVOX_DATA: data },
  });
  t.equal(child.status, 0, child.stderr);
  const bare = (line: string) => line.replace(/[\s-]+/g, ' ').trim();
  const documented = new Set(readFileSync('docs/annotators.md', 'utf8').split('\n').map(bare));
  const rows = child.stdout.split('\n').filter((line) => line.includes('case_00041'));
  t.equal(rows.length, 1 + 3 + 3, 'the note, each annotation and each pair');
  for (const row of rows) t.ok(documented.has(bare(row)), row);

  // Dice once more, counted here.
  const { majority, annotators } = await readAnnotations(join(instances as string, 'case_00041'));
  for (const [n, map] of annotators) {
    const dice = [[1, 2, 3], [2, 3], [2]].map((labels) => {
      let [a, b, both] = [0, 0, 0];
      for (let i = 0; i < map.length; i++) {
        const inA = labels.includes(majority[i] as number);
        const inB = labels.includes(map[i] as number);
        a += Number(inA);
        b += Number(inB);
        both += Number(inA && inB);
      }
      return ((2 * both) / (a + b)).toFixed(4);
    });
    const start = bare(`| case_00041 | ${n}, majority | ${dice.join(' | ')} |`);
    t.ok(
      rows.some((row) => bare(row).startsWith(start)),
      `${start} as counted`,
    );
  }
  const elsewhere = spawnSync(process.execPath, ['scripts/annotators.mjs', '--case', 'case_9'], {
    encoding: 'utf8',
    env: { ...process.env, RENVOX_DATA: data },
  });
  t.equal(elsewhere.status, 1);
  t.match(elsewhere.stderr, /case_00041.*not case_9/);
});
