/**
 * The study's U-Net (16 to 256 channels, two classes) over a volume of 128^3 against onnxruntime-node, in processes of their own: time of a
 * forward pass, share of the multiply-add peak (above 1: Winograd needs fewer multiplications than the definition), and the most memory.
 */
import { measureNetwork, type NetworkCase } from './networks/versus-onnxruntime.js';
import type { BenchOptions, Row } from './row.js';

const config = { inputChannels: 1, classes: 2, channels: [16, 32, 64, 128, 256] };
const size = [128, 128, 128] as const;
const CASES: readonly NetworkCase[] = [
  {
    name: 'unet/128^3 16..256 instance norm',
    why: "the study's network and volume, by the plan for inference",
    architecture: { kind: 'unet3d', config },
    size,
    goal: { ratio: 0.25, rss: 0.5 },
  },
  {
    name: 'unet/128^3 16..256 batch norm folded',
    why: 'no statistics to wait for: the peer has the norm folded into its convolutions, ours applies it on load',
    architecture: { kind: 'unet3d', config: { ...config, norm: 'batch' } },
    size,
    goal: { ratio: 0.25, rss: 0.5 },
  },
  {
    name: 'unet/128^3 16..256 instance norm, recorded',
    why: 'the forward pass of training: norms are applied on load here too, but every tensor is held for the gradient, and pools keep indices',
    architecture: { kind: 'unet3d', config },
    size,
    form: 'recorded',
    goal: {},
  },
];

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  for (const c of CASES)
    yield* measureNetwork(c, c.form === 'recorded' ? { ...options, peer: 'none' } : options);
}
