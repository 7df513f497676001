/** Child of analyze.bench.ts: one analysis in a fresh process, as the command line makes it, with the time of each part. */
const origin = performance.now();
const { analyze, device, readVolume, threads } = await import('renvox');
const { loadCascade } = await import('renvox/pipeline');
const { serve } = await import('../serve.js');

const [path, count] = process.argv.slice(2) as [string, string];
threads(Number(count));
const imported = (performance.now() - origin) / 1000;
const parts: Record<string, number> = {};

async function timed<T>(name: string, body: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  const result = await body();
  parts[name] = (performance.now() - begin) / 1000;
  return result;
}

await serve({
  async run() {
    const cpu = device('cpu');
    const ct = await timed('read', () => readVolume(path));
    const networks = await timed('weights', () => loadCascade(cpu));
    const finding = await timed('analyze', () => analyze(ct, { device: cpu, weights: networks }));
    return { finding, ct, peak: cpu.memory.peak };
  },
  values: ({ finding, ct, peak }) => {
    const { total, ...stages } = finding.timings;
    const named = Object.values(stages).reduce((sum, seconds) => sum + seconds, 0);
    const answer = {
      imported,
      parts: { ...parts, ...stages, results: total - named },
      ct_mb: ct.data.byteLength / 2 ** 20,
      device_peak_mb: peak / 2 ** 20,
      kidney_voxels: finding.kidneys.left.voxels + finding.kidneys.right.voxels,
      masses: finding.masses.length,
    };
    return new TextEncoder().encode(JSON.stringify(answer));
  },
});

export {};
