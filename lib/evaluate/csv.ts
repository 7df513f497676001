/** Comma-separated values as RFC 4180 has them. */
import { RenvoxError } from '../errors.js';

/** Rows by the names of the header; `line` is where a row starts in the file, 1-based. */
export interface CsvRow {
  readonly line: number;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Reads a table whose first row names its columns. Empty lines are skipped, a byte order mark too.
 * @param required - columns that must be there; others may be
 * @throws RenvoxError InvalidFile with the line: a quote that does not end, a row of another length than the header, a column that is
 * missing or named twice
 */
export function parseCsv(text: string, file: string, required: readonly string[]): CsvRow[] {
  const fail = (line: number, message: string) =>
    new RenvoxError('InvalidFile', `${file}, line ${line}: ${message}`, { file, line });
  const [header, ...rows] = records(text, fail);
  const names = (header?.fields ?? []).map((name) => name.trim());
  const missing = required.filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw fail(
      1,
      `expected the columns ${required.join(',')} but ${missing.join(',')} are missing; found ${foundColumns(names)}`,
    );
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw fail(1, `the column ${twice} is named twice`);
  return rows.map(({ line, fields }) => {
    if (fields.length !== names.length)
      throw fail(line, `expected ${names.length} fields but found ${fields.length}`);
    return { line, fields: Object.fromEntries(names.map((n, i) => [n, fields[i] as string])) };
  });
}

/** What a header has, with the likely reason for its not being what is wanted. */
function foundColumns(names: readonly string[]): string {
  if (names.length === 0) return 'an empty file';
  const list = names.slice(0, 12).join(',');
  const [only = ''] = names;
  const between = names.length === 1 && /[;\t]/.exec(only)?.[0];
  const why = between
    ? ` (${between === ';' ? 'semicolons' : 'tabs'} between, commas are expected)`
    : names.some((name) => name !== name.toLowerCase())
      ? ' (names are in lower case)'
      : '';
  return `${list}${names.length > 12 ? ',…' : ''}${why}`;
}

type Failure = (line: number, message: string) => RenvoxError;

function records(text: string, fail: Failure): { line: number; fields: string[] }[] {
  const found: { line: number; fields: string[] }[] = [];
  let fields: string[] = [];
  let field = '';
  let line = 1;
  let start = 1;
  let quotedFrom = 0;
  const endRecord = () => {
    if (fields.length > 0 || field !== '') found.push({ line: start, fields: [...fields, field] });
    fields = [];
    field = '';
  };
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length; i++) {
    const c = text[i] as string;
    if (c === '\n') line++;
    if (quotedFrom > 0) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[++i];
      else quotedFrom = 0;
    } else if (c === '"' && field === '') quotedFrom = line;
    else if (c === ',') {
      fields.push(field);
      field = '';
    } else if (c === '\n') {
      endRecord();
      start = line;
    } else if (c !== '\r' || text[i + 1] !== '\n') field += c;
  }
  if (quotedFrom > 0) throw fail(quotedFrom, 'a quoted field does not end');
  endRecord();
  return found;
}

/** A table as text, with a header. Numbers keep all their digits; null, undefined and NaN are empty. */
export function formatCsv(
  columns: readonly string[],
  rows: Iterable<Readonly<Record<string, string | number | null | undefined>>>,
): string {
  const cell = (value: string | number | null | undefined) => {
    if (value === null || value === undefined || Number.isNaN(value)) return '';
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.join(',')];
  for (const row of rows) lines.push(columns.map((name) => cell(row[name])).join(','));
  return `${lines.join('\n')}\n`;
}
