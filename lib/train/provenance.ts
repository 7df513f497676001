/** What a run draws its samples from, as its checkpoints keep it: a run that goes on must go on with the same. */
import { RenvoxError } from '../errors.js';
import type { CaseLists, Sampler } from './sampler.js';

export interface Provenance {
  source: string;
  cases?: CaseLists;
  /** Case to what identifies its content. */
  content?: Readonly<Record<string, string>>;
}

export function provenanceOf({ source, cases, content }: Sampler): Provenance {
  return { source, ...(cases ? { cases } : {}), ...(content ? { content } : {}) };
}

/** How many cases a message names; `details` has all. */
const NAMED = 12;

/**
 * @throws RenvoxError InvalidArgument that names the cases that were added, lost, changed or moved to another part of the split
 */
export function checkSameData(wanted: Provenance, stored: Provenance): void {
  const cases = differences(wanted, stored);
  if (cases.length === 0 && wanted.source === stored.source) return;
  const more = cases.length > NAMED ? `; and ${cases.length - NAMED} more` : '';
  const named = cases.length > 0 ? `: ${cases.slice(0, NAMED).join('; ')}${more}` : '';
  throw new RenvoxError(
    'InvalidArgument',
    `The checkpoint was trained on other data (${stored.source}) than what it would go on with (${wanted.source})${named}; choose another folder, or the same data and split`,
    { stored: stored.source, wanted: wanted.source, cases },
  );
}

/** A line for each case that is not what it was. */
function differences(wanted: Provenance, stored: Provenance): string[] {
  const [before, now] = [partsOf(stored), partsOf(wanted)];
  const lines: string[] = [];
  for (const name of [...new Set([...before.keys(), ...now.keys()])].sort()) {
    const [was, is] = [before.get(name), now.get(name)];
    if (was === undefined) lines.push(`${name} is new, in ${is}`);
    else if (is === undefined) lines.push(`${name} was in ${was}, is gone`);
    else if (was !== is) lines.push(`${name} was in ${was}, is in ${is}`);
    else {
      const [old, own] = [stored.content?.[name], wanted.content?.[name]];
      if (old !== undefined && own !== undefined && old !== own)
        lines.push(`${name} has other content`);
    }
  }
  return lines;
}

function partsOf({ cases }: Provenance): Map<string, keyof CaseLists> {
  const parts = new Map<string, keyof CaseLists>();
  for (const part of ['training', 'validation', 'test'] as const)
    for (const name of cases?.[part] ?? []) parts.set(name, part);
  return parts;
}
