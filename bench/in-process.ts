/**
 * Cases that run in the bench's own process, since their memory is not asked for: operations on tensors that are on the device. A sample is a batch of
 * calls that is much longer than the way to the device and back; its time is of one call.
 */
import { type Device, type Tensor, threads } from 'renvox';
import { CeilingSamples } from './ceilings.js';
import type { Contestant } from './contest.js';
import { type Ceiling, type Measured, type Row, rowOf, type Turn } from './row.js';
import { BATCH, orderOf, sampled } from './sampling.js';

/** Enqueues one call and returns what it makes. */
export type Call = () => readonly (Tensor | null | undefined)[];

async function batch(device: Device, call: Call, calls: number): Promise<Turn> {
  const before = process.cpuUsage();
  const begin = performance.now();
  for (let i = 0; i < calls; i++) for (const tensor of call()) tensor?.dispose();
  await device.drain();
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds: seconds / calls, cpu: (user + system) / 1e6 / calls };
}

/** Samples calls in turn, each round beginning with the next of them, with the ceilings and, where there is one, a peer. */
export async function takeTurns(
  device: Device,
  calls: readonly Call[],
  options: { samples: number; ceilings: readonly Ceiling['kind'][]; peer?: Contestant | undefined },
): Promise<{ turns: Turn[][]; ceilings: Ceiling[] }> {
  const { samples, peer } = options;
  const sizes: number[] = [];
  for (const call of calls) {
    // The first call touches fresh memory and transforms weights, the second tells how long one takes.
    await batch(device, call, 1);
    const { seconds } = await batch(device, call, 1);
    sizes.push(Math.max(1, Math.min(BATCH.calls, Math.round(BATCH.seconds / seconds))));
  }
  const turns: Turn[][] = calls.map(() => []);
  const ceilings = options.ceilings.map((kind) => new CeilingSamples(kind));
  let round = 0;
  await sampled(
    async () => {
      for (const c of ceilings) await c.sample();
      for (const k of orderOf(calls.length, round++))
        turns[k]?.push(await batch(device, calls[k] as Call, sizes[k] as number));
      await peer?.turn();
    },
    { samples },
  );
  return { turns, ceilings: ceilings.flatMap((c) => c.ceilings) };
}

/** A case of one call, without a peer, that memory binds. */
export async function measureHere(
  device: Device,
  c: Pick<Measured, 'name' | 'why' | 'more'> & {
    readonly bytes: number;
    /** The ceiling: `read` for what writes little. Default copy. */
    readonly memory?: 'read' | 'copy' | undefined;
    readonly call: Call;
  },
  { samples }: { samples: number },
): Promise<Row> {
  const { turns, ceilings } = await takeTurns(device, [c.call], {
    samples,
    ceilings: [c.memory ?? 'copy'],
  });
  const own = { turns: turns[0] as Turn[], rssMb: null };
  const { name, why, bytes, more } = c;
  return rowOf({ name, why, bytes, more, threads: threads(), own, ceilings });
}
