#!/usr/bin/env node
/**
 * The command line. Each command is a file that exports `register(program)`; only the one that is asked for is loaded (all of them for help),
 * so that a quick command stays quick.
 *
 * Exit codes: 0 done, 1 renvox failed, 2 bad usage, 3 bad or missing input, 4 device, 130 interrupted. People read stderr; with --json,
 * stdout holds the JSON and nothing else.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';

import { EXIT, reportError } from './exit.js';

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

const commands: Record<string, () => Promise<{ register(program: Command): void }>> = {
  analyze: () => import('./analyze.js'),
  phantom: () => import('./phantom.js'),
  train: () => import('./train.js'),
  weights: () => import('./weights.js'),
  compare: () => import('./compare.js'),
  classify: () => import('./classify.js'),
  evaluate: () => import('./evaluate.js'),
  info: () => import('./info.js'),
};
const wanted = commands[process.argv[2] ?? ''];
for (const load of wanted ? [wanted] : Object.values(commands)) (await load()).register(program);
// Commands take their parent's settings when they are made; those of this program come later.
const settle = (command: Command, path: string): void => {
  command.exitOverride().showHelpAfterError(`(${path} --help explains)`);
  for (const part of command.commands) settle(part, `${path} ${part.name()}`);
};
for (const command of program.commands) settle(command, `renvox ${command.name()}`);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has written its message; help and version are no errors.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  } else process.exitCode = reportError(error);
}
