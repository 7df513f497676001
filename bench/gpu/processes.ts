/** Ends processes with all that they have started, whether or not that is in a group of its own. */
import { readdirSync, readFileSync } from 'node:fs';

interface Running {
  pid: number;
  parent: number;
  group: number;
}

function running(): Running[] {
  const read = (name: string): Running[] => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The program's name stands in parentheses and may hold anything.
      const [, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(name), parent: Number(parent), group: Number(group) }];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  };
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap(read);
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** Kills a process, its descendants and their groups; this process too where it is the one, but never others of its group. */
export function endTree(pid: number | undefined): void {
  if (pid === undefined) return;
  const all = running();
  const tree = new Set([pid]);
  for (let before = 0; before !== tree.size; ) {
    before = tree.size;
    for (const one of all) if (tree.has(one.parent)) tree.add(one.pid);
  }
  // What the tree starts while it is being ended is in one of its groups.
  const groups = new Set([pid, ...all.filter((one) => tree.has(one.pid)).map((p) => p.group)]);
  groups.delete(all.find((one) => one.pid === process.pid)?.group ?? process.pid);
  for (const group of groups) kill(-group);
  tree.delete(process.pid);
  for (const one of tree) kill(one);
  if (pid === process.pid) kill(pid);
}
