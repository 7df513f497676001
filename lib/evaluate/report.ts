/** What an evaluation leaves in its folder. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import type { Estimate } from '../metrics/index.js';
import { escapeHtml, htmlOf, markdownOf, type Table } from './table.js';

export const DISCLAIMER =
  'Research software, not a medical device: these figures measure software, they do not guide care.';

/** A figure as summary.json holds it: null for what is undefined or infinite. */
export interface Software {
  readonly version: string;
  readonly commit: string | null;
}

export interface SummaryFigure {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** What the figure rests on: its denominator. */
  readonly n: number;
}

export interface Summary {
  readonly disclaimer: string;
  /** What made the figures; null where it was not said. */
  readonly software: Software | null;
  readonly settings: Readonly<Record<string, unknown>>;
  /** SHA-256 of each input file, by its path as given. */
  readonly inputs: Readonly<Record<string, string>>;
  /** By path, `detection.left.precision`. Fractions, not per cent; lengths in mm. */
  readonly figures: Readonly<Record<string, SummaryFigure>>;
}

const PICTURES = 'worst';

export function summaryFigure({ value, low, high, n }: Estimate): SummaryFigure {
  const finite = (x: number) => (Number.isFinite(x) ? x : null);
  return { value: finite(value), low: finite(low), high: finite(high), n };
}

/** A picture that stands under a table, and as a file in `worst/`. */
export interface Picture {
  /** Of the file. */
  readonly name: string;
  /** Id of the table. */
  readonly table: string;
  readonly title: string;
  readonly png: Buffer;
}

/** Files of the folder, by name. */
export interface ReportParts {
  readonly summary: Summary;
  readonly tables: readonly Table[];
  /** SVG by table id. */
  readonly plots?: ReadonlyMap<string, string>;
  readonly pictures?: readonly Picture[];
  /** Other text files, lesions.csv and the like; null takes one of an earlier run away. */
  readonly files: Readonly<Record<string, string | null>>;
}

/**
 * Writes summary.json, tables.md, report.html and `files`, each whole or not at all, summary.json last: where it is, all others are.
 * @throws RenvoxError WriteFailed, AbortError
 */
export async function writeReport(
  folder: string,
  { summary, tables, plots = new Map(), pictures = [], files }: ReportParts,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  await makeFolder(folder);
  const write = (name: string, text: string) =>
    writeFileAtomic(join(folder, name), [Buffer.from(text)], options);
  for (const [name, text] of Object.entries(files))
    if (text === null) await rm(join(folder, name), { force: true });
    else await write(name, text);
  const about = aboutLines(summary);
  await write(
    'tables.md',
    [
      ...[`> ${DISCLAIMER}`, '', ...about.map(([name, text]) => `- ${name}: ${text}`), ''],
      ...tables.map(markdownOf),
    ].join('\n'),
  );
  await writePictures(join(folder, PICTURES), pictures, options);
  await write('report.html', page(about, tables, plots, pictures));
  await write('summary.json', `${JSON.stringify(summary, null, 2)}\n`);
}

/** What a report is of, by name: its settings that matter to a reader, from the summary. */
export function aboutLines({ settings, software }: Summary): [string, string][] {
  const said = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return String(value);
    return Object.entries(value)
      .map(([name, own]) =>
        typeof own === 'object' && own !== null
          ? `${name} ${Object.values(own).map(String).join(' ')}`
          : `${name} ${String(own)}`,
      )
      .join(', ');
  };
  const names = [
    ...['source', 'truth', 'prediction', 'on_truth', 'images', 'manifest', 'a', 'b', 'file'],
    ...['protocol', 'labels', 'prediction_labels', 'iou', 'diameter', 'rules', 'cases'],
    ...['lesions', 'patients', 'bootstrap'],
  ];
  const lines = names.flatMap((name): [string, string][] => {
    const value = settings[name];
    if (value === undefined || value === null) return [];
    if (name === 'prediction_labels' && said(value) === said(settings.labels)) return [];
    return [[name.replaceAll('_', ' '), said(value)]];
  });
  const version = software ? `renvox ${software.version}` : 'renvox';
  const commit = software?.commit ? ` (${software.commit})` : '';
  return [...lines, ['made by', `${version}${commit}`]];
}

/** Pictures of an earlier run that are none of this one's are taken away. */
async function writePictures(
  folder: string,
  pictures: readonly Picture[],
  options: { signal?: AbortSignal | undefined },
): Promise<void> {
  if (pictures.length > 0) await makeFolder(folder);
  for (const { name, png } of pictures) await writeFileAtomic(join(folder, name), [png], options);
  const names = new Set(pictures.map(({ name }) => name));
  for (const name of await readdir(folder).catch(() => [] as string[]))
    if (/^(mass|kidney)-\d+-.+\.png$/.test(name) && !names.has(name)) await rm(join(folder, name));
}

function page(
  about: readonly (readonly [string, string])[],
  tables: readonly Table[],
  plots: ReadonlyMap<string, string>,
  pictures: readonly Picture[],
): string {
  const section = (table: Table) => {
    const own = pictures.filter((picture) => picture.table === table.id);
    return htmlOf(table, plots.get(table.id), own.map(figure).join('\n'));
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>renvox evaluation</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1b1b1f }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #d8d8de; text-align: left; white-space: nowrap }
.pair { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start }
figure { display: inline-block; margin: 1rem 1rem 0 0 }
dl { display: grid; grid-template-columns: max-content auto; gap: .15rem 1.2rem }
dt { font-weight: 600 } dd { margin: 0; overflow-wrap: anywhere }
figcaption { max-width: 40rem; font-size: 13px }
.warn { background: #fff3d6; padding: .6rem 1rem; border-radius: .4rem }
.wide { overflow-x: auto; max-width: 100% }
@page { size: A4 landscape; margin: 12mm }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 11px }
  nav { display: none }
  .pair { display: block; overflow: visible }
  .wide { overflow: visible }
  table { font-size: 9px; width: 100%; margin-bottom: 1rem }
  th, td { white-space: normal; padding: .15rem .35rem }
  tr, figure, svg { break-inside: avoid }
  figure { width: 31%; margin: .3rem .5rem .3rem 0 } figure img { width: 100% }
  h2 { break-after: avoid }
}
</style>
</head>
<body>
<h1>renvox evaluation</h1>
<p class="warn">${escapeHtml(DISCLAIMER)}</p>
<dl>
${about.map(([name, text]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(text)}</dd>`).join('\n')}
</dl>
<nav><ul>${tables.map((t) => `<li><a href="#${escapeHtml(t.id)}">${escapeHtml(t.title)}</a></li>`).join('')}</ul></nav>
${tables.map(section).join('\n')}
</body>
</html>
`;
}

function figure({ title, png }: Picture): string {
  const alt = escapeHtml(title);
  return `<figure><img alt="${alt}" src="data:image/png;base64,${png.toString('base64')}"><figcaption>${alt}</figcaption></figure>`;
}
