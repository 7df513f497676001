/** The curves of a run as a picture. */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { classNames, type Preset } from './preset.js';

interface Line {
  step: number;
  loss: number;
  perClass?: (number | null)[];
}

/**
 * Loss and figures of validation over the steps, as an SVG that stands alone; undefined where the log is empty.
 * @param log - lines of JSON, as a run's log.jsonl
 */
export function curvesOf(preset: Preset, log: string): string | undefined {
  const lines = log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  if (lines.length === 0) return undefined;
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const names = classNames(preset);
  const figures = lines.flatMap(({ step, perClass = [] }) =>
    perClass.flatMap((value, k) =>
      value === null ? [] : [{ step, value, name: names[k] ?? `class ${k + 1}` }],
    ),
  );
  const size = { document, width: 640, height: 260, marginLeft: 50, marginRight: 80 };
  const loss = Plot.plot({
    ...size,
    x: { label: null },
    y: { label: `loss of ${preset.name}`, grid: true, type: 'log' },
    marks: [
      Plot.line(
        lines.filter((l) => l.loss > 0),
        { x: 'step', y: 'loss', stroke: '#2b78c5', z: null },
      ),
    ],
  });
  const validation = Plot.plot({
    ...size,
    x: { label: 'step', domain: [0, Math.max(...lines.map(({ step }) => step))] },
    y: { label: preset.task === 'class' ? 'recall' : 'Dice', grid: true, domain: [0, 1] },
    marks: [
      Plot.line(figures, { x: 'step', y: 'value', stroke: 'name', z: 'name' }),
      Plot.dot(figures, { x: 'step', y: 'value', fill: 'name', r: 2 }),
      Plot.text(
        figures,
        Plot.selectLast({
          x: 'step',
          y: 'value',
          z: 'name',
          text: 'name',
          dx: 6,
          textAnchor: 'start',
        }),
      ),
    ],
  });
  const inner = (plot: unknown, y: number) =>
    (plot as { outerHTML: string }).outerHTML.replace('<svg', `<svg y="${y}"`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="530" viewBox="0 0 640 530"><rect width="640" height="530" fill="white"/>${inner(loss, 0)}${inner(validation, 265)}</svg>\n`;
}
