/** An RGB picture to draw on: rectangles, discs, single pixels and text. */
import { FONT_ASCENT, FONT_ROWS, glyphOf, textUnits } from './font.js';

/** Red, green, blue, 0 to 255. */
export type Colour = readonly [number, number, number];

/** How a text is set. */
export interface TextStyle {
  colour: Colour;
  /** Pixels of one font unit; capitals are 7 units high. */
  size: number;
  /** Which part of the text stands at x. Default 'left'. */
  align?: 'left' | 'centre' | 'right';
}

/** Sub-pixels a side where an edge is smoothed. */
const SUB = 3;

/** A picture in RGB that lines, boxes and text are drawn on. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  /** Three bytes a pixel, rows from the top. */
  readonly rgb: Uint8Array;

  constructor(width: number, height: number, background: Colour) {
    this.width = width;
    this.height = height;
    this.rgb = new Uint8Array(width * height * 3);
    this.rectangle(0, 0, width, height, background);
  }

  /** Blends `colour` over a pixel; alpha 0 to 1. Outside of the picture nothing happens. */
  blend(x: number, y: number, colour: Colour, alpha: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * 3;
    for (let channel = 0; channel < 3; channel++) {
      const under = this.rgb[at + channel] as number;
      this.rgb[at + channel] = Math.round(under + ((colour[channel] as number) - under) * alpha);
    }
  }

  /** Puts a grey picture, one byte a pixel, which lies inside of this one. */
  grey(x: number, y: number, width: number, values: Uint8Array): void {
    for (let k = 0; k < values.length; k++) {
      const at = ((y + Math.floor(k / width)) * this.width + x + (k % width)) * 3;
      const value = values[k] as number;
      this.rgb[at] = value;
      this.rgb[at + 1] = value;
      this.rgb[at + 2] = value;
    }
  }

  /** Fills a rectangle, which lies inside of the picture. */
  rectangle(x: number, y: number, width: number, height: number, colour: Colour): void {
    const line = new Uint8Array(width * 3);
    for (let k = 0; k < line.length; k++) line[k] = colour[k % 3] as number;
    for (let row = y; row < y + height; row++) this.rgb.set(line, (row * this.width + x) * 3);
  }

  /** Darkens a rectangle, 0 not at all to 1 black, so that text on it can be read. */
  shade(x: number, y: number, width: number, height: number, alpha: number): void {
    for (let row = y; row < y + height; row++) {
      for (let column = x; column < x + width; column++) this.blend(column, row, [0, 0, 0], alpha);
    }
  }

  /** A frame one pixel thick, inside of the rectangle. */
  frame(x: number, y: number, width: number, height: number, colour: Colour): void {
    this.rectangle(x, y, width, 1, colour);
    this.rectangle(x, y + height - 1, width, 1, colour);
    this.rectangle(x, y, 1, height, colour);
    this.rectangle(x + width - 1, y, 1, height, colour);
  }

  /** A ring or, with `inner` 0, a disc, with smooth edges. Radii in pixels. */
  ring(x: number, y: number, outer: number, inner: number, colour: Colour): void {
    for (let row = Math.floor(y - outer); row <= y + outer; row++) {
      for (let column = Math.floor(x - outer); column <= x + outer; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const alpha = ramp(outer - distance + 0.5) * ramp(distance - inner + 0.5);
        if (alpha > 0) this.blend(column, row, colour, alpha);
      }
    }
  }

  /** Text with its baseline at `y`. Returns the x where it ends. */
  text(text: string, x: number, y: number, { colour, size, align = 'left' }: TextStyle): number {
    const width = textUnits(text) * size;
    let left = align === 'left' ? x : align === 'right' ? x - width : x - width / 2;
    left = Math.round(left);
    const end = left + width;
    for (const character of text) {
      const { columns, ink } = glyphOf(character);
      this.#glyph(ink, columns, left, y - FONT_ASCENT * size, size, colour);
      left += (columns + 1) * size;
    }
    return end;
  }

  /** The bitmap, interpolated between its dots and cut at half: corners become round at any size. */
  #glyph(ink: Uint8Array, columns: number, x: number, y: number, size: number, c: Colour): void {
    const dot = (column: number, row: number): number =>
      column < 0 || row < 0 || column >= columns || row >= FONT_ROWS
        ? 0
        : (ink[row * columns + column] as number);
    const inside = (u: number, v: number): number => {
      const [column, row] = [Math.floor(u), Math.floor(v)];
      const [a, b] = [u - column, v - row];
      const top = dot(column, row) * (1 - a) + dot(column + 1, row) * a;
      const bottom = dot(column, row + 1) * (1 - a) + dot(column + 1, row + 1) * a;
      return top * (1 - b) + bottom * b > 0.4 ? 1 : 0;
    };
    for (let row = -1; row <= FONT_ROWS * size; row++) {
      for (let column = -1; column <= columns * size; column++) {
        let covered = 0;
        for (let k = 0; k < SUB * SUB; k++) {
          const u = (column + ((k % SUB) + 0.5) / SUB) / size - 0.5;
          const v = (row + (Math.floor(k / SUB) + 0.5) / SUB) / size - 0.5;
          covered += inside(u, v);
        }
        if (covered > 0) this.blend(x + column, Math.round(y) + row, c, covered / (SUB * SUB));
      }
    }
  }
}

function ramp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
