// The shipped networks on phantoms of seeds that no training used: bars far below what `npm run measure` prints, so that a broken stage fails here.
import { analyze, device } from 'renvox';
import { phantom } from 'renvox/phantom';
import { loadCascade } from 'renvox/pipeline';
import { fixedGrid } from 'renvox/volume';
import t from 'tap';

t.test('kidneys and masses of ten phantoms', async (t) => {
  using cpu = device('cpu');
  const networks = await loadCascade(cpu);
  const dice: number[] = [];
  let large = 0;
  let found = 0;
  for (let seed = 32000000; seed < 32000010; seed++) {
    const grid = fixedGrid({ shape: [120, 110, 140], spacing: [2.5, 2.6, 2.6], centre: [0, 0, 0] });
    const p = await phantom(seed, { device: cpu, grid });
    const { labels } = await analyze(p.ct, { device: cpu, weights: networks });
    for (const own of [1, 2]) {
      let [truth, prediction, both] = [0, 0, 0];
      for (let i = 0; i < labels.data.length; i++) {
        const a = p.labels.data[i] === own;
        const b = labels.data[i] === own;
        if (a) truth++;
        if (b) prediction++;
        if (a && b) both++;
      }
      if (truth > 500) dice.push((2 * both) / (truth + prediction));
    }
    for (const mass of p.masses) {
      if (mass.averageDiameterMm < 10) continue;
      large++;
      if (p.instances.data.some((id, i) => id === mass.id && (labels.data[i] as number) >= 3))
        found++;
    }
  }
  const mean = dice.reduce((a, b) => a + b, 0) / dice.length;
  t.ok(
    mean >= 0.75,
    `kidneys without their masses: mean Dice ${mean.toFixed(3)} of ${dice.length}`,
  );
  t.ok(found >= 0.6 * large, `masses of at least 10 mm: ${found} of ${large} found`);
  networks.dispose();
});
