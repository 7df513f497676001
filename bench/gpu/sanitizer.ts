/** compute-sanitizer's memcheck, racecheck and synccheck over every case at a small size. Where the tool is missing or refuses the device, says so. */
import { cudaProgram } from './build.js';
import { caseNames, doCases, smallSize } from './repeat.js';
import { left, report, type Task } from './settings.js';

const tools = ['memcheck', 'synccheck', 'racecheck'] as const;

function command(program: string, tool: string): string[] {
  return [program, '--tool', tool, '--target-processes', 'all', '--print-limit', '40'];
}

/** Why compute-sanitizer is of no use here; undefined where a first allocation under it works. */
async function whyNot(
  task: Task,
  program: string | undefined,
  name: string,
): Promise<string | undefined> {
  if (task.kind !== 'cuda') return `it watches real GPUs, not ${task.kind}`;
  if (program === undefined) return 'compute-sanitizer was found neither on PATH nor in CUDA_HOME';
  const { rows, lines } = await doCases(task, [name], {
    ...{ mode: 'once', count: 1, size: smallSize, prefix: command(program, 'memcheck') },
    limit: Math.min(60_000, left(task)),
  });
  const text = lines.join('\n');
  if (/not supported|Unable to|Internal Sanitizer Error/i.test(text) || !/ERROR SUMMARY/.test(text))
    return `it does not work here: ${lines.find((l) => /not supported|Unable|rror/.test(l)) ?? rows[0]?.note ?? 'no summary'}`;
  return undefined;
}

/** Errors in the summaries of a tool's output; a run that was killed has none. */
function errorsIn(lines: readonly string[]): number | undefined {
  let total: number | undefined;
  for (const line of lines) {
    const found =
      /ERROR SUMMARY: (\d+) error/.exec(line) ??
      /RACECHECK SUMMARY: \d+ hazards? displayed \((\d+) error/.exec(line);
    if (found) total = (total ?? 0) + Number(found[1]);
  }
  return total;
}

export async function sanitizer(task: Task): Promise<void> {
  const names = caseNames(task.filter);
  const program = cudaProgram('compute-sanitizer');
  const reason = await whyNot(task, program, 'fill');
  if (program === undefined || reason !== undefined) {
    for (const tool of tools) report({ name: tool, ok: null, note: reason ?? 'not found' });
    return;
  }
  for (const [i, tool] of tools.entries()) {
    const limit = left(task) / (tools.length - i);
    const begun = performance.now();
    const { rows, lines, end } = await doCases(task, names, {
      ...{ mode: 'once', count: 1, size: smallSize, prefix: command(program, tool), limit },
    });
    const seconds = (performance.now() - begun) / 1000;
    const errors = errorsIn(lines);
    const failed = rows.filter((row) => !row.ok);
    const missed = names.length - rows.length;
    // What was said of the first errors, without the tool's frame.
    const said = lines
      .filter((line) => /^=========\s+\S/.test(line) && !/SUMMARY|COMPUTE-SANITIZER/.test(line))
      .map((line) => line.replace(/^=========\s+/, ''));
    const late = performance.now() - begun >= limit - 500;
    const notes = [
      ...(missed > 0 ? [`${missed} of ${names.length} cases not reached (${end})`] : []),
      ...(errors === undefined ? ['no summary'] : []),
    ];
    const bad = (errors ?? 0) > 0 || failed.length > 0 || (missed > 0 && !late);
    report({
      ...{ name: tool, ok: bad ? false : missed > 0 || errors === undefined ? null : true },
      ...(missed > 0 && late ? { reached: false } : {}),
      ...{ cases: rows.length, errors: errors ?? null, seconds },
      ...(notes.length > 0 ? { note: notes.join('; ') } : {}),
      ...(failed.length > 0
        ? { failures: failed.map((r) => `${r.name}: ${r.note}`).slice(0, 20) }
        : {}),
      ...(errors && said.length > 0 ? { output: said.slice(0, 30) } : {}),
    });
  }
}
