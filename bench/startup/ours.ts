/** Child of startup.bench.ts: how long the package takes to import, and then the addon to load, in a fresh process. */
const begin = performance.now();
const before = process.cpuUsage();
await import('renvox');
const imported = performance.now();
const between = process.cpuUsage(before);
const { native } = await import('#lib/native.js');
const reached = performance.now();
const cpu = process.cpuUsage();
native();
const loaded = performance.now();
const after = process.cpuUsage(cpu);
const turn = (ms: number, { user, system }: NodeJS.CpuUsage) => ({
  seconds: ms / 1000,
  cpu: (user + system) / 1e6,
});
console.log(
  JSON.stringify({
    import: turn(imported - begin, between),
    addon: turn(loaded - reached, after),
    rss_mb: process.memoryUsage().rss / 2 ** 20,
  }),
);

export {};
