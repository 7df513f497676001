// The study's experiments on phantoms at their smallest: all parts run, stop and go on, and the tables say what they are.
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device } from 'renvox';
import { formatSafetensors, parseSafetensors } from 'renvox/nn';
import { runStudy, type StudyOptions, seriesOf, studyPlan, writeCohort } from 'renvox/study';
import { checkPreset, type Software } from 'renvox/train';
import t, { type Test } from 'tap';
import { claimFolder } from '#lib/study/study-folder.js';
import { root } from '../core/child.js';

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
  await tap.test('what another plan or other weights made is not taken for this', (sub) =>
    goesOn(sub, out, tables),
  );
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

/** A finished study: another plan, another classifier, other code, and weights of another preset. */
async function goesOn(tap: Test, out: string, before: string): Promise<void> {
  const said: string[] = [];
  const again = (options: StudyOptions = {}, plan = studyPlan('tiny')) => {
    said.length = 0;
    return runStudy(out, plan, { device: d, say: (line) => said.push(line), ...options });
  };
  await tap.rejects(again({}, studyPlan('tiny', 3)), {
    code: 'InvalidArgument',
    message: /another plan \(its presets\.kidney\.steps is 6, not 3\)/,
  });
  tap.same([said, await readFile(join(out, 'tables.md'), 'utf8')], [[], before], 'untouched');

  const weights = join(out, 'weights', 'class.safetensors');
  const { tensors, metadata } = parseSafetensors(await readFile(weights));
  const training = JSON.parse(metadata.training as string);
  const put = (other: unknown) =>
    writeFile(
      weights,
      Buffer.concat(formatSafetensors(tensors, { ...metadata, training: JSON.stringify(other) })),
    );
  const onTruth = join(out, 'on-truth', 'external');
  const hash = () => readFile(`${onTruth}.json`, 'utf8');
  const [first, old] = [await hash(), join(onTruth, 'old.nii.gz')];
  await writeFile(old, 'a map of the classifier before');
  await put({ ...training, remark: 'another file' });
  const software = { version: '9.9.9', commit: 'abc' };
  const { tables } = await again({ software, otherCode: true });
  tap.match(
    tables,
    /made by renvox unknown \(commit unknown\), then renvox 9\.9\.9 \(abc\)/,
    'the tables name both',
  );
  const cases = (await readdir(join(out, 'predictions'), { recursive: true })).filter((name) =>
    name.endsWith('report.json'),
  );
  const predicted = said.filter((line) => /^(two|one)-stage/.test(line));
  tap.equal(predicted.length, cases.length, 'the classifier is in both systems');
  tap.notOk(
    said.some((line) => line.startsWith('training')),
    'nothing is trained again',
  );
  tap.not(await hash(), first);
  await tap.rejects(stat(old), { code: 'ENOENT' }, 'true contours are named again');

  await put({ ...training, preset: { ...training.preset, steps: 7 } });
  await tap.rejects(again({ software }), {
    code: 'InvalidArgument',
    message: /class\.safetensors was trained with another preset \(its preset\.steps is 7, not 6\)/,
  });
}

t.test('a folder belongs to one plan and one renvox', async (tap) => {
  const out = join(tap.testdir(), 'study');
  const path = join(out, 'plan.json');
  const [one, two] = ['a', 'b'].map((commit) => ({ version: '1', commit })) as [Software, Software];
  const plan = studyPlan('tiny');
  const claim = (software = one, otherCode = false) => claimFolder(out, plan, software, otherCode);
  tap.same(await claim(), [one]);
  tap.same(JSON.parse(await readFile(path, 'utf8')), {
    plan: JSON.parse(JSON.stringify(plan)),
    software: [one],
  });
  tap.same(await claim(), [one], 'once');
  const other = {
    code: 'InvalidArgument',
    message: /a study by renvox 1 \(a\), this is renvox 1 \(b\)/,
  };
  await tap.rejects(claim(two), other);
  tap.same(await claim(two, true), [one, two]);
  tap.same(await claim(two), [one, two]);
  await tap.rejects(claimFolder(out, studyPlan('default'), two, true), {
    code: 'InvalidArgument',
    message: /another plan \(its size is "tiny", not "default"\)/,
  });
  await writeFile(path, '{"plan": 1}');
  await tap.rejects(claim(two, true), { code: 'InvalidFile', message: /damaged/ });
  // Of a renvox that kept no plan.
  await rm(path);
  const cohort = join(out, 'cohorts', 'internal');
  await mkdir(cohort, { recursive: true });
  await writeFile(join(cohort, 'plan.json'), '{}');
  await tap.rejects(claim(), { code: 'InvalidArgument', message: /a study by an older renvox/ });
  tap.same(await claim(one, true), [null, one]);
});

t.test('a preset that cannot be trained is refused before anything is drawn', async (tap) => {
  const out = join(tap.testdir(), 'study');
  const { presets, ...rest } = studyPlan('tiny');
  const impossible = { ...rest, presets: { ...presets, mass: { ...presets.mass, batch: 0 } } };
  await tap.rejects(runStudy(out, impossible, { device: d }), {
    code: 'InvalidArgument',
    details: { field: 'batch' },
  });
  await tap.rejects(stat(out), { code: 'ENOENT' });
});

t.test('npm run study: wrong usage is one line, before anything is drawn', async (tap) => {
  const out = join(tap.testdir(), 'study');
  for (const [args, message] of [
    [
      ['--steps', 'abc'],
      /^study: Expected an integer of at least 1 for --steps but received abc\n$/,
    ],
    [['--steps', '0'], /^study: Expected an integer .* received 0\n$/],
    [['--stpes', '3'], /^study: Unknown option '--stpes'.*\n$/],
    [['--tiny', '--full'], /^study: --tiny and --full exclude each other\n$/],
    [['--device', 'gpu'], /^study: Expected one of .* received gpu.*\n$/],
  ] as const) {
    const script = join(root, 'scripts', 'study.mjs');
    const done = spawnSync(process.execPath, [script, '--out', out, ...args], { encoding: 'utf8' });
    tap.equal(done.status, 2, args.join(' '));
    tap.match(done.stderr, message);
  }
  await tap.rejects(stat(out), { code: 'ENOENT' });
  for (const steps of [Number.NaN, 0, 1.5])
    tap.throws(() => studyPlan('tiny', steps), { code: 'InvalidArgument' });
});
