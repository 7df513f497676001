// The study's experiments on phantoms at their smallest: all parts run, stop and go on, and the tables say what they are.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device } from 'renvox';
import { runStudy, seriesOf, studyPlan, writeCohort } from 'renvox/study';
import { checkPreset } from 'renvox/train';
import t from 'tap';

const d = device('cpu');
t.teardown(() => d.dispose());

t.test('plans are sound, cohorts have the study’s proportions', async (tap) => {
  for (const size of ['tiny', 'default', 'full'] as const) {
    const { presets, cohorts } = studyPlan(size);
    for (const preset of Object.values(presets)) tap.same(checkPreset(preset), preset);
    tap.same(new Set(Object.values(presets).map(({ seed }) => seed)).size, 1, 'one split for all');
    tap.same(cohorts.internal.masses.classes, [198, 1296, 397]);
    tap.equal(cohorts.internal.masses.diameters[0], 2);
  }
  const full = studyPlan('full');
  const series = seriesOf(full.cohorts.internal);
  tap.ok(Math.abs(series.length - 610) < 40, `${series.length} series of 490 patients`);
  tap.match(full.presets.kidney, { grid: { shape: [128, 128, 128] }, batch: 4, steps: 48700 });
  const { counts } = full.cohorts.internal.masses;
  const mean = counts.reduce((sum, p, n) => sum + p * n, 0) / counts.reduce((a, b) => a + b);
  tap.ok(Math.abs(2 * mean - 1891 / 487) < 0.1, `${2 * mean} masses a series`);
  const external = full.cohorts.external.masses.counts;
  const more = external.reduce((sum, p, n) => sum + p * n, 0) / external.reduce((a, b) => a + b);
  tap.ok(Math.abs(2 * more - 427 / 81) < 0.15, `${2 * more} masses a patient`);
});

t.test('the tiny study', async (tap) => {
  const out = join(tap.testdir(), 'study');
  const plan = studyPlan('tiny');
  const stop = new AbortController();
  const stopped = runStudy(out, plan, {
    ...{ device: d, signal: stop.signal },
    say: (line) => line.startsWith('study-mass: step 3') && stop.abort(),
  });
  await tap.rejects(stopped, { code: 'AbortError' });
  tap.same(await readdir(join(out, 'weights')), ['kidney.safetensors']);
  const said: string[] = [];
  const { tables, verdicts } = await runStudy(out, plan, { device: d, say: (l) => said.push(l) });
  tap.notOk(
    said.some((line) => line.startsWith('training study-kidney')),
    'what is there stays',
  );
  tap.ok(
    said.some((line) => line.startsWith('study-mass: step 6')),
    'what was begun goes on',
  );
  tap.match(tables, /on PHANTOMS[\s\S]*198 : 1296 : 397[\s\S]*published, patients/);
  tap.match(tables, /\| masses, left: Dice \| \d\.\d{3}[^|]*\| \d\.\d{3}[^|]*\| 0\.75 \|/);
  tap.match(tables, /cannot be said of 1 patients[\s\S]*cannot be said of 2 patients/);
  tap.same(verdicts, { internal: 'too few', external: 'too few' });
  tap.equal(await readFile(join(out, 'tables.md'), 'utf8'), tables);
  // The scanner of the shifted cohort makes other images of the same patients.
  const one = { ...plan.cohorts.external, patients: 1 };
  const { look: _, ...own } = one;
  const folders = [join(out, 'own'), join(out, 'other')] as const;
  await writeCohort(folders[0], own, { device: d });
  await writeCohort(folders[1], one, { device: d });
  const [name] = seriesOf(one).map((s) => s.name);
  const bytes = (folder: string, file: string) => readFile(join(folder, name as string, file));
  tap.same(await bytes(folders[0], 'labels.nii.gz'), await bytes(folders[1], 'labels.nii.gz'));
  tap.notSame(await bytes(folders[0], 'ct.nii.gz'), await bytes(folders[1], 'ct.nii.gz'));
  await tap.rejects(writeCohort(folders[1], own, { device: d }), { code: 'InvalidArgument' });
});
