/** What a training run carries from step to step, and its checkpoint file. */
import { createHash } from 'node:crypto';
import { readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { writeFileAtomic } from '../atomic-write.js';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import {
  formatSafetensors,
  loadNetwork,
  makeNetwork,
  type Network,
  parseSafetensors,
  readWeightsFile,
  type StoredTensor,
  storedTensors,
  uploadTensors,
} from '../nn/index.js';
import type { Tensor } from '../tensor.js';
import type { Preset } from './preset.js';
import { checkSameData, type Provenance } from './provenance.js';

/** All that a run must keep to go on bit for bit: weights, their average, the optimiser and how far it has come. */
export class TrainingState {
  /** Steps done. */
  step = 0;
  /** The best validation score so far and the step it was reached at. */
  best: { score: number; step: number } | null = null;
  /** Whether a validation of this step is due that was stopped: the run goes on with it. */
  unjudged = false;
  /** Validations since there was a better one by more than the preset's `stop.least`. */
  stale = 0;
  /** Of the loss in fp16; how many steps lie behind since it last changed; how many of them, since the last look, did not fit. */
  scaling = { scale: 2 ** 16, since: 0, overflows: 0 };
  /** What it is trained on; a checkpoint that says so goes on with nothing else. */
  data: Provenance | undefined;
  /** SHA-256 of the weights file that the run began with; null for random weights, undefined where an older checkpoint does not say. */
  init: string | null | undefined = null;
  /** The step of the last checkpoint in the folder. */
  #saved: number | undefined;
  #adjusted = 0;

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

  /**
   * Begins with the weights of a file instead of random ones; the average begins there too.
   * @throws RenvoxError FileNotFound; InvalidWeights also where the file's architecture is another one, though its tensors may fit
   */
  async begin(path: string): Promise<void> {
    const { device } = this.network;
    const { network: given, sha256 } = await loadNetwork(path, { device });
    try {
      checkArchitecture(this.network, given, path);
      const stored = await storedTensors(given.tensors);
      for (const network of [this.network, this.averaged])
        network.load(uploadTensors(device, stored));
    } finally {
      given.dispose();
    }
    this.init = sha256;
  }

  /**
   * Checks that a run which goes on began with the weights of this file.
   * @throws RenvoxError FileNotFound, InvalidArgument
   */
  async checkBegun(path: string): Promise<void> {
    const sha256 = createHash('sha256')
      .update(await readWeightsFile(path))
      .digest('hex');
    if (this.init === undefined || this.init === sha256) return;
    const began = this.init === null ? 'random weights' : `a file of SHA-256 ${this.init}`;
    throw new RenvoxError(
      'InvalidArgument',
      `The run to resume began with ${began}, not with ${path} (SHA-256 ${sha256})`,
      { path, began: this.init, sha256 },
    );
  }

  /** For messages: what a run that ends here leaves to go on from. */
  get lastCheckpoint(): string {
    return this.#saved === undefined
      ? 'no checkpoint was written yet'
      : `the last checkpoint is intact (step ${this.#saved})`;
  }

  /** Whether the run ends for want of improvement. */
  get exhausted(): boolean {
    const { stop } = this.preset;
    return stop !== undefined && this.stale >= stop.patience;
  }

  /** Takes note of a validation; true where it is the best one so far, as the newest is where nothing can be told: that ends no run either. */
  judge(score: number | null): boolean {
    const { best, preset } = this;
    if (score === null) return best === null;
    const better = !best || score > best.score;
    const enough = !best || score > best.score + (preset.stop?.least ?? 0);
    this.stale = enough ? 0 : this.stale + 1;
    if (better) this.best = { score, step: this.step };
    return better;
  }

  /**
   * After a look at the steps since the last one: a scale that was too large for any of them halves, one that fitted 2000 steps doubles.
   * Only every so many steps, whenever a run was stopped in between.
   * @throws RenvoxError Diverged where the gradients do not fit at any scale
   */
  adjustScale(overflows: number): void {
    if (this.preset.precision !== 'fp16') return;
    const { scaling } = this;
    scaling.since += this.step - this.#adjusted;
    scaling.overflows += overflows;
    this.#adjusted = this.step;
    if (this.step % SCALE_STEPS !== 0) return;
    if (scaling.overflows > 0) {
      scaling.scale /= 2;
      scaling.since = 0;
    } else if (scaling.since >= SCALE_GROWTH) {
      scaling.scale *= 2;
      scaling.since = 0;
    }
    scaling.overflows = 0;
    if (scaling.scale < 2 ** -10)
      throw new RenvoxError(
        'Diverged',
        `The gradients of step ${this.step} are not finite at a loss scale of ${scaling.scale}; ${this.lastCheckpoint}`,
        { step: this.step, scale: scaling.scale },
      );
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
      stale: String(this.stale),
      ...(this.unjudged ? { unjudged: 'true' } : {}),
      scaling: JSON.stringify(this.scaling),
      preset: JSON.stringify(this.preset),
      ...(this.init === undefined ? {} : { init: JSON.stringify(this.init) }),
      ...(this.data ? { data: JSON.stringify(this.data) } : {}),
    };
    const pieces = formatSafetensors(stored, { ...facts, sha256: hashOf(facts, stored) });
    const path = join(folder, CHECKPOINT);
    await rename(path, join(folder, PREVIOUS)).catch(ifMissing);
    await writeFileAtomic(path, pieces);
    this.#saved = this.step;
  }

  /**
   * Goes on from the newest sound checkpoint of a folder; undefined if there is none. A damaged one is set aside as
   * checkpoint.damaged.safetensors, so that a sound one is there at any moment.
   * @param data - what it would go on with
   * @throws RenvoxError InvalidArgument if it belongs to another preset or other data; InvalidFile if there are only damaged ones
   */
  static async resume(
    preset: Preset,
    device: Device,
    folder: string,
    data?: Provenance,
  ): Promise<TrainingState | undefined> {
    let damage: unknown;
    let damaged: string | undefined;
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
        damaged = join(folder, name);
        continue;
      }
      checkSame(preset, JSON.parse(file.metadata.preset ?? '{}') as Preset);
      // Checkpoints of earlier versions do not say what they were trained on.
      if (data && file.metadata.data)
        checkSameData(data, JSON.parse(file.metadata.data) as Provenance);
      // Else the next checkpoint would push the damaged file to where the one sound file is.
      if (damaged) await rename(damaged, join(folder, DAMAGED));
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
      state.#adjusted = state.step;
      state.#saved = state.step;
      state.best = JSON.parse(file.metadata.best ?? 'null') as TrainingState['best'];
      state.stale = Number(file.metadata.stale ?? 0);
      state.unjudged = file.metadata.unjudged === 'true';
      const { init } = file.metadata;
      state.init = init === undefined ? undefined : (JSON.parse(init) as string | null);
      // Checkpoints before 0.2 have none, and no fp16.
      if (file.metadata.scaling)
        state.scaling = JSON.parse(file.metadata.scaling) as TrainingState['scaling'];
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

/** Steps between two looks at the loss scale, and without overflow before it grows (as PyTorch's GradScaler). */
const SCALE_STEPS = 10;
const SCALE_GROWTH = 2000;

const CHECKPOINT = 'checkpoint.safetensors';
const PREVIOUS = 'checkpoint.previous.safetensors';
const DAMAGED = 'checkpoint.damaged.safetensors';

function prefixed(prefix: string, tensors: ReadonlyMap<string, Tensor>): [string, Tensor][] {
  return [...tensors].map(([name, t]) => [prefix + name, t]);
}

function ifMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
  return undefined;
}

/** A run may be lengthened, but not turned into another one. Fields are compared by value, whatever their order. */
function checkSame(wanted: Preset, stored: Preset): void {
  const plain = (preset: Preset) => JSON.parse(JSON.stringify(preset)) as Record<string, unknown>;
  const fields = differing(plain(wanted), plain(stored), ['steps']);
  if (fields.length > 0)
    throw new RenvoxError(
      'InvalidArgument',
      `The checkpoint belongs to another preset (${stored.name}): ${fields.join(', ')} ${fields.length === 1 ? 'differs' : 'differ'}; choose another folder or the same preset`,
      { stored: stored.name, wanted: wanted.name, fields },
    );
}

/**
 * What does not make two networks different: dropout has no weights and does nothing but in training, and the heads of deep supervision are
 * tensors, which are compared by name and shape when they are loaded.
 */
const FREE = ['dropout', 'deepSupervision'];

/** Geometry, norm and slope change what a network computes, but no tensor's shape. */
function checkArchitecture(own: Network, given: Network, path: string): void {
  const [a, b] = [own, given].map(({ config }) => config as Record<string, unknown>);
  const faults =
    own.kind === given.kind
      ? differing(a ?? {}, b ?? {}, FREE).map(
          (field) =>
            `${field} is ${JSON.stringify(b?.[field])}, expected ${JSON.stringify(a?.[field])}`,
        )
      : [`it is a ${given.kind}, expected a ${own.kind}`];
  if (faults.length > 0)
    throw new RenvoxError(
      'InvalidWeights',
      `The weights file ${path} is of another architecture: ${faults.join('; ')}`,
      { path, faults },
    );
}

/** Names of the fields that two records do not share by value. */
function differing(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
  but: readonly string[],
): string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => !but.includes(name) && !isDeepStrictEqual(a[name], b[name]));
}
