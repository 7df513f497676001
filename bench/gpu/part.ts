/** The process of one part: `node part.js`, its task as JSON in RENVOX_GPU_CHECK. Its rows go to stdout. */
import { endTree } from './processes.js';
import { messageOf, type Part, report, type Task } from './settings.js';

const bodies: Record<Part, () => Promise<(task: Task) => Promise<void>>> = {
  build: async () => (await import('./build.js')).build,
  ops: async () => (await import('./tests.js')).operations,
  pipeline: async () => (await import('./pipeline.js')).pipeline,
  sanitizer: async () => (await import('./sanitizer.js')).sanitizer,
  repeat: async () => (await import('./repeat.js')).repeat,
  leak: async () => (await import('./leak.js')).leak,
  bench: async () => (await import('./times.js')).times,
};

const task = JSON.parse(process.env.RENVOX_GPU_CHECK ?? '{}') as Task;
delete process.env.RENVOX_GPU_CHECK;
// Who leads may be killed without a chance to end its part, which is in a group of its own and would keep the GPU.
const leader = process.ppid;
setInterval(() => {
  if (process.ppid !== leader) endTree(process.pid);
}, 1000).unref();
try {
  const body = await bodies[task.part]();
  await body(task);
} catch (error) {
  console.error(error);
  report({ name: task.part, ok: false, note: messageOf(error) });
}
