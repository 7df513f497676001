/** Preprocessed cases on disk, so that only the first run of a data set reads and resamples it. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { readdir, readFile, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../atomic-write.js';
import { RenvoxError } from '../../errors.js';
import { formatSafetensors, parseSafetensors, type StoredTensor } from '../../nn/index.js';
import type { Item } from './items.js';
import type { CaseFiles } from './layouts.js';

/** Counts up when what is stored, or how it is made, changes. */
const FORMAT = 4;
const ENDING = '.item.safetensors';

/** Bytes that a cache holds at most unless it is told otherwise: 20 GB. */
export const CACHE_BYTES = 20e9;

/** SHA-256 of the bytes of a case's files, labels last; undefined where one cannot be read: reading the case will say why. */
export async function fileHashes({ images, labels }: CaseFiles): Promise<string[] | undefined> {
  const hashes: string[] = [];
  try {
    for (const file of [...images, labels]) {
      const hash = createHash('sha256');
      for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
      hashes.push(hash.digest('hex'));
    }
    return hashes;
  } catch {
    return undefined;
  }
}

/**
 * A folder of preprocessed cases. A file's name is a hash over all that decides its content: the bytes of the case's files, what their labels
 * mean, and `recipe`. Files appear whole, carry a hash of their content, and the longest unused ones go where the cache grows beyond `bytes`.
 */
export class ItemCache {
  /** Bytes of the files that this run has read or made, by key. */
  readonly #sizes = new Map<string, number>();
  /** Keys of those that it reads whenever a sample is drawn: they stay. */
  readonly #inUse = new Set<string>();

  constructor(
    readonly folder: string,
    /** Whatever else decides what is stored, as plain data. */
    readonly recipe: unknown,
    readonly bytes = CACHE_BYTES,
  ) {}

  /** Bytes of the files that must stay for this run; beyond `bytes` no more are written. */
  get needed(): number {
    return [...this.#inUse].reduce((sum, key) => sum + (this.#sizes.get(key) ?? 0), 0);
  }

  /** @param files - their hashes */
  key(files: readonly string[]): string {
    const facts = JSON.stringify({ format: FORMAT, recipe: this.recipe, files });
    return createHash('sha256').update(facts).digest('hex');
  }

  /** What is stored under a key; undefined where nothing is, or where it is damaged. `empty`: the case's label map is. */
  async get(key: string, name: string): Promise<{ items: Item[]; empty: boolean } | undefined> {
    const path = join(this.folder, key + ENDING);
    try {
      const bytes = await readFile(path);
      const { tensors, metadata } = parseSafetensors(bytes);
      if (hashOf(tensors) !== metadata.sha256) return undefined;
      const now = new Date();
      await utimes(path, now, now);
      this.#sizes.set(key, bytes.length);
      const facts = JSON.parse(metadata.items ?? '[]') as { class?: number }[];
      const items = facts.map((fact, k) => {
        const image = tensors.get(`${k}.image`) as StoredTensor;
        const labels = tensors.get(`${k}.labels`) as StoredTensor;
        return {
          ...{ case: name, ...fact },
          image: new Float32Array(Uint8Array.from(image.bytes).buffer),
          labels: Uint8Array.from(labels.bytes),
          shape: labels.shape as unknown as Item['shape'],
          channels: image.shape[3] as number,
        };
      });
      return { items, empty: metadata.empty === 'true' };
    } catch {
      // Not there, or not what it should be: it is made again.
      return undefined;
    }
  }

  async put(key: string, items: readonly Item[], empty: boolean): Promise<void> {
    const tensors = new Map<string, StoredTensor>();
    items.forEach(({ image, labels, shape, channels }, k) => {
      const bytes = new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
      tensors.set(`${k}.image`, { dtype: 'f32', shape: [...shape, channels], bytes });
      tensors.set(`${k}.labels`, { dtype: 'u8', shape: [...shape], bytes: labels });
    });
    const facts = items.map((item) => (item.class === undefined ? {} : { class: item.class }));
    const metadata = {
      items: JSON.stringify(facts),
      empty: String(empty),
      sha256: hashOf(tensors),
    };
    const pieces = formatSafetensors(tensors, metadata);
    this.#sizes.set(
      key,
      pieces.reduce((sum, piece) => sum + piece.length, 0),
    );
    // The run is refused once it is known how much it would need.
    if (this.needed > this.bytes) return;
    await makeFolder(this.folder);
    await writeFileAtomic(join(this.folder, key + ENDING), pieces);
    await this.#shrink(key + ENDING);
  }

  /** An item whose voxels stay in the cache, where its file is no longer removed by this run: each look reads them again. */
  lazy(key: string, k: number, { image: _, labels: __, ...facts }: Item): Item {
    const path = join(this.folder, key + ENDING);
    this.#inUse.add(key);
    return {
      ...facts,
      get image() {
        return new Float32Array(readTensor(path, `${k}.image`).buffer);
      },
      get labels() {
        return readTensor(path, `${k}.labels`);
      },
    };
  }

  /** Removes the longest unused files until the rest fits; the newest stays, and so does what this run reads. */
  async #shrink(newest: string): Promise<void> {
    const files: { path: string; size: number; used: number }[] = [];
    const inUse = new Set([...this.#inUse].map((key) => key + ENDING));
    for (const name of await readdir(this.folder)) {
      if (!name.endsWith(ENDING)) continue;
      const path = join(this.folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found)
        files.push({
          path,
          size: found.size,
          used: name === newest || inUse.has(name) ? Number.POSITIVE_INFINITY : found.mtimeMs,
        });
    }
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size, used } of files.sort((a, b) => a.used - b.used)) {
      if (total <= this.bytes || used === Number.POSITIVE_INFINITY) return;
      // Another run may have removed it just now.
      await unlink(path).catch(() => undefined);
      total -= size;
    }
  }
}

/** One tensor's bytes of a safetensors file that was found sound, without the rest of it. */
function readTensor(path: string, name: string): Uint8Array {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const length = readAt(file, 8, 0);
    const header = 8 + Number(new DataView(length.buffer).getBigUint64(0, true));
    const text = new TextDecoder().decode(readAt(file, header - 8, 8));
    const { [name]: entry } = JSON.parse(text) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    if (!entry) throw new Error(`it has no ${name}`);
    const [from, to] = entry.data_offsets;
    return readAt(file, to - from, header + from);
  } catch (error) {
    throw new RenvoxError(
      'InvalidFile',
      `The cache has lost ${path} while it was in use: another run made room for its own, or it was removed; the same run again makes it anew, a larger cache holds both`,
      { path },
      { cause: error },
    );
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readAt(file: number, count: number, position: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count; ) {
    const n = readSync(file, bytes, done, count - done, position + done);
    if (n === 0) throw new Error(`${count - done} bytes are missing`);
    done += n;
  }
  return bytes;
}

function hashOf(tensors: ReadonlyMap<string, StoredTensor>): string {
  const hash = createHash('sha256');
  // A file may hold its tensors in another order.
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, { shape, bytes }] of sorted)
    hash.update(`${name} ${shape.join('x')}\n`).update(bytes);
  return hash.digest('hex');
}
