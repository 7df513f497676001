import t from 'tap';
import { renvox } from './command.js';

t.test('bad usage is exit code 2, said on stderr', async (t) => {
  for (const args of [['frobnicate'], ['info', '--colour'], ['info', 'extra'], ['--frob'], []]) {
    const { status, stdout, stderr } = renvox(args);
    t.equal(status, 2, args.join(' ') || 'no command');
    t.equal(stdout, '');
    t.match(stderr, /\S/);
  }
});

t.test('help and version are answers', async (t) => {
  const help = renvox(['--help']);
  t.equal(help.status, 0);
  t.match(help.stdout, /not a medical device/);
  t.match(help.stdout, /info/);
  t.equal(renvox(['info', '--help']).status, 0);
  const version = renvox(['--version']);
  t.equal(version.status, 0);
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});
