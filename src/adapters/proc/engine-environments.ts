// Reads from /proc the environment of container daemons and their shims: only the two variables that CRIU goes by.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineEnvironment, EngineEnvironments } from '../../ports/engine-environments.ts';

/** As /proc/PID/comm has them, cut at 15 characters. Podman gives its runtimes an environment without the two variables (measured, 5.8). */
const PROGRAMS: ReadonlySet<string> = new Set(['dockerd', 'containerd', 'containerd-shim', 'crio']);

export function createEngineEnvironments(procRoot: string): EngineEnvironments {
  return {
    read: async () => {
      const entries = (await readdir(procRoot)).filter((entry) => /^\d+$/.test(entry));
      const found = await Promise.all(entries.map((entry) => readOne(procRoot, entry)));
      return found.filter((environment) => environment !== null);
    },
  };
}

/** null: another program, or one that has just ended. */
async function readOne(procRoot: string, entry: string): Promise<EngineEnvironment | null> {
  try {
    const program = (await readFile(join(procRoot, entry, 'comm'), 'utf8')).trim();
    if (!PROGRAMS.has(program)) return null;
    const variables = (await readFile(join(procRoot, entry, 'environ'), 'utf8')).split('\0');
    const value = (name: string): string | null =>
      variables.find((variable) => variable.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
    return { program, pid: Number(entry), home: value('HOME'), criuConfigFile: value('CRIU_CONFIG_FILE') };
  } catch {
    return null;
  }
}
