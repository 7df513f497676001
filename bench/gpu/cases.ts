/**
 * One piece of work for each operation of the engine and its gradient, of any size: what the checks repeat, run under compute-sanitizer
 * and look for leaks with. `cases()` enqueues nothing before a case's `prepare` is called.
 */
import type { Device } from 'renvox';
import { convolutions } from './cases/convolutions.js';
import { elementwise } from './cases/elementwise.js';
import { labels } from './cases/labels.js';
import { layers } from './cases/layers.js';
import { networks } from './cases/networks.js';
import { optimisers } from './cases/optimisers.js';
import { phantoms } from './cases/phantoms.js';
import { sampling } from './cases/sampling.js';
import { type Case, type Size, workbench } from './cases/workbench.js';

export type { Case, Size } from './cases/workbench.js';

export function cases(d: Device, size: Size): Case[] {
  const list: Case[] = [];
  const bench = workbench(d, size, list);
  for (const kind of [
    elementwise,
    convolutions,
    layers,
    optimisers,
    sampling,
    labels,
    phantoms,
    networks,
  ])
    kind(bench);
  return list;
}

/** Counts which native operations a device runs: their names are added to `seen`. */
export function watched(d: Device, seen: Set<string>): Device {
  const run = d.run.bind(d);
  d.run = (name, fields) => {
    seen.add(name);
    return run(name, fields);
  };
  return d;
}
