/** What a training run carries from step to step, and its checkpoint file. */
import { createHash } from 'node:crypto';
import { readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic-write.js';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import {
  formatSafetensors,
  makeNetwork,
  type Network,
  parseSafetensors,
  type StoredTensor,
  storedTensors,
  uploadTensors,
} from '../nn/index.js';
import type { Tensor } from '../tensor.js';
import type { Preset } from './preset.js';

/** All that a run must keep to go on bit for bit: weights, their average, the optimiser and how far it has come. */
export class TrainingState {
  /** Steps done. */
  step = 0;
  /** The best validation score so far and the step it was reached at. */
  best: { score: number; step: number } | null = null;

  private constructor(
    readonly preset: Preset,
    readonly network: Network,
    /** The running average of the weights. */
    readonly averaged: Network,
    /** The optimiser's moments: first and second for Adam, momentum and nothing for SGD. */
    readonly moments: { first: Tensor[]; second: Tensor[] },
  ) {}

  static fresh(preset: Preset, device: Device): TrainingState {
    const network = makeNetwork(preset.architecture, { device, seed: preset.seed });
    const averaged = makeNetwork(preset.architecture, { device, seed: preset.seed });
    const zeros = () => [...network.parameters.values()].map((p) => device.full(p.shape));
    return new TrainingState(preset, network, averaged, {
      first: zeros(),
      second: preset.optimiser.kind === 'sgd' ? [] : zeros(),
    });
  }

  dispose(): void {
    this.network.dispose();
    this.averaged.dispose();
    for (const t of [...this.moments.first, ...this.moments.second]) t.dispose();
  }

  #all(): Map<string, Tensor> {
    const names = [...this.network.parameters.keys()];
    return new Map([
      ...prefixed('network/', this.network.tensors),
      ...prefixed('averaged/', this.averaged.tensors),
      ...prefixed('first/', new Map(this.moments.first.map((t, i) => [names[i] as string, t]))),
      ...prefixed('second/', new Map(this.moments.second.map((t, i) => [names[i] as string, t]))),
    ]);
  }

  /** Whether a folder holds a checkpoint. */
  static async exists(folder: string): Promise<boolean> {
    const names = await readdir(folder).catch(ifMissing);
    return names?.some((name) => name === CHECKPOINT || name === PREVIOUS) ?? false;
  }

  /** Writes `folder`/checkpoint.safetensors; the one before it stays as checkpoint.previous.safetensors. */
  async save(folder: string): Promise<void> {
    const stored = await storedTensors(this.#all());
    const facts = {
      step: String(this.step),
      best: JSON.stringify(this.best),
      preset: JSON.stringify(this.preset),
    };
    const pieces = formatSafetensors(stored, { ...facts, sha256: hashOf(facts, stored) });
    const path = join(folder, CHECKPOINT);
    await rename(path, join(folder, PREVIOUS)).catch(ifMissing);
    await writeFileAtomic(path, pieces);
  }

  /**
   * Goes on from the newest sound checkpoint of a folder; undefined if there is none.
   * @throws RenvoxError InvalidArgument if it belongs to another preset; InvalidFile if there are only damaged ones
   */
  static async resume(
    preset: Preset,
    device: Device,
    folder: string,
  ): Promise<TrainingState | undefined> {
    let damage: unknown;
    for (const name of [CHECKPOINT, PREVIOUS]) {
      const bytes = await readFile(join(folder, name)).catch(ifMissing);
      if (!bytes) continue;
      let file: ReturnType<typeof parseSafetensors>;
      try {
        file = parseSafetensors(bytes);
        const { sha256 = '', ...facts } = file.metadata;
        if (hashOf(facts, file.tensors) !== sha256)
          throw new RenvoxError('InvalidFile', `${name}: the hash does not fit`, { name });
      } catch (error) {
        damage = error;
        continue;
      }
      checkSame(preset, JSON.parse(file.metadata.preset ?? '{}') as Preset);
      const state = TrainingState.fresh(preset, device);
      const part = (prefix: string) => {
        const chosen = [...file.tensors].filter(([n]) => n.startsWith(prefix));
        return uploadTensors(device, new Map(chosen.map(([n, t]) => [n.slice(prefix.length), t])));
      };
      state.network.load(part('network/'));
      state.averaged.load(part('averaged/'));
      for (const which of ['first', 'second'] as const) {
        for (const t of state.moments[which]) t.dispose();
        const loaded = part(`${which}/`);
        // A file's tensors need not be in the order of the parameters.
        state.moments[which] = [...loaded.values()].length
          ? [...state.network.parameters.keys()].map((n) => loaded.get(n) as Tensor)
          : [];
      }
      state.step = Number(file.metadata.step);
      state.best = JSON.parse(file.metadata.best ?? 'null') as TrainingState['best'];
      return state;
    }
    if (damage)
      throw new RenvoxError(
        'InvalidFile',
        `The checkpoints in ${folder} are damaged`,
        { folder },
        { cause: damage },
      );
    return undefined;
  }
}

function hashOf(
  facts: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, StoredTensor>,
): string {
  const hash = createHash('sha256');
  for (const key of Object.keys(facts).sort()) hash.update(`${key}=${facts[key]}\n`);
  for (const [name, { bytes }] of tensors) hash.update(`${name}\n`).update(bytes);
  return hash.digest('hex');
}

const CHECKPOINT = 'checkpoint.safetensors';
const PREVIOUS = 'checkpoint.previous.safetensors';

function prefixed(prefix: string, tensors: ReadonlyMap<string, Tensor>): [string, Tensor][] {
  return [...tensors].map(([name, t]) => [prefix + name, t]);
}

function ifMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
  return undefined;
}

/** A run may be lengthened, but not turned into another one. */
function checkSame(wanted: Preset, stored: Preset): void {
  const rest = ({ steps: _, ...others }: Preset) => JSON.stringify(others);
  if (rest(wanted) !== rest(stored))
    throw new RenvoxError(
      'InvalidArgument',
      `The checkpoint belongs to another preset (${stored.name}); choose another folder or the same preset`,
      {
        stored: stored.name,
        wanted: wanted.name,
      },
    );
}
