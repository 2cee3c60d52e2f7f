// A checkpoint that is a directory of CRIU's images, as runc and Docker keep them: measured, and removed so that a removal that was broken off can go on.
import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { lstat, readdir, type FileHandle } from 'node:fs/promises';
import { errnoName, orAbsent } from '../errno.ts';
import { openDirectory, openInside, type OpenDirectory } from './host-directory.ts';

/** CRIU writes it last but for statistics: without it nothing can be restored. */
export const INVENTORY = 'inventory.img';
/** Images lie right inside; deeper than this is no checkpoint. */
const MAX_DEPTH = 8;

/** Sum of the sizes of all files below, bytes; links are counted, not followed. What goes meanwhile does not count. */
export async function measureTree(directory: OpenDirectory, depth = 0): Promise<number> {
  if (depth > MAX_DEPTH) return 0;
  let total = 0;
  for (const name of await readdir(directory.at('.'))) {
    const stat = await orAbsent(lstat(directory.at(name)));
    if (stat?.isDirectory() === true)
      total += (await within(directory, name, (inner) => measureTree(inner, depth + 1))) ?? 0;
    else total += stat?.size ?? 0;
  }
  return total;
}

/** Empties the directory. The inventory goes last: until then it is still told for a checkpoint. Rejects at another file system and at a depth that no checkpoint has. */
export async function emptyTree(directory: OpenDirectory, depth = 0): Promise<void> {
  if (depth > MAX_DEPTH) throw new Error('directories deeper than those of a checkpoint');
  const { dev } = await directory.handle.stat();
  const names = (await readdir(directory.at('.'))).sort(
    (one, other) => Number(one === INVENTORY) - Number(other === INVENTORY),
  );
  for (const name of names) {
    const stat = await orAbsent(lstat(directory.at(name)));
    if (stat === null) continue;
    if (stat.dev !== dev) throw new Error(`${name} in it is another file system`);
    if (!stat.isDirectory()) {
      unlinkSync(directory.at(name));
      continue;
    }
    await within(directory, name, (inner) => emptyTree(inner, depth + 1));
    rmdirSync(directory.at(name));
  }
}

/** null: it is gone, or a link by now. */
async function within<T>(
  parent: OpenDirectory,
  name: string,
  act: (directory: OpenDirectory) => Promise<T>,
): Promise<T | null> {
  let handle: FileHandle;
  try {
    handle = await openInside(parent, name);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoName(error) ?? '')) return null;
    throw error;
  }
  try {
    return await act(openDirectory(handle));
  } finally {
    await handle.close();
  }
}

/** Whether the name in the directory is that file now; at once, so that what follows at once meets the same. */
export function isStill(
  parent: OpenDirectory,
  name: string,
  file: { device: number; inode: number },
): boolean {
  const stat = lstatSync(parent.at(name), { throwIfNoEntry: false });
  return stat !== undefined && stat.dev === file.device && stat.ino === file.inode;
}
