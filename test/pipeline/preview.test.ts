import { fixedGrid, reorient, toIndex, volumeOnGrid } from 'renvox/volume';
import t from 'tap';
import { drawPreview, type PreviewMass, previewPng } from '#lib/pipeline/preview.js';

const CYAN = [61, 214, 224];
const GREEN = [155, 229, 100];
const AMBER = [255, 183, 3];
const RED = [255, 82, 96];

/** A body with two kidneys, an AML in the left one and a solid mass in the right one, in LPS. */
function patient() {
  const grid = fixedGrid({ shape: [30, 60, 80], spacing: [5, 4, 4], centre: [0, 0, 0] });
  const [D, H, W] = grid.shape;
  const hu = new Int16Array(D * H * W).fill(-1000);
  const labels = new Uint8Array(hu.length);
  const balls: [number, number, number, number, number, number][] = [
    // x, y, z in LPS mm, radius, label, HU
    [70, 40, 0, 35, 1, 150],
    [-70, 40, 10, 35, 2, 150],
    [70, 40, -20, 12, 3, -40],
    [-70, 40, 10, 15, 5, 60],
  ];
  for (let d = 0; d < D; d++) {
    for (let h = 0; h < H; h++) {
      for (let w = 0; w < W; w++) {
        const at = (d * H + h) * W + w;
        const [x, y, z] = [(w - 39.5) * 4, (h - 29.5) * 4, (d - 14.5) * 5];
        if (Math.hypot(x / 140, y / 100) < 1) hu[at] = 40;
        for (const [a, b, c, radius, label, value] of balls) {
          if (Math.hypot(x - a, y - b, z - c) > radius) continue;
          labels[at] = label;
          hu[at] = value;
        }
      }
    }
  }
  const masses: PreviewMass[] = [
    { side: 'left', class: 'aml', averageDiameterMm: 24, centroidLpsMm: [70, 40, -20] },
    { side: 'right', class: 'solid', averageDiameterMm: 30, centroidLpsMm: [-70, 40, 10] },
  ];
  return { ct: volumeOnGrid(hu, grid), labels, masses, grid };
}

type Picture = ReturnType<typeof drawPreview>;

/** Columns of the pixels of a colour within a part of the picture. */
function columnsOf(
  { width, rgb }: Picture,
  colour: readonly number[],
  box: readonly number[],
): number[] {
  const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = box;
  const found: number[] = [];
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const at = (y * width + x) * 3;
      if (colour.every((value, channel) => rgb[at + channel] === value)) found.push(x);
    }
  }
  return found;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
// The two upper panels; see the layout's figures in preview.ts.
const AXIAL = [20, 70, 770, 620];
const CORONAL = [795, 70, 1540, 620];

t.test(
  "the patient's left is on the right side, in all orientations the same picture",
  async (t) => {
    const { ct, labels, masses } = patient();
    const picture = drawPreview(ct, labels, masses);
    for (const panel of [AXIAL, CORONAL]) {
      const left = columnsOf(picture, CYAN, panel);
      const right = columnsOf(picture, GREEN, panel);
      t.ok(
        left.length > 100 && right.length > 100,
        `${left.length} and ${right.length} pixels of line`,
      );
      t.ok(mean(left) > mean(right) + 100, 'the left kidney is drawn to the right');
    }
    t.ok(columnsOf(picture, RED, AXIAL).length > 50, 'the slice shows the mass in it');
    const below = [0, 640, picture.width, picture.height - 70];
    t.ok(columnsOf(picture, AMBER, below).length > 100, 'the AML from near');
    t.ok(picture.width <= 1600, `${picture.width} pixels wide`);
    const labelMap = ct.like(labels);
    for (const code of ['RAS', 'LAS', 'IPL', 'SRA', 'PIR', 'ALS']) {
      const turned = drawPreview(
        reorient(ct, code),
        reorient(labelMap, code).data as Uint8Array,
        masses,
      );
      t.ok(Buffer.from(turned.rgb).equals(picture.rgb), code);
    }
  },
);

t.test('square pixels: a ball is as wide as high in both planes', async (t) => {
  const { ct, labels, masses } = patient();
  const picture = drawPreview(ct, labels, masses.slice(1));
  const top = 680;
  for (const [x0, x1] of [
    [18, 400],
    [402, 784],
  ] as const) {
    const box = [x0, top, x1, picture.height - 110];
    const columns = columnsOf(picture, RED, box);
    const wide = Math.max(...columns) - Math.min(...columns);
    let [low, high] = [picture.height, 0];
    for (let y = top; y < picture.height - 110; y++) {
      if (columnsOf(picture, RED, [x0, y, x1, y + 1]).length === 0) continue;
      low = Math.min(low, y);
      high = Math.max(high, y);
    }
    t.ok(Math.abs(wide / (high - low) - 1) < 0.15, `${wide} wide, ${high - low} high`);
  }
});

t.test('stored values are scaled, and what is no number is black', async (t) => {
  const { ct, labels, masses } = patient();
  const stored = Float32Array.from(ct.data, (hu) => (hu === -1000 ? Number.NaN : (hu + 1024) / 2));
  const { Volume } = await import('renvox/volume');
  const scaled = new Volume({
    data: stored,
    shape: ct.shape,
    affine: ct.affine,
    slope: 2,
    inter: -1024,
  });
  const a = drawPreview(ct, labels, masses);
  const b = drawPreview(scaled, labels, masses);
  t.equal(b.height, a.height);
  let different = 0;
  for (let k = 0; k < a.rgb.length; k++) if (a.rgb[k] !== b.rgb[k]) different++;
  t.ok(different / a.rgb.length < 0.03, `${different} bytes differ, at the rim of the body`);
});

t.test('nothing found, one kidney, many masses', async (t) => {
  const { ct, labels, masses, grid } = patient();
  const none = drawPreview(ct, new Uint8Array(labels.length), []);
  t.equal(columnsOf(none, CYAN, AXIAL).length, 0);
  const one = drawPreview(
    ct,
    labels.map((label) => (label === 1 ? 1 : 0)),
    [],
  );
  t.ok(columnsOf(one, CYAN, AXIAL).length > 100, 'its slice is chosen where there is only one');
  const mass = masses[0] as PreviewMass;
  const many = new Array<PreviewMass>(9).fill(mass);
  const outside: PreviewMass = { ...mass, side: null, centroidLpsMm: [900, 0, 0] };
  t.ok(toIndex(grid, outside.centroidLpsMm)[2] > 200);
  const heights = [0, 1, 3, 4, 6, 9].map((n) => drawPreview(ct, labels, many.slice(0, n)).height);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = heights;
  t.ok(a < b && c < d && d === e && e === f, `heights ${heights}: six at most`);
  t.doesNotThrow(() => drawPreview(ct, labels, [outside]), 'a centroid outside of the volume');
  t.ok(previewPng(ct, labels, masses).subarray(1, 4).equals(Buffer.from('PNG')));
  t.throws(() => drawPreview(ct, labels.subarray(1), []), { code: 'ShapeMismatch' });
});

t.test('thin volumes', async (t) => {
  for (const shape of [
    [1, 8, 8],
    [8, 1, 8],
    [8, 8, 1],
    [1, 1, 1],
  ] as const) {
    const grid = fixedGrid({ shape, spacing: [5, 1, 1], centre: [0, 0, 0] });
    const voxels = shape[0] * shape[1] * shape[2];
    const ct = volumeOnGrid(new Int16Array(voxels).fill(40), grid);
    t.doesNotThrow(() => drawPreview(ct, new Uint8Array(voxels).fill(1), []), shape.join('x'));
  }
});
