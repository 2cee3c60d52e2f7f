// Opens directories of the host one part of the path after the other, so that no symbolic link and nobody who moves directories meanwhile leads out of the host's root.
import { constants } from 'node:fs';
import { open, readlink, type FileHandle } from 'node:fs/promises';
import * as posix from 'node:path/posix';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const MAX_LINKS = 40;

/** An open directory: what is done by `at(name)` happens in that very directory, wherever it is moved. */
export interface OpenDirectory {
  /** A path of this process for a name inside, through the open directory. The name must have no slash. */
  at(name: string): string;
  readonly handle: FileHandle;
}

/** Runs `act` in the directory at the absolute host path, which must lead over no symbolic link: then, and where a part is no directory, it rejects. null: nothing is there. */
export async function inDirectory<T>(
  hostRoot: string,
  directory: string,
  act: (directory: OpenDirectory) => Promise<T>,
): Promise<T | null> {
  const handle = await walk(hostRoot, directory);
  if (handle === null) return null;
  try {
    return await act(openDirectory(handle));
  } finally {
    await handle.close();
  }
}

export function openDirectory(handle: FileHandle): OpenDirectory {
  return { at: (name) => throughHandle(handle, name), handle };
}

/** Opens a directory inside an open one; rejects for a link. */
export function openInside(parent: OpenDirectory, name: string): Promise<FileHandle> {
  return open(parent.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

async function walk(hostRoot: string, directory: string): Promise<FileHandle | null> {
  let at = await open(hostRoot, O_RDONLY | O_DIRECTORY);
  const passed: string[] = [];
  for (const part of partsOf(posix.normalize(directory))) {
    passed.push(part);
    const next = await step(at, part, passed).finally(() => at.close());
    if (next === null) return null;
    at = next;
  }
  return at;
}

async function step(at: FileHandle, part: string, passed: readonly string[]): Promise<FileHandle | null> {
  try {
    return await openInside(openDirectory(at), part);
  } catch (error) {
    const code = errnoName(error);
    if (code === 'ENOENT') return null;
    if (code === 'ENOTDIR' || code === 'ELOOP') throw new NotADirectory(`/${passed.join('/')}`);
    throw error;
  }
}

/** A part of a path is a symbolic link, or a file. */
export class NotADirectory extends Error {
  override readonly name = 'NotADirectory';
  constructor(path: string) {
    super(`${path} is a symbolic link, or no directory`);
  }
}

/**
 * The host path with its symbolic links taken as the host's programs would, below the host's root: the kernel would follow an absolute one out of it. Parts that do not
 * exist stay as they are. Rejects after 40 links.
 */
export async function withoutLinks(hostRoot: string, path: string): Promise<string> {
  const waiting = partsOf(posix.normalize(path));
  let resolved = '/';
  let links = 0;
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    const next = posix.join(resolved, part);
    const target = await linkTarget(posix.join(hostRoot, next));
    if (target !== null) {
      links += 1;
      if (links > MAX_LINKS) throw new Error(`too many symbolic links in ${path}`);
      waiting.unshift(...partsOf(target));
    }
    if (target === null) resolved = next;
    else if (target.startsWith('/')) resolved = '/';
  }
  return resolved;
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (['EINVAL', 'ENOENT', 'ENOTDIR'].includes(errnoName(error) ?? '')) return null;
    throw error;
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

/** The errno name of an error from a file call, or null. */
export function errnoName(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** Waits for `call`; null when it fails because there is nothing at the path. */
export async function orAbsent<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return null;
    throw error;
  }
}
