// The folder that an analysis is written to.
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyze, device, readVolume, Volume } from 'renvox';
import { makeReport, writeFinding } from 'renvox/pipeline';
import t from 'tap';
import { checkWritable } from '#lib/atomic-write.js';

t.test('a finding is written whole, again in place, elsewhere, or not at all', async (t) => {
  using cpu = device('cpu');
  const affine = [-2, 0, 0, 60, 0, -2, 0, 60, 0, 0, 4, 0];
  const data = new Int16Array(20 * 64 * 64).fill(-1000);
  const air = new Volume({ data, shape: [20, 64, 64], affine });
  const finding = await analyze(air, { device: cpu });

  const folder = await mkdtemp(join(tmpdir(), 'renvox-'));
  const report = makeReport(air, finding, { version: '0', commit: null });
  await writeFinding(join(folder, 'new'), air, finding, report);
  t.strictSame((await readdir(folder)).sort(), ['new'], 'nothing else is left');
  t.strictSame((await readdir(join(folder, 'new'))).sort(), [
    'labels.nii.gz',
    'preview.png',
    'report.json',
  ]);
  await writeFinding(join(folder, 'new'), air, finding, report);
  t.same(
    JSON.parse(await readFile(join(folder, 'new', 'report.json'), 'utf8')),
    JSON.parse(JSON.stringify(report)),
    'written again in place',
  );
  const written = await readVolume(join(folder, 'new', 'labels.nii.gz'));
  t.strictSame(written.affine, air.affine);
  await t.rejects(writeFinding(join(folder, 'new', 'report.json', 'below'), air, finding, report), {
    code: 'WriteFailed',
  });
  await t.rejects(writeFinding('/proc/renvox/below', air, finding, report), {
    code: 'WriteFailed',
  });

  // A folder of another file system than the one it is named in, as a mount point.
  const memory = '/dev/shm';
  if (!existsSync(memory) || statSync(memory).dev === statSync(folder).dev)
    t.comment(`${memory} is no other file system here: no folder of one was written to`);
  else {
    const elsewhere = await mkdtemp(join(memory, 'renvox-'));
    const link = join(folder, 'link');
    await symlink(elsewhere, link);
    await checkWritable(link);
    await writeFinding(link, air, finding, report);
    t.equal((await readdir(elsewhere)).length, 3, 'and nothing else is left there');
    await rm(elsewhere, { recursive: true });
    await t.rejects(checkWritable(link), { code: 'WriteFailed', message: /a link to nothing/ });
  }
  await rm(folder, { recursive: true });
});
