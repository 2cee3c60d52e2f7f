// The checkpoint archives of the host: looked at, listed and removed. Never extracts one, never lets others than root lead it elsewhere to remove something, never removes a pinned one.
import { constants, rmdirSync, unlinkSync, type Stats } from 'node:fs';
import { lstat, open, readdir, statfs, type FileHandle } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import type {
  ArchiveFile,
  ArchiveRemoval,
  CheckpointArchiveInfo,
  CheckpointArchives,
} from '../../ports/checkpoint-archives.ts';
import { errnoName, orAbsent } from '../errno.ts';
import { readArchiveFile, type Contents } from './archive-file.ts';
import { NO_IDENTITY } from './archive-identity.ts';
import { emptyTree, INVENTORY, isStill, measureTree } from './checkpoint-tree.ts';
import {
  inDirectory,
  NotADirectory,
  openDirectory,
  openInside,
  type OpenDirectory,
} from './host-directory.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const KEEP_SUFFIX = '.keep';
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export interface CheckpointArchivesOptions {
  /** `/`, or where the host's root is mounted, for example `/host`. */
  readonly hostRoot: string;
}

/** Links on the way to an archive are taken as the host would: all for looking, for removing only those that nobody but root could have made. */
export function createHostCheckpointArchives({ hostRoot }: CheckpointArchivesOptions): CheckpointArchives {
  const read = rememberingReader();
  return {
    inspect: async (path) => {
      assertPlain(path);
      const look = (directory: OpenDirectory): Promise<Look | null> => lookAt(directory, path, read);
      return (await inHostDirectory(hostRoot, posix.dirname(path), look))?.info ?? null;
    },
    list: async (directory) => {
      assertPlain(directory);
      const look = (opened: OpenDirectory): Promise<CheckpointArchiveInfo[]> =>
        listIn(opened, directory, read);
      return (await inHostDirectory(hostRoot, directory, look)) ?? [];
    },
    folders: async (directory) => {
      assertPlain(directory);
      const look = (opened: OpenDirectory): Promise<string[]> => foldersIn(opened, directory);
      return (await inHostDirectory(hostRoot, directory, look)) ?? [];
    },
    remove: (file, directories) => remove(hostRoot, file, directories),
    space: async (directory) => {
      assertPlain(directory);
      for (let at = directory; ; at = posix.dirname(at)) {
        const found = await inHostDirectory(hostRoot, at, (opened) => statfs(opened.at('.')));
        if (found === null) continue;
        return { freeBytes: found.bavail * found.bsize, totalBytes: found.blocks * found.bsize };
      }
    },
  };
}

type FileReader = (handle: FileHandle, stat: Stats) => Promise<Contents>;

const REMEMBERED_FILES = 4096;

/** A whole archive does not change any more: it is read again only when its size or time stamps say so. */
function rememberingReader(): FileReader {
  const known = new Map<string, Contents>();
  return async (handle, stat) => {
    const key = [stat.dev, stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(' ');
    const contents = known.get(key) ?? (await readArchiveFile(handle, stat.size));
    known.delete(key);
    if (contents.faults.length === 0) known.set(key, contents);
    const [oldest] = known.keys();
    if (known.size > REMEMBERED_FILES && oldest !== undefined) known.delete(oldest);
    return contents;
  };
}

interface Look {
  readonly info: CheckpointArchiveInfo;
  readonly isCheckpoint: boolean;
}

function assertPlain(path: string): void {
  if (!path.startsWith('/') || posix.normalize(path) !== path || (path !== '/' && path.endsWith('/')))
    throw new Error(`${path} is not a plain absolute path`);
}

/** null: there is no such directory. */
async function inHostDirectory<T>(
  hostRoot: string,
  directory: string,
  act: (directory: OpenDirectory) => Promise<T>,
): Promise<T | null> {
  try {
    return await inDirectory(hostRoot, directory, 'All', act);
  } catch (error) {
    if (error instanceof NotADirectory) return null;
    throw error;
  }
}

async function listIn(
  directory: OpenDirectory,
  path: string,
  read: FileReader,
): Promise<CheckpointArchiveInfo[]> {
  const found: CheckpointArchiveInfo[] = [];
  for (const name of (await readdir(directory.at('.'))).sort()) {
    const look = await lookAt(directory, posix.join(path, name), read);
    if (look?.isCheckpoint === true) found.push(look.info);
  }
  return found;
}

async function foldersIn(directory: OpenDirectory, path: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await readdir(directory.at('.'))).sort()) {
    const stat = await orAbsent(lstat(directory.at(name)));
    if (stat?.isDirectory() !== true) continue;
    const inventory = await orAbsent(lstat(directory.at(name) + `/${INVENTORY}`));
    if (inventory === null) found.push(posix.join(path, name));
  }
  return found;
}

/** null: nothing has that name, or not any more. */
async function lookAt(directory: OpenDirectory, path: string, read: FileReader): Promise<Look | null> {
  const name = posix.basename(path);
  const stat = await orAbsent(lstat(directory.at(name)));
  if (stat === null) return null;
  if (!stat.isFile() && !stat.isDirectory())
    return lookOf(
      { path, stat, pinned: false },
      stat.size,
      nothingThere('is neither a file nor a directory'),
    );
  const handle = await openAs(directory, name, stat);
  if (handle === null) return null;
  try {
    const opened = await handle.stat();
    const file = { path, stat: opened, pinned: await isPinned(directory, name) };
    if (opened.isDirectory()) {
      const inside = openDirectory(handle);
      return lookOf(file, await measureTree(inside), await treeContents(inside));
    }
    return opened.isFile() ? lookOf(file, opened.size, await read(handle, opened)) : null;
  } finally {
    await handle.close();
  }
}

/** null: it has been replaced by something else meanwhile, or removed. */
async function openAs(directory: OpenDirectory, name: string, stat: Stats): Promise<FileHandle | null> {
  try {
    if (stat.isDirectory()) return await openInside(directory, name);
    return await open(directory.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoName(error) ?? '')) return null;
    throw error;
  }
}

interface Seen {
  readonly path: string;
  readonly stat: Stats;
  readonly pinned: boolean;
}

function lookOf({ path, stat, pinned }: Seen, sizeBytes: number, contents: Contents): Look {
  const faults = [...accessFaults(stat), ...contents.faults];
  return {
    info: {
      path,
      device: stat.dev,
      inode: stat.ino,
      sizeBytes,
      modifiedMs: Math.trunc(stat.mtimeMs),
      pinned,
      identity: contents.identity,
      fault: faults.length === 0 ? null : faults.join('; '),
    },
    isCheckpoint: contents.isCheckpoint,
  };
}

/** An archive holds the memory of a process: passwords and keys. */
function accessFaults(stat: Stats): string[] {
  const wanted = stat.isDirectory() ? DIRECTORY_MODE : FILE_MODE;
  const mode = stat.mode & 0o7777;
  return [
    ...(stat.uid === 0 ? [] : [`belongs to user ${stat.uid}, not to root`]),
    ...(mode === wanted ? [] : [`has mode 0${mode.toString(8)}, not 0${wanted.toString(8)}`]),
  ];
}

/** runc and Docker note nothing about the container in it. */
async function treeContents(directory: OpenDirectory): Promise<Contents> {
  const inventory = await orAbsent(lstat(directory.at(INVENTORY)));
  if (inventory?.isFile() !== true || inventory.size === 0) return nothingThere(`has no ${INVENTORY}`);
  return { identity: NO_IDENTITY, faults: [], isCheckpoint: true };
}

function nothingThere(fault: string): Contents {
  return { identity: NO_IDENTITY, faults: [fault], isCheckpoint: false };
}

/** Whatever it is that has the name: people want to keep the archive. */
async function isPinned(directory: OpenDirectory, name: string): Promise<boolean> {
  try {
    return (await orAbsent(lstat(directory.at(`${name}${KEEP_SUFFIX}`)))) !== null;
  } catch (error) {
    if (errnoName(error) === 'ENAMETOOLONG') return false;
    throw error;
  }
}

async function remove(
  hostRoot: string,
  file: ArchiveFile,
  directories: readonly string[],
): Promise<ArchiveRemoval> {
  assertPlain(file.path);
  const directory = posix.dirname(file.path);
  if (!directories.includes(directory)) throw new Error(`${file.path} is not in a directory of archives`);
  const removal = await inDirectory(hostRoot, directory, 'OfRoot', (opened) => removeIn(opened, file));
  const parent = posix.dirname(directory);
  if (removal === 'Removed' && parent !== directory && directories.includes(parent))
    await inDirectory(hostRoot, parent, 'OfRoot', (opened) => dropIfEmpty(opened, posix.basename(directory)));
  return removal ?? 'Gone';
}

async function removeIn(directory: OpenDirectory, file: ArchiveFile): Promise<ArchiveRemoval> {
  const name = posix.basename(file.path);
  const stat = await orAbsent(lstat(directory.at(name)));
  if (stat === null) return 'Gone';
  if (stat.dev !== file.device || stat.ino !== file.inode) return 'Replaced';
  if (!stat.isFile() && !stat.isDirectory())
    throw new Error(`${file.path} is neither a file nor a directory`);
  if (await isPinned(directory, name)) return 'Pinned';
  if (stat.isDirectory()) await emptyThat(directory, name, file);
  // Nothing of ours runs between this look and the removal.
  if (!isStill(directory, name, file)) return 'Replaced';
  if (stat.isDirectory()) rmdirSync(directory.at(name));
  else unlinkSync(directory.at(name));
  await directory.handle.sync();
  return 'Removed';
}

async function emptyThat(directory: OpenDirectory, name: string, file: ArchiveFile): Promise<void> {
  const handle = await openInside(directory, name);
  try {
    const { dev, ino } = await handle.stat();
    if (dev === file.device && ino === file.inode) await emptyTree(openDirectory(handle));
  } finally {
    await handle.close();
  }
}

function dropIfEmpty(parent: OpenDirectory, name: string): Promise<void> {
  try {
    rmdirSync(parent.at(name));
  } catch (error) {
    // Not empty, gone already, or a mount point: it stays, and does no harm.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY', 'ENOTDIR'].includes(errnoName(error) ?? '')) throw error;
  }
  return Promise.resolve();
}
