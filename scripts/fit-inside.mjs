// `node scripts/fit-inside.mjs FROM.safetensors CHANNELS HIDDEN SAMPLES EPOCHS SEED TO.safetensors`: the ResNet of a classifier's weights file with the
// branch that tells the inside of the mask (`inside` of its configuration) and a head of HIDDEN units that is fitted to both. Stages and branch stay as
// they are, so that what the head reads is made once for each of SAMPLES phantoms (as the file's preset has them, of seeds of their own), and the head
// learns from it in EPOCHS passes: dropout 0.3, AdamW 0.002 falling to 0, decay 0.001, 64 masses a step.
import { gradients } from '../dist/autograd/index.js';
import { device } from '../dist/index.js';
import { loadNetwork, ResNet3D, saveNetwork } from '../dist/nn/index.js';
import { adam, crossEntropy, dropout, linear, relu, stack } from '../dist/ops/index.js';
import { Random } from '../dist/phantom/random.js';
import { scope } from '../dist/scope.js';
import { download } from '../dist/tensor.js';
import { phantomSampler, trainingSeed } from '../dist/train/index.js';

const [from, ...rest] = process.argv.slice(2);
const [channels, units, samples, epochs, seed] = rest.slice(0, 5).map(Number);
const to = rest[5];
const BATCH = 64;
/** Drawn and looked at together: each pair of class and phase once. */
const DRAWN = 12;
const DROPOUT = 0.3;
const RATE = 0.002;
const DECAY = 0.001;

const cpu = device('cpu');
const { network: old, metadata, sha256 } = await loadNetwork(from, { device: cpu });
const { preset } = metadata.training;
const config = { ...old.config, inside: channels, hidden: units };
const network = new ResNet3D(config, { device: cpu, seed });
const stages = [...old.tensors].filter(([name]) => !/^(head|inside)\./.test(name));
network.load(new Map([...network.tensors, ...stages]));

const { rows, classes, width } = await drawn();
const { mean, deviation } = standardise(rows, width);
await fit();
await saveNetwork(to, network, {
  preprocessing: metadata.preprocessing,
  training: {
    ...metadata.training,
    validation: undefined,
    head: { from: sha256, channels, units, samples, epochs, seed },
  },
});
cpu.dispose();

/** What the head will read of each sample, and its class. */
async function drawn() {
  const sampler = phantomSampler(preset);
  const classes = new Int32Array(samples);
  let rows;
  let width = 0;
  for (let at = 0; at < samples; at += DRAWN) {
    const count = Math.min(DRAWN, samples - at);
    await scope(async () => {
      const made = Array.from({ length: count }, (_, k) =>
        sampler.training(cpu, trainingSeed(seed, 0, at + k, samples)),
      );
      const pooled = network.pooled(stack(made.map(({ image }) => image)));
      const [values, ...targets] = await download([pooled, ...made.map(({ target }) => target)]);
      width = pooled.shape[1];
      rows ??= new Float32Array(samples * width);
      rows.set(values, at * width);
      classes.set(
        targets.map(([c]) => c),
        at,
      );
    });
    if ((at / DRAWN) % 100 === 0) console.error(`${at} of ${samples} drawn`);
  }
  return { rows, classes, width };
}

/** Takes off each column's mean and divides by its deviation, in place. */
function standardise(rows, width) {
  const count = rows.length / width;
  const [mean, deviation] = [new Float64Array(width), new Float64Array(width)];
  for (let i = 0; i < rows.length; i++) mean[i % width] += rows[i] / count;
  for (let i = 0; i < rows.length; i++) deviation[i % width] += (rows[i] - mean[i % width]) ** 2;
  for (let c = 0; c < width; c++) deviation[c] = Math.sqrt(deviation[c] / count) + 1e-4;
  for (let i = 0; i < rows.length; i++)
    rows[i] = (rows[i] - mean[i % width]) / deviation[i % width];
  return { mean, deviation };
}

/** Fits the head to the standardised rows, and gives it to the network for rows as they are. */
async function fit() {
  const names = ['head.0.weight', 'head.0.bias', 'head.2.weight', 'head.2.bias'];
  const start = await download(names.map((name) => network.tensor(name)));
  const shapes = names.map((name) => network.tensor(name).shape);
  const parameters = start.map((values, i) => cpu.tensor(values, { shape: shapes[i] }));
  const [first, second] = [0, 1].map(() => shapes.map((shape) => cpu.full(shape, 0)));
  const perEpoch = Math.floor(samples / BATCH);
  const order = Array.from({ length: samples }, (_, i) => i);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const r = new Random(seed, `epoch ${epoch}`);
    for (let i = samples - 1; i > 0; i--) {
      const j = r.integer(0, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    let sum = 0;
    for (let k = 0; k < perEpoch; k++) {
      const step = epoch * perEpoch + k;
      const chosen = order.slice(k * BATCH, (k + 1) * BATCH);
      const x = new Float32Array(BATCH * width);
      chosen.forEach((i, row) => {
        x.set(rows.subarray(i * width, (i + 1) * width), row * width);
      });
      const loss = scope(() => {
        const input = cpu.tensor(x, { shape: [BATCH, width] });
        const target = cpu.tensor(Int32Array.from(chosen, (i) => classes[i]));
        const [w1, b1, w2, b2] = parameters;
        const { value, gradients: made } = gradients(() => {
          const hidden = relu(linear(input, w1, b1));
          const kept = dropout(hidden, DROPOUT, { seed, offset: step });
          return crossEntropy(linear(kept, w2, b2), target);
        }, parameters);
        const lr = RATE * (1 - step / (epochs * perEpoch));
        adam(parameters, made, first, second, {
          ...{ lr, step: step + 1, weightDecay: DECAY, decoupled: true },
        });
        return value;
      });
      if (k === perEpoch - 1) [sum] = await loss.data();
      loss.dispose();
    }
    console.error(`epoch ${epoch + 1} of ${epochs}, last loss ${sum.toFixed(3)}`);
  }
  // w ((x - mean) / deviation) + b = (w / deviation) x + (b - w mean / deviation)
  const [w1, b1, w2, b2] = await download(parameters);
  const weight = w1.map((w, i) => w / deviation[i % width]);
  const bias = b1.map((b, o) => {
    let shift = 0;
    for (let c = 0; c < width; c++) shift += (w1[o * width + c] * mean[c]) / deviation[c];
    return b - shift;
  });
  const fitted = [weight, bias, w2, b2].map((values, i) => [
    names[i],
    cpu.tensor(values, { shape: shapes[i] }),
  ]);
  network.load(new Map([...network.tensors, ...fitted]));
}
