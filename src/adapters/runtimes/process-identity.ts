// What /proc tells about single processes that a runtime adapter must know: is it still the same one, is a dump going on.
import { readFile, readdir, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';

/**
 * A text that changes when another process takes the pid: its start time in clock ticks since boot. null: no such process.
 */
export async function processStart(procRoot: string, pid: number): Promise<string | null> {
  const line = await readOrNull(posix.join(procRoot, pid.toString(), 'stat'));
  // The name in parentheses may hold blanks and parentheses; field 22 is counted from its end.
  return line?.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

/** True while another process traces `pid`: CRIU does from seizing a task until it lets it go on. False too when there is no such process. */
export async function isTraced(procRoot: string, pid: number): Promise<boolean> {
  const status = await readOrNull(posix.join(procRoot, pid.toString(), 'status'));
  const tracer = status === null ? null : /^TracerPid:\s*(\d+)$/m.exec(status)?.[1];
  return tracer !== undefined && tracer !== null && tracer !== '0';
}

/**
 * True while a CRIU works in `folder`, its work path (measured: it changes into it before it touches the container; its
 * process is named criu). A helper that it left behind there does not count.
 */
export async function isCriuWorkingIn(procRoot: string, folder: string): Promise<boolean> {
  const wanted = await stat(folder, { bigint: true });
  for (const entry of await readdir(procRoot)) {
    if (!/^\d+$/.test(entry)) continue;
    const cwd = await stat(posix.join(procRoot, entry, 'cwd'), { bigint: true }).catch(() => null);
    if (cwd?.dev !== wanted.dev || cwd.ino !== wanted.ino) continue;
    if ((await readOrNull(posix.join(procRoot, entry, 'comm')))?.startsWith('criu') === true) return true;
  }
  return false;
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}
