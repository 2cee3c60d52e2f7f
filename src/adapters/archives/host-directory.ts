// Opens directories of the host one part of the path after the other, so that no symbolic link and nobody who moves directories meanwhile leads out of the host's root.
import { constants } from 'node:fs';
import { lstat, open, readlink, type FileHandle } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import { errnoName } from '../errno.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const MAX_LINKS = 40;
const GROUP_OR_OTHERS_MAY_WRITE = 0o022;

/** An open directory: what is done by `at(name)` happens in that very directory, wherever it is moved. */
export interface OpenDirectory {
  /** A path of this process for a name inside, through the open directory. The name must have no slash. */
  at(name: string): string;
  readonly handle: FileHandle;
}

/** Symbolic links on a way that are followed. OfRoot: those that root made in a directory that nobody else may write to, nor to one above it. */
export type FollowedLinks = 'All' | 'OfRoot';

/**
 * Runs `act` in the directory at the absolute host path. Links on the way are taken as the host's programs would, below the host's root: the kernel would follow an
 * absolute one out of it. null: nothing is there. Rejects with NotADirectory where a part is a file, or a link that is not followed, and after 40 links.
 */
export async function inDirectory<T>(
  hostRoot: string,
  directory: string,
  links: FollowedLinks,
  act: (directory: OpenDirectory) => Promise<T>,
): Promise<T | null> {
  const way: Step[] = [{ path: '/', handle: await open(hostRoot, O_RDONLY | O_DIRECTORY) }];
  try {
    const last = await walk(way, directory, links);
    return last === null ? null : await act(openDirectory(last.handle));
  } finally {
    await goBack(way, 0);
  }
}

export function openDirectory(handle: FileHandle): OpenDirectory {
  return { at: (name) => throughHandle(handle, name), handle };
}

/** Opens a directory inside an open one; rejects for a link. */
export function openInside(parent: OpenDirectory, name: string): Promise<FileHandle> {
  return open(parent.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

interface Step {
  /** Of the host, without links. */
  readonly path: string;
  readonly handle: FileHandle;
}

/** Every directory from the host's root to where the walk is, open. */
type Way = Step[];

/** null: nothing is there. */
async function walk(way: Way, directory: string, links: FollowedLinks): Promise<Step | null> {
  const waiting = partsOf(posix.normalize(directory));
  let followed = 0;
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    if (part === '..') {
      await goBack(way, Math.max(1, way.length - 1));
      continue;
    }
    const target = await enter(way, part, links);
    if (target === 'Absent') return null;
    if (target === 'Entered') continue;
    followed += 1;
    if (followed > MAX_LINKS) throw new Error(`too many symbolic links in ${directory}`);
    if (target.link.startsWith('/')) await goBack(way, 1);
    waiting.unshift(...partsOf(target.link));
  }
  return way.at(-1) ?? null;
}

/** Gives where a link leads, which is not gone then. */
async function enter(
  way: Way,
  part: string,
  links: FollowedLinks,
): Promise<'Entered' | 'Absent' | { readonly link: string }> {
  const last = way.at(-1);
  if (last === undefined) return 'Absent';
  const here = openDirectory(last.handle);
  const path = posix.join(last.path, part);
  try {
    way.push({ path, handle: await openInside(here, part) });
    return 'Entered';
  } catch (error) {
    const code = errnoName(error);
    if (code === 'ENOENT') return 'Absent';
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
  }
  if (links === 'OfRoot') await requireOfRoot(way, here.at(part), path);
  return { link: await linkTarget(here.at(part), path) };
}

/** Where nobody but root may write the link stays what it is between this look and the next. */
async function requireOfRoot(way: Way, here: string, path: string): Promise<void> {
  const stats = await Promise.all([lstat(here), ...way.map(({ handle }) => handle.stat())]);
  const isRoots = stats.every(
    (stat) => stat.uid === 0 && (stat.isSymbolicLink() || (stat.mode & GROUP_OR_OTHERS_MAY_WRITE) === 0),
  );
  if (!isRoots) throw new NotADirectory(path);
}

async function linkTarget(here: string, path: string): Promise<string> {
  try {
    return await readlink(here);
  } catch (error) {
    if (errnoName(error) === 'EINVAL') throw new NotADirectory(path);
    throw error;
  }
}

/** Keeps the first `length` steps. */
async function goBack(way: Way, length: number): Promise<void> {
  for (const { handle } of way.splice(length)) await handle.close();
}

/** A part of a path is a symbolic link that is not followed, or a file. */
export class NotADirectory extends Error {
  override readonly name = 'NotADirectory';
  constructor(path: string) {
    super(`${path} is a symbolic link that others than root may change, or no directory`);
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function throughHandle({ fd }: FileHandle, name: string): string {
  if (name === '' || name === '..' || name.includes('/'))
    throw new Error(`not a name in a directory: ${JSON.stringify(name)}`);
  return `/proc/self/fd/${fd}/${name}`;
}
