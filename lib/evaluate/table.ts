/** Tables of figures, as Markdown and as HTML. */
import type { ConventionName, Estimate } from '../metrics/index.js';

/** Figures with their intervals, by path. */
export type Figures = ReadonlyMap<string, Estimate>;

export interface Table {
  /** File name without extension and anchor, `detection-by-side`. */
  readonly id: string;
  readonly title: string;
  /** What the figures are, under the title. */
  readonly note: string;
  /** By which rules for empty masks its figures are; stated with every table. Default renvox. */
  readonly conventions?: ConventionName;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const INTERVAL = 'Values with 95 % intervals: percentile bootstrap by patient.';

/** Names of the sizes by average diameter. */
export const SIZE_NAMES = { overall: 'all sizes', lt5mm: '< 5 mm', ge5mm: '≥ 5 mm' } as const;

/** A number with so many digits, "n/a" where there is none. */
export function text(value: number | null | undefined, digits: number): string {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(digits) : 'n/a';
}

/** "0.676 (0.58 to 0.77)", "n/a" where there is none. `digits` of the value; the interval has one less. */
export function withInterval(estimate: Estimate | undefined, digits = 3): string {
  if (!estimate || Number.isNaN(estimate.value)) return 'n/a';
  const { value, low, high } = estimate;
  const interval = Number.isNaN(low)
    ? ''
    : ` (${low.toFixed(digits - 1)} to ${high.toFixed(digits - 1)})`;
  return `${value.toFixed(digits)}${interval}`;
}

/** "67.77 % (58.1 to 77.0)". */
export function percentWithInterval(estimate: Estimate | undefined): string {
  if (!estimate || Number.isNaN(estimate.value)) return 'n/a';
  const { value, low, high } = estimate;
  const interval = Number.isNaN(low)
    ? ''
    : ` (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`;
  return `${(100 * value).toFixed(2)} %${interval}`;
}

/** "p < 0.001", "p = 0.034", "n/a". */
export function pText(p: number): string {
  if (Number.isNaN(p)) return 'n/a';
  return p < 0.001 ? '< 0.001' : p.toFixed(3);
}

function noteOf({ note, conventions = 'renvox' }: Table): string {
  return `${note} Edge conventions: ${conventions}.`;
}

/** GitHub's Markdown: cells hold no line breaks and no unescaped bars. */
export function markdownOf(table: Table): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [
    `## ${table.title}`,
    '',
    noteOf(table),
    '',
    line(table.columns),
    `|${table.columns.map(() => ' --- |').join('')}`,
    ...table.rows.map(line),
    '',
  ].join('\n');
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replace(/[&<>"]/g, (c) => entities[c] as string);
}

/** A section with the table and, if given, a plot (SVG) beside it and pictures (HTML) under it. */
export function htmlOf(table: Table, plot = '', pictures = ''): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((text) => `<${tag}>${escapeHtml(text)}</${tag}>`).join('')}</tr>`;
  return [
    `<section id="${escapeHtml(table.id)}">`,
    `<h2>${escapeHtml(table.title)}</h2>`,
    `<p>${escapeHtml(noteOf(table))}</p>`,
    '<div class="pair">',
    `<table><thead>${cells('th', table.columns)}</thead><tbody>`,
    ...table.rows.map((row) => cells('td', row)),
    '</tbody></table>',
    plot,
    '</div>',
    pictures,
    '</section>',
  ].join('\n');
}
