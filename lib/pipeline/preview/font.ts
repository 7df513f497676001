/**
 * The preview's letters: a proportional bitmap font drawn for renvox, 5 columns by 9 rows (7 above the baseline).
 * A glyph is nine digits in base 32, one a row, the highest bit leftmost; missing rows are empty.
 */
const GLYPHS: Readonly<Record<string, string>> = {
  A: 'ehhvhhh',
  B: 'uhhuhhu',
  C: 'ehggghe',
  D: 'uhhhhhu',
  E: 'vgguggv',
  F: 'vgguggg',
  G: 'ehgnhhf',
  H: 'hhhvhhh',
  I: 'e44444e',
  J: '72222ic',
  K: 'hikokih',
  L: 'ggggggv',
  M: 'hrllhhh',
  N: 'hhpljhh',
  O: 'ehhhhhe',
  P: 'uhhuggg',
  Q: 'ehhhlid',
  R: 'uhhukih',
  S: 'fgge11u',
  T: 'v444444',
  U: 'hhhhhhe',
  V: 'hhhhha4',
  W: 'hhhllla',
  X: 'hha4ahh',
  Y: 'hhha444',
  Z: 'v1248gv',
  a: '00e1fhf',
  b: 'ggmphhu',
  c: '00eggge',
  d: '11djhhf',
  e: '00ehvge',
  f: '698s888',
  g: '00fhhhf1e',
  h: 'ggmphhh',
  i: '40c444e',
  j: '2062222ic',
  k: 'ggikoki',
  l: 'c44444e',
  m: '00qllll',
  n: '00mphhh',
  o: '00ehhhe',
  p: '00uhhhugg',
  q: '00fhhhf11',
  r: '00mpggg',
  s: '00fge1u',
  t: '88s8896',
  u: '00hhhjd',
  v: '00hhha4',
  w: '00hhlla',
  x: '00ha4ah',
  y: '00hhhhf1e',
  z: '00v248v',
  0: 'ehjlphe',
  1: '4c4444e',
  2: 'eh1248v',
  3: 'v2421he',
  4: '26aiv22',
  5: 'vgu11he',
  6: '68guhhe',
  7: 'v124888',
  8: 'ehhehhe',
  9: 'ehhf12c',
  '.': '00000cc',
  ',': '00000cc48',
  ':': '0cc0cc0',
  '-': '000v000',
  _: '0000000v',
  '+': '044v440',
  '/': '11248gg',
  '(': '2488842',
  ')': '8422248',
  '%': 'op248j3',
  '=': '00v0v00',
  "'": '448',
  '·': '000cc00',
  '?': 'eh12404',
  '!': '4444404',
};
const UNKNOWN = 'vhhhhhv';

/** Rows of a glyph cell, and how many of them stand on or above the baseline. */
export const FONT_ROWS = 9;
export const FONT_ASCENT = 7;
const COLUMNS = 5;
const SPACE = 3;

/** One letter as drawn: rows of 0 or 1, without empty columns on its sides. */
export interface Glyph {
  readonly columns: number;
  /** FONT_ROWS x columns. */
  readonly ink: Uint8Array;
}

const cache = new Map<string, Glyph>();

/** The glyph of a character; a box for one that the font lacks. */
export function glyphOf(character: string): Glyph {
  const known = cache.get(character);
  if (known !== undefined) return known;
  const glyph =
    character === ' '
      ? { columns: SPACE, ink: new Uint8Array(SPACE * FONT_ROWS) }
      : unpack(character);
  cache.set(character, glyph);
  return glyph;
}

/** Width of a text in font units, one unit between letters. */
export function textUnits(text: string): number {
  let units = 0;
  for (const character of text) units += glyphOf(character).columns + 1;
  return Math.max(0, units - 1);
}

function unpack(character: string): Glyph {
  const rows = [...(GLYPHS[character] ?? UNKNOWN)].map((digit) => Number.parseInt(digit, 32));
  const used = rows.reduce((all, row) => all | row, 0);
  const bit = (row: number, column: number): number =>
    ((rows[row] ?? 0) >> (COLUMNS - 1 - column)) & 1;
  const filled = [0, 1, 2, 3, 4].filter((column) => (used >> (COLUMNS - 1 - column)) & 1);
  const [first = 0, last = 0] = [filled[0], filled.at(-1)];
  const columns = last - first + 1;
  const ink = new Uint8Array(FONT_ROWS * columns);
  for (let row = 0; row < FONT_ROWS; row++) {
    for (let column = 0; column < columns; column++) {
      ink[row * columns + column] = bit(row, first + column);
    }
  }
  return { columns, ink };
}
