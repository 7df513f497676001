/**
 * Child of startup.bench.ts: how long the package takes to import, and then the addon to load and to say whether there is a GPU, in a
 * fresh process; with the argument `worker` in a worker thread of one, whose main thread loads nothing.
 */
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

if (isMainThread && process.argv[2] === 'worker') {
  const worker = new Worker(fileURLToPath(import.meta.url));
  worker.on('message', (text: string) => console.log(text));
} else {
  const begin = performance.now();
  const before = process.cpuUsage();
  await import('renvox');
  const imported = performance.now();
  const between = process.cpuUsage(before);
  const { native } = await import('#lib/native.js');
  const reached = performance.now();
  const cpu = process.cpuUsage();
  const addon = native();
  const loaded = performance.now();
  const after = process.cpuUsage(cpu);
  const gpu = addon.cudaReason() || 'there is a GPU';
  const asked = performance.now();
  const all = process.cpuUsage(cpu);
  const turn = (ms: number, { user, system }: NodeJS.CpuUsage) => ({
    seconds: ms / 1000,
    cpu: (user + system) / 1e6,
  });
  const text = JSON.stringify({
    import: turn(imported - begin, between),
    addon: turn(loaded - reached, after),
    asked: turn(asked - reached, all),
    gpu,
    rss_mb: process.memoryUsage().rss / 2 ** 20,
  });
  if (parentPort) parentPort.postMessage(text);
  else console.log(text);
}
