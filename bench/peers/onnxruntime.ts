/**
 * Child of a network's bench: onnxruntime-node on the CPU, a model and an input from files; each run is one forward pass. Its threads are as many
 * as ours, asked not to spin while they wait, so that between the runs of ours they take nothing.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { relativeError, serve } from '../serve.js';

/** What the child is told, as JSON. */
export interface Task {
  /** bench/package.json, from where the package is resolved. */
  readonly packages: string;
  readonly model: string;
  /** f32 in the order of `shape`, [N, C, D, H, W]. */
  readonly input: string;
  readonly shape: readonly number[];
  readonly threads: number;
}

/** As much of onnxruntime-node as is used: its own types are there only where it is installed. */
interface OnnxRuntime {
  readonly Tensor: new (
    type: 'float32',
    data: Float32Array,
    shape: readonly number[],
  ) => OnnxTensor;
  readonly InferenceSession: {
    create(path: string, options: Readonly<Record<string, unknown>>): Promise<Session>;
  };
}
interface OnnxTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}
interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OnnxTensor>>): Promise<Record<string, OnnxTensor>>;
}

const task = JSON.parse(process.argv[2] as string) as Task;
const { Tensor, InferenceSession } = createRequire(task.packages)(
  'onnxruntime-node',
) as OnnxRuntime;
const session = await InferenceSession.create(task.model, {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
  intraOpNumThreads: task.threads,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
});
const [[input], [output]] = [session.inputNames, session.outputNames] as [[string], [string]];
const { buffer } = new Uint8Array(readFileSync(task.input));
const x = new Tensor('float32', new Float32Array(buffer), task.shape);

/** [N, C, ...] as [N, ..., C]. */
function channelsLast({ data, dims }: OnnxTensor): Float32Array {
  const [batch, channels] = dims as [number, number];
  const voxels = data.length / (batch * channels);
  const turned = new Float32Array(data.length);
  for (let n = 0, at = 0; n < batch; n++)
    for (let c = 0; c < channels; c++)
      for (let v = 0; v < voxels; v++)
        turned[(n * voxels + v) * channels + c] = data[at++] as number;
  return turned;
}

await serve<OnnxTensor>({
  run: async () => (await session.run({ [input]: x }))[output] as OnnxTensor,
  distance(y, file) {
    const ours = new Float32Array(new Uint8Array(file).buffer);
    return relativeError(channelsLast(y), ours);
  },
});
