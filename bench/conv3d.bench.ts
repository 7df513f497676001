/**
 * Convolutions layer by layer against the roofline of the machine (multiply-adds on registers or bytes copied, whichever allows less, measured between
 * the samples) and, where it is installed, against onnxruntime-node in a process beside. All count the multiplications of the definition: for the
 * direct algorithm 1 is the limit, but for planes of padding that are left out; Winograd's, with a sixth of them, has the limit 6. What the library
 * takes by itself (`auto`, which the goals are set on) is measured in turn with each algorithm that can be asked for; its row tells by `algorithm`
 * which one it took, seen from its bits, and `speedup` is the ratio of best processor times to the direct one. RENVOX_ISA and RENVOX_THREADS choose
 * the instruction set and the threads. --large adds the layers of strided ResNet-10 that are no cases of their own.
 */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, device, ops, type Tensor, threads } from 'renvox';
import { call } from '#lib/native.js';
import { Contestant } from './contest.js';
import { CASES, type Layer, outputOf, STRIDED_RESNET } from './conv3d-cases.js';
import { withFiles } from './files.js';
import { type Call, takeTurns } from './in-process.js';
import { convModel } from './onnx/convolution.js';
import { findPeer, peerPackages } from './peers.js';
import { type BenchOptions, type Row, rowOf, type Turn } from './row.js';

const here = dirname(fileURLToPath(import.meta.url));
/** Far above what Winograd's error is. */
const TOLERANCE = 1e-4;

const product = (list: readonly number[]): number => list.reduce((a, b) => a * b, 1);

/** Numbers from -1 to 1, the same in every run. */
function numbers(size: number): Float32Array {
  const data = new Float32Array(size);
  for (let i = 0; i < size; i++) data[i] = (Math.imul(i, 2654435761) >>> 8) / 2 ** 23 - 1;
  return data;
}

/** What a layer's calls need, and the calls by algorithm. */
function callsOf(cpu: Device, l: Layer) {
  const { kernel, stride, dilation } = l;
  const tensor = (...shape: readonly number[]): Tensor =>
    cpu.tensor(numbers(product(shape)), { shape });
  const x = tensor(1, ...l.size, l.cin);
  if (l.kind === 'maxPool3d')
    return { x, calls: { plain: () => [ops.maxPool3d(x, { kernel, stride })] } };
  if (l.kind === 'convTranspose3d') {
    const weight = tensor(l.cin, l.cout, 2, 2, 2);
    return { x, weight, calls: { plain: () => [ops.convTranspose3d(x, weight)] } };
  }
  const weight = tensor(l.cout, l.cin, kernel, kernel, kernel);
  const along = (n: number) => [n, n, n];
  const geometry = {
    stride: along(stride),
    padding: along((dilation * (kernel - 1)) / 2),
    dilation: along(dilation),
  };
  const dy = tensor(1, ...outputOf(l), l.cout);
  const by = (algorithm: string) => () => {
    const fields = { algorithm, ...geometry };
    if (l.kind === 'wgrad')
      return cpu.run('conv3dGradWeight', { x, dy, kernel: along(kernel), ...fields });
    return l.kind === 'dgrad'
      ? cpu.run('conv3dGradInput', { dy, weight, size: l.size, ...fields })
      : cpu.run('conv3d', { x, weight, ...fields });
  };
  const both = kernel === 3 && stride === 1;
  const calls: Record<string, Call> = {
    auto: by('auto'),
    direct: by('direct'),
    ...(both ? { winograd: by('winograd') } : {}),
  };
  return { x, weight, calls };
}

/** onnxruntime on the same layer; undefined for those that it is not asked about. */
async function peerOf(
  l: Layer,
  folder: string,
  { x, weight }: { x: Tensor; weight?: Tensor },
): Promise<Contestant | undefined> {
  if (l.kind !== 'conv3d' || !weight) return undefined;
  const { shape } = weight;
  const model = convModel(
    { data: (await weight.data()) as Float32Array, shape },
    l,
    l.size,
    outputOf(l),
  );
  await writeFile(join(folder, 'model.onnx'), model);
  const last = (await x.data()) as Float32Array;
  const first = new Float32Array(last.length);
  const voxels = product(l.size);
  for (let v = 0; v < voxels; v++)
    for (let c = 0; c < l.cin; c++) first[c * voxels + v] = last[v * l.cin + c] as number;
  await writeFile(join(folder, 'input.f32'), first);
  const task = {
    packages: peerPackages,
    model: join(folder, 'model.onnx'),
    input: join(folder, 'input.f32'),
    shape: [1, l.cin, ...l.size],
    threads: threads(),
  };
  const program = join(here, 'peers', 'onnxruntime.js');
  return new Contestant('onnxruntime', process.execPath, [
    '--expose-gc',
    program,
    JSON.stringify(task),
  ]);
}

/** What a call computes. */
async function resultOf(once: Call): Promise<Float32Array> {
  const [y, ...others] = once();
  for (const other of others) other?.dispose();
  const values = (await (y as Tensor).data()) as Float32Array;
  (y as Tensor).dispose();
  return values;
}

const same = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.compare(
    new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
    new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;

/** Which algorithm `auto` took: the one with the same bits, else the form for few input channels, which cannot be asked for by name. */
function taken(results: ReadonlyMap<string, Float32Array>): string {
  const own = results.get('auto') as Float32Array;
  for (const algorithm of ['direct', 'winograd']) {
    const other = results.get(algorithm);
    if (other && same(own, other)) return algorithm;
  }
  return 'winograd of few channels';
}

/** How far a result is from the peer's. @throws Error where it is another function */
async function checked(
  name: string,
  result: Float32Array,
  peer: Contestant,
  path: string,
): Promise<number> {
  await writeFile(path, result);
  const difference = await peer.compare(path);
  if (!(difference <= TOLERANCE))
    throw new Error(`${name}: ours and onnxruntime differ by ${difference} (relative RMS)`);
  return difference;
}

async function measureLayer(
  cpu: Device,
  l: Layer,
  folder: string,
  version: string | undefined,
  options: BenchOptions,
): Promise<Row[]> {
  const made = callsOf(cpu, l);
  const calls = Object.entries(made.calls) as [string, Call][];
  const peer = version === undefined ? undefined : await peerOf(l, folder, made);
  try {
    await peer?.warmUp(options.patience);
    cpu.resetPeak();
    const { turns, ceilings } = await takeTurns(
      cpu,
      calls.map(([, once]) => once),
      { samples: options.samples, ceilings: ['fma', l.memory], peer },
    );
    const peak = cpu.memory.peak / 2 ** 20;
    const facts = await peer?.facts();
    const best = (of: readonly Turn[]) => Math.min(...of.map((turn) => turn.cpu as number));
    const direct = calls.findIndex(([name]) => name === 'direct');
    const results = new Map<string, Float32Array>();
    for (const [name, once] of calls) results.set(name, await resultOf(once));
    const rows: Row[] = [];
    for (const [i, [name]] of calls.entries()) {
      const own = turns[i] as Turn[];
      const result = results.get(name) as Float32Array;
      const row = rowOf({
        name: name === 'plain' ? l.name : `${l.name} ${name}`,
        ...{ why: l.why, threads: threads(), flops: l.flops, bytes: l.bytes, ceilings },
        // Goals are of what the library takes.
        goal:
          i === 0
            ? {
                ...(l.goal === undefined ? {} : { share: l.goal }),
                ...(l.speedup === undefined ? {} : { speedup: l.speedup }),
              }
            : undefined,
        own: { turns: own, rssMb: null },
        peer: peer && {
          name: `onnxruntime-node ${version}`,
          turns: peer.turns,
          rssMb: facts?.rss_mb ?? null,
        },
        more: {
          algorithm: name === 'plain' ? null : name === 'auto' ? taken(results) : name,
          isa: call((addon) => addon.instructionSet()),
          device_peak_mb: peak,
          worst_difference: peer
            ? await checked(l.name, result, peer, join(folder, 'result'))
            : null,
          speedup: direct >= 0 && i !== direct ? best(turns[direct] as Turn[]) / best(own) : null,
        },
      });
      rows.push(row);
    }
    return rows;
  } finally {
    await peer?.close();
    for (const tensor of [made.x, made.weight]) tensor?.dispose();
  }
}

export function bench(options: BenchOptions): AsyncGenerator<Row> {
  return withFiles({}, async function* (folder) {
    const version = await findPeer('onnxruntime', options);
    using cpu = device('cpu');
    for (const l of options.large ? [...CASES, ...STRIDED_RESNET] : CASES) {
      yield* await measureLayer(cpu, l, folder, version, options);
      cpu.releaseCache();
    }
  });
}
