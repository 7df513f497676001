import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { device, threads } from 'renvox';
import t from 'tap';
import { addonFile } from '#lib/native.js';
import { root } from '../core/child.js';
import { renvox } from './command.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
};

t.test('info --json is JSON and nothing else', async (t) => {
  const { status, stdout, stderr } = renvox(['info', '--json']);
  t.equal(status, 0);
  t.equal(stderr, '');
  const info = JSON.parse(stdout) as Record<string, unknown>;
  t.match(info, {
    version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    addon: { file: addonFile(), source: /^(build|prebuild|override)$/, why: /./ },
    cpu: { available: /baseline/, in_use: /^(baseline|avx2|avx512)$/, threads: threads() },
    memory_mb: { total: Number, free: Number },
    cuda: { available: Boolean },
  });
  t.ok(info.commit === null || /^[0-9a-f]{40}(-dirty)?$/.test(String(info.commit)), 'commit');
  const devices = info.devices as { kind: string; name: string }[];
  using d = device('auto');
  t.ok(devices.some(({ kind }) => kind === d.kind));
  t.equal((devices[0] as { kind: string }).kind, 'cpu');
});

t.test('info for people', async (t) => {
  const { status, stdout } = renvox(['info'], { RENVOX_ISA: 'baseline', RENVOX_THREADS: '3' });
  t.equal(status, 0);
  t.match(stdout, `renvox ${version}`);
  t.match(stdout, 'not a medical device');
  t.match(stdout, 'in use baseline; 3 threads');
  t.match(stdout, addonFile());
});

t.test('info without an addon says what was looked for', async (t) => {
  const { status, stdout } = renvox(['info', '--json'], { RENVOX_PREBUILD: join(root, 'lib') });
  t.equal(status, 4);
  t.match(JSON.parse(stdout), {
    addon: { file: null, source: null, why: /could not be loaded/ },
    cpu: null,
    devices: [],
    cuda: { available: false },
  });
});
