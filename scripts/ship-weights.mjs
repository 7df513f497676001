// `node scripts/ship-weights.mjs RUN.safetensors NAME [LEAD SHARE [BELOW LEAD SHARE]]`: writes weights/NAME.safetensors in 16-bit floats, with the belief that was
// chosen on phantoms (a lead of the logit, and the share of a component that must have it; and those in CTs that cover fewer than BELOW mm) in its
// preprocessing; prints what the card needs.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { device } from '../dist/index.js';
import { loadNetwork, saveNetwork } from '../dist/nn/index.js';

const [from, name, ...chosen] = process.argv.slice(2);
const [lead, share, below, thinLead, thinShare] = chosen.map(Number);
const cpu = device('cpu');
const { network, metadata } = await loadNetwork(from, { device: cpu });
const { belief: _, ...preprocessing } = metadata.preprocessing;
const thin = below === undefined ? {} : { thin: { below, lead: thinLead, share: thinShare } };
const belief = lead === undefined ? {} : { belief: { lead, share, ...thin } };
const to = new URL(`../weights/${name}.safetensors`, import.meta.url).pathname;
await saveNetwork(
  to,
  network,
  { ...metadata, preprocessing: { ...preprocessing, ...belief } },
  { dtype: 'f16' },
);
const bytes = await readFile(to);
console.log(
  `${to}: ${bytes.length} bytes, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}`,
);
console.log(`${network.parameterCount} values, ${JSON.stringify({ ...preprocessing, ...belief })}`);
cpu.dispose();
