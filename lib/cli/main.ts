#!/usr/bin/env node
/**
 * The command line. Each command is a file that exports `register(program)`; it declares its options there and imports what it needs when it
 * runs, so that a quick command stays quick.
 *
 * Exit codes: 0 done, 1 renvox failed, 2 bad usage, 3 bad or missing input, 4 device, 130 interrupted. People read stderr; with --json,
 * stdout holds the JSON and nothing else.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';

import { EXIT, reportError } from './exit.js';
import { register as info } from './info.js';

const manifest = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as {
  version: string;
  description: string;
};

const program = new Command('renvox')
  .description(
    `${manifest.description}.\nResearch software: not a medical device, not for clinical use.`,
  )
  .version(manifest.version)
  .exitOverride()
  .showHelpAfterError('(renvox --help lists the commands)');

for (const register of [info]) register(program);
// Commands take their parent's settings when they are made; those of this program come later.
for (const command of program.commands) command.exitOverride().showHelpAfterError();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has written its message; help and version are no errors.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  } else process.exitCode = reportError(error);
}
