// Tells from the host's cgroup file systems whether a container is frozen, which every runtime does for a dump. Never freezes or thaws.
import { readFile, readdir, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import { containerIdIn } from './container-processes.ts';

/** Deeper than any kubelet puts a container: slice, quality of service, pod, container. */
const MAX_DEPTH = 8;

/**
 * True while the container's cgroup is frozen or on its way there. null: its cgroup is not found, as when it has ended, or the host's /sys/fs/cgroup is not
 * mounted here. Looked up by the container's id: the path in /proc/PID/cgroup is told from another place when this process has a cgroup namespace of its own.
 */
export async function isFrozen(hostRoot: string, containerId: string): Promise<boolean | null> {
  const mount = posix.join(hostRoot, 'sys/fs/cgroup');
  const v1 = posix.join(mount, 'freezer');
  const root = (await isDirectory(v1)) ? v1 : mount;
  const folder = await findFolder(root, containerId);
  if (folder === null) return null;
  // crun freezes a cgroup of its own below that of the container, where there is one.
  const states = await Promise.all([folder, ...(await foldersIn(folder))].map((path) => frozenState(path)));
  const told = states.filter((state) => state !== null);
  return told.length === 0 ? null : told.includes(true);
}

async function frozenState(folder: string): Promise<boolean | null> {
  const v1 = await readOrNull(posix.join(folder, 'freezer.state'));
  if (v1 !== null) return v1.trim() !== 'THAWED';
  const events = await readOrNull(posix.join(folder, 'cgroup.events'));
  const wanted = await readOrNull(posix.join(folder, 'cgroup.freeze'));
  if (events === null || wanted === null) return null;
  return wanted.trim() === '1' || /^frozen 1$/m.test(events);
}

/** Level by level: containers are near the root, and what they make themselves is below them. */
async function findFolder(root: string, containerId: string): Promise<string | null> {
  let level = [root];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth += 1) {
    const children = (await Promise.all(level.map((folder) => foldersIn(folder)))).flat();
    const idOf = (folder: string): string | null => containerIdIn(posix.basename(folder));
    const found = children.find((child) => idOf(child) === containerId);
    if (found !== undefined) return found;
    level = children.filter((child) => idOf(child) === null);
  }
  return null;
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => posix.join(folder, name));
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function readOrNull(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null);
}
