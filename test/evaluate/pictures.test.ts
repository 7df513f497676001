// Pictures of the worst: what is drawn, where, over what; and that the same input gives the same bytes of every file.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { evaluateCohort, SCHEMES } from 'renvox/evaluate';
import { Volume } from 'renvox/volume';
import t from 'tap';
import { AFFINE, type Box, folders, LEFT, labelMap, RIGHT, SHAPE } from './boxes.js';

const MASS: Box = [4, 8, 6, 10, 29, 33];
const TRUTH: [number, Box][] = [
  [1, LEFT],
  [1, RIGHT],
  [2, MASS],
];

/** Pixels of a PNG that `encodePng` wrote: width, height, RGB. */
function decode(png: Buffer) {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(png.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * 3;
  const rgb = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < stride; x++) {
      const left = x < 3 ? 0 : (rgb[y * stride + x - 3] as number);
      const up = y === 0 ? 0 : (rgb[(y - 1) * stride + x] as number);
      const corner = x < 3 || y === 0 ? 0 : (rgb[(y - 1) * stride + x - 3] as number);
      const p = left + up - corner;
      const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      const predicted = [0, left, up, (left + up) >> 1, paeth][raw[y * (stride + 1)] as number];
      rgb[y * stride + x] = (raw[y * (stride + 1) + 1 + x] as number) + (predicted as number);
    }
  return { width, height, rgb };
}

/** Mean place of the pixels of a colour, and how many there are. */
function find({ width, rgb }: ReturnType<typeof decode>, colour: number[], right: boolean) {
  let [n, x, y] = [0, 0, 0];
  for (let at = 0; at < rgb.length; at += 3) {
    const column = (at / 3) % width;
    const row = Math.floor(at / 3 / width);
    // The words below are drawn in the same colours.
    if (column > width / 2 !== right || row > 320 || row < 20) continue;
    if (!colour.every((v, k) => rgb[at + k] === v)) continue;
    n++;
    x += column;
    y += row;
  }
  return { n, x: x / n, y: y / n };
}

const GREEN = [90, 255, 110];
const PINK = [255, 110, 235];

t.test('the slice of greatest disagreement, truth beside prediction, over the CT', async (t) =>
  folders(async (root) => {
    await mkdir(join(root, 'images'));
    await labelMap(TRUTH).write(join(root, 'truth', 'a.nii.gz'));
    // Only the mass's lowest slice was found, and half of it.
    await labelMap([
      [1, LEFT],
      [1, RIGHT],
      [2, [4, 5, 6, 10, 29, 31]],
    ]).write(join(root, 'prediction', 'a.nii.gz'));
    const hu = Int16Array.from({ length: SHAPE[0] * SHAPE[1] * SHAPE[2] }, () => 140);
    const ct = new Volume({ data: hu, shape: SHAPE, affine: AFFINE });
    await ct.write(join(root, 'images', 'a_0000.nii.gz'));
    await labelMap(TRUTH).write(join(root, 'truth', 'b.nii.gz'));
    await labelMap(TRUTH.slice(0, 1)).write(join(root, 'prediction', 'b.nii.gz'));
    const moved = [...AFFINE];
    moved[3] = 50;
    await new Volume({ data: hu, shape: SHAPE, affine: moved }).write(
      join(root, 'images', 'b.nii.gz'),
    );
    await labelMap(TRUTH.slice(0, 2)).write(join(root, 'truth', 'c.nii.gz'));
    await labelMap([]).write(join(root, 'prediction', 'c.nii.gz'));
    await writeFile(join(root, 'images', 'c.nii.gz'), 'torn');
    const run = (out: string, more: object = {}) =>
      evaluateCohort(join(root, out), {
        ...{ truth: join(root, 'truth'), prediction: join(root, 'prediction') },
        ...{ images: join(root, 'images'), labels: SCHEMES.kits, replicates: 20, pictures: 6 },
        ...more,
      });
    await run('out');
    const names = (await readdir(join(root, 'out', 'worst'))).sort();
    t.same(names, [
      'kidney-01-b-right.png',
      'kidney-02-c-left.png',
      'kidney-03-c-right.png',
      'mass-01-b.png',
      'mass-02-a.png',
    ]);
    const picture = async (name: string) => decode(await readFile(join(root, 'out/worst', name)));
    const found = await picture('mass-02-a.png');
    t.same([found.width, found.height], [644, 340]);
    const truth = find(found, GREEN, false);
    // The mass is in the middle of the picture; on its worst slice nothing was predicted of it.
    t.ok(
      truth.n > 50 && Math.abs(truth.x - 160) < 2 && Math.abs(truth.y - 180) < 2,
      JSON.stringify(truth),
    );
    t.equal(find(found, PINK, true).n, 0);
    // 140 HU in a window of 400 about 40: three quarters of white, in the picture's middle.
    const middle = (180 * found.width + 160) * 3;
    t.same([...found.rgb.subarray(middle, middle + 3)], [191, 191, 191]);
    // Without a CT on its grid the masses of the label maps are grey.
    const grey = await picture('mass-01-b.png');
    t.same([...grey.rgb.subarray(middle, middle + 3)], [120, 120, 120]);
    const html = await readFile(join(root, 'out/report.html'), 'utf8');
    t.equal(html.match(/<img /g)?.length, 5);
    t.match(html, /called -; its CT lies on another grid/);
    t.match(html, /Dice 0.000; its CT cannot be read/);
    await run('out', { resume: true, pictures: 1 });
    t.same((await readdir(join(root, 'out', 'worst'))).sort(), [
      'kidney-01-b-right.png',
      'mass-01-b.png',
    ]);
    await t.rejects(run('bad', { pictures: -1 }), { code: 'InvalidArgument' });
    await t.rejects(run('bad', { images: join(root, 'nowhere') }), { code: 'FileNotFound' });
  }),
);

t.test('the same input gives the same bytes', async (t) =>
  folders(async (root) => {
    for (let k = 0; k < 5; k++) {
      await labelMap(TRUTH).write(join(root, 'truth', `c${k}.nii.gz`));
      await labelMap([...TRUTH.slice(0, 2), [k % 2 ? 2 : 3, [4, 8, 6, 10 - k, 29, 33]]]).write(
        join(root, 'prediction', `c${k}.nii.gz`),
      );
    }
    const contents = async (folder: string) => {
      const found: Record<string, string> = {};
      for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }))
        if (entry.isFile()) {
          const path = join(entry.parentPath, entry.name);
          found[path.slice(folder.length)] = (await readFile(path)).toString('base64');
        }
      return found;
    };
    const runs = [];
    for (const out of ['one', 'two']) {
      await evaluateCohort(join(root, out), {
        ...{ truth: join(root, 'truth'), prediction: join(root, 'prediction') },
        ...{ protocol: 'kits23', replicates: 50 },
      });
      runs.push(await contents(join(root, out)));
    }
    const [one = {}, two = {}] = runs;
    t.ok(Object.keys(one).length >= 11, `${Object.keys(one).length} files`);
    t.same(Object.keys(one).sort(), Object.keys(two).sort());
    for (const [name, bytes] of Object.entries(one)) t.equal(two[name] === bytes, true, name);
  }),
);
