/** The files of a run's folder that people read: run.json and the log. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic-write.js';
import type { Device } from '../device.js';
import type { Sampler } from './sampler.js';

/** Which renvox trains. */
export interface Software {
  version: string;
  /** Of git; null where it is not known. */
  commit: string | null;
}

interface Session {
  software: Software | undefined;
  sampler: Sampler;
  device: Device;
  /** Steps done when it began. */
  step: number;
  /** SHA-256 of the weights file that the run began with; null for random weights, undefined where it is not known. */
  init: string | null | undefined;
}

/** Adds a session, the time from a start or resumption to the next, to run.json. */
export async function noteSession(
  out: string,
  { software, sampler, device, step, init }: Session,
): Promise<void> {
  const path = join(out, 'run.json');
  const before = step > 0 ? await sessionsOf(path) : [];
  const { source, cases = null } = sampler;
  const session = {
    started: new Date().toISOString(),
    from_step: step,
    ...(init ? { init_sha256: init } : {}),
    renvox: software?.version ?? null,
    commit: software?.commit ?? null,
    node: process.version,
    device: device.kind,
    device_name: device.info.name,
    source,
    cases,
  };
  const text = JSON.stringify(
    {
      disclaimer: 'Research software, not a medical device.',
      sessions: [...before, session],
    },
    null,
    2,
  );
  await writeFileAtomic(path, [Buffer.from(`${text}\n`)]);
}

async function sessionsOf(path: string): Promise<unknown[]> {
  try {
    const { sessions, source, cases } = JSON.parse(await readFile(path, 'utf8')) as {
      sessions?: unknown;
      source?: unknown;
      cases?: unknown;
    };
    if (!Array.isArray(sessions)) return [];
    // Earlier versions kept them beside the sessions: those of the last one.
    const last = sessions.length - 1;
    return sessions.map((session: object, k) =>
      source && k === last ? { ...session, source, cases } : session,
    );
  } catch {
    // A note for people: a run goes on without it.
    return [];
  }
}

/** Takes back what a run logged after the checkpoint that it is resumed from. */
export async function cutLog(path: string, step: number): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => {
    try {
      return (JSON.parse(line) as { step: number }).step <= step;
    } catch {
      return false;
    }
  });
  await writeFileAtomic(path, [Buffer.from(lines.map((l) => `${l}\n`).join(''))]);
}
