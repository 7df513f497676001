// Programs of their own, for what a test cannot do to its own process: exits, crashes, workers, growth.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's folder: programs run there, so that they import renvox by its name. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ProgramOptions {
  /** Text of a worker: the program starts it by `startWorker()`. It may use await. */
  worker?: string;
  /** Of node. */
  flags?: readonly string[];
  /** Until it is killed, which shows as signal SIGKILL. */
  seconds?: number;
}

const start = `
  import { Worker } from 'node:worker_threads';
  const imports = "import { parentPort } from 'node:worker_threads';";
  const startWorker = () => new Worker(imports + process.env.WORKER, { eval: true });
`;

/** Runs an ES module given as text. */
export function program(source: string, options: ProgramOptions = {}): Promise<Outcome> {
  const { worker, flags = [], seconds = 240 } = options;
  const text = worker === undefined ? source : start + source;
  return new Promise((resolve) => {
    // The test runner's own variables would make it instrument the program.
    const { NODE_OPTIONS: _, TAP: __, ...inherited } = process.env;
    const env = worker === undefined ? inherited : { ...inherited, WORKER: worker };
    const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', text], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}
