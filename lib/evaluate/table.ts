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

export const INTERVAL =
  'Values with 95 % intervals: percentile bootstrap by patient; n/a of one patient alone.';

/** Names of the sizes by average diameter. */
export const SIZE_NAMES = { overall: 'all sizes', lt5mm: '< 5 mm', ge5mm: '≥ 5 mm' } as const;

/** A number with so many digits, "n/a" where there is none. */
export function text(value: number | null | undefined, digits: number): string {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(digits) : 'n/a';
}

/** "0.676 (0.583 to 0.771)", "n/a" where there is none; of `digits`. */
export function withInterval(estimate: Estimate | undefined, digits = 3): string {
  return estimateText(estimate, digits, 1, '');
}

/** "67.77 % (58.10 to 77.03)". */
export function percentWithInterval(estimate: Estimate | undefined): string {
  return estimateText(estimate, 2, 100, ' %');
}

/** A difference of shares: "-3.25 points (-6.01 to 0.44)". */
export function pointsWithInterval(estimate: Estimate | undefined): string {
  return estimateText(estimate, 2, 100, ' points');
}

function estimateText(
  estimate: Estimate | undefined,
  digits: number,
  factor: number,
  unit: string,
): string {
  if (!estimate || Number.isNaN(estimate.value)) return 'n/a';
  const { value, low, high } = estimate;
  const number = (x: number) => (factor * x).toFixed(digits);
  const interval = Number.isNaN(low) ? 'n/a' : `${number(low)} to ${number(high)}`;
  return `${number(value)}${unit} (${interval})`;
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
    ...(table.rows.length === 0
      ? []
      : [
          line(table.columns),
          `|${table.columns.map(() => ' --- |').join('')}`,
          ...table.rows.map(line),
          '',
        ]),
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
    ...(table.rows.length === 0 && plot === ''
      ? []
      : [
          '<div class="pair">',
          ...(table.rows.length === 0
            ? []
            : [
                `<div class="wide"><table><thead>${cells('th', table.columns)}</thead><tbody>`,
                ...table.rows.map((row) => cells('td', row)),
                '</tbody></table></div>',
              ]),
          plot,
          '</div>',
        ]),
    pictures,
    '</section>',
  ].join('\n');
}
