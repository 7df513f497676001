/**
 * Reading a gzipped NIfTI file from the system's cache to an array of voxels, against zlib alone (Node's own gunzip of the whole file, which neither
 * parses nor hashes nor checks) and against ITK in WebAssembly: inflating binds, on one thread. Voxels are compared byte by byte.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { device, writeVolume } from 'renvox';
import { phantom } from 'renvox/phantom';
import { fixedGrid, gridCentre, gridOf } from 'renvox/volume';
import { CeilingSamples } from './ceilings.js';
import { Contestant, closed, contest } from './contest.js';
import { withFiles } from './files.js';
import { findPeer, peerPackages } from './peers.js';
import { type BenchOptions, type Row, rowOf } from './row.js';

const child = join(dirname(fileURLToPath(import.meta.url)), 'read', 'child.js');
const SEED = 31000000;
const SHAPE = [100, 512, 512] as const;

/** A phantom's CT as scanners' files are: int16, gzipped at the usual level. */
async function writeCt(path: string): Promise<void> {
  using cpu = device('cpu');
  const centre = gridCentre(gridOf((await phantom(SEED, { device: cpu })).ct));
  const grid = fixedGrid({ shape: [...SHAPE], spacing: [3, 0.8, 0.8], centre });
  const { ct } = await phantom(SEED, { device: cpu, grid });
  await writeVolume(path, ct, { level: 6 });
}

export function bench(options: BenchOptions): AsyncGenerator<Row> {
  const { samples, peer } = options;
  return withFiles({}, async function* (folder) {
    const path = join(folder, 'ct.nii.gz');
    await writeCt(path);
    const of = (how: string) =>
      new Contestant(how, process.execPath, ['--expose-gc', child, how, path, peerPackages]);
    const itk = await findPeer('itk-wasm', options);
    const peers = [
      ...(peer === undefined ? [of('zlib')] : []),
      ...(itk === undefined ? [] : [of('itk-wasm')]),
    ];
    const ours = of('renvox');
    const contestants = [ours, ...peers];
    yield* await closed(contestants, async () => {
      const copy = new CeilingSamples('copy', 1);
      const taken = await contest(contestants, {
        ...{ samples, patience: Number.POSITIVE_INFINITY, ceilings: [copy] },
      });
      const [own, ...others] = taken as [(typeof taken)[0], ...typeof taken];
      if (peers.length > 0) await ours.leave(join(folder, 'voxels'));
      for (const other of peers)
        if ((await other.compare(join(folder, 'voxels'))) !== 0)
          throw new Error(`read: voxels differ from those of ${other.name}`);
      const row = (other: (typeof taken)[0] | undefined, name: string): Row =>
        rowOf({
          name: `read/512x512x100 int16 .nii.gz${name === 'itk-wasm' ? ', ITK' : ''}`,
          why: 'what comes before everything else, and what an analysis of a gzipped CT waits for most',
          ...{ threads: 1, own, ceilings: copy.ceilings },
          bytes: 2 * SHAPE[0] * SHAPE[1] * SHAPE[2],
          peer: other && {
            ...other,
            name:
              name === 'itk-wasm'
                ? `@itk-wasm/image-io ${itk}`
                : `zlib ${other.facts.version}, inflating alone`,
          },
        });
      if (peers.length === 0) return [row(undefined, '')];
      return peers.map(({ name }, i) => row(others[i], name));
    });
  });
}
