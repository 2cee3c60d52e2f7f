// The state folder on disk: small documents, each written durably, readable by root only, and the locks between processes. Knows nothing of what is in them.
import * as posix from 'node:path/posix';
import type { StateStore } from '../../ports/state-store.ts';
import { errnoName, orAbsent } from '../errno.ts';
import {
  discard,
  makeDirectory,
  readToEnd,
  sweepTemporaries,
  syncDirectory,
  writeTemporary,
} from './durable-file.ts';
import { nodeFileCalls, type FileCalls } from './file-calls.ts';
import { hostFileError } from './host-file-fault.ts';
import { takeLock } from './process-lock.ts';

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;
/** Documents are reports, notes and ledgers; more is a mistake. */
const MAXIMUM_DOCUMENT_BYTES = 64 * 1024 * 1024;
/** Not a document name, so it never clashes with one. */
const LOCKS = '.locks';

export interface StateFolderOptions {
  /** Absolute path of this process, for example `/var/lib/ghostlimit`. Made at the first write, 0700, parents 0755. */
  readonly directory: string;
  /** Default `/proc`: where processes that hold locks are looked up. They must share our PID namespace. */
  readonly procRoot?: string;
  /** Default: the file calls of this machine. */
  readonly calls?: FileCalls;
}

/** All calls reject with HostFileError when the folder cannot be read or written. */
export function createStateFolder(options: StateFolderOptions): StateStore {
  const calls = options.calls ?? nodeFileCalls;
  const { directory } = options;
  const swept = new Set<string>();
  let prepared = false;

  /** Once a process, as one before may have been killed between a change of the folder and making that durable; and again after a change of ours failed. */
  const prepare = async (): Promise<void> => {
    if (prepared) return;
    await makePrivate(calls, directory);
    await syncDirectory(calls, posix.dirname(directory));
    await syncDirectory(calls, directory);
    prepared = true;
  };

  /** After a failure nobody knows what of it is on the disk: until that is settled, nothing counts as written. */
  const change = async (action: () => Promise<void>): Promise<void> => {
    await prepare();
    prepared = false;
    await action();
    prepared = true;
  };

  const pathOf = (name: string): string => {
    if (!NAME.test(name)) throw new RangeError(`not a document name: ${JSON.stringify(name)}`);
    return posix.join(directory, name);
  };

  return {
    read: async (name) =>
      doing('read', pathOf(name), async (path) => {
        const content = await readDocument(calls, path);
        // What is there counts as kept: so it has to be on the disk.
        if (content !== null) await prepare();
        return content;
      }),

    write: async (name, content) =>
      doing('write', pathOf(name), (path) =>
        change(async () => {
          if (!swept.has(path)) await sweepTemporaries(calls, path);
          swept.add(path);
          await writeDocument(calls, path, content);
        }),
      ),

    remove: async (name) =>
      doing('write', pathOf(name), async (path) => {
        if ((await orAbsent(calls.lstat(path))) === null) return;
        await change(async () => {
          await calls.unlink(path);
          await syncDirectory(calls, directory);
        });
      }),

    list: (prefix) =>
      doing('read', directory, async () => {
        const names = (await orAbsent(calls.readdir(directory))) ?? [];
        return names.filter((name) => NAME.test(name) && name.startsWith(prefix)).sort();
      }),

    lock: async (name, waitMs) =>
      doing('write', pathOf(name), async () => {
        await prepare();
        const locks = posix.join(directory, LOCKS);
        await makePrivate(calls, locks);
        return takeLock({ directory: locks, procRoot: options.procRoot ?? '/proc' }, name, waitMs);
      }),
  };
}

async function readDocument(calls: FileCalls, path: string): Promise<Uint8Array | null> {
  const fd = await orAbsent(calls.openForRead(path));
  if (fd === null) return null;
  try {
    const { sizeBytes } = await calls.fstat(fd);
    return await readToEnd(calls, fd, { sizeBytes, maximumBytes: MAXIMUM_DOCUMENT_BYTES });
  } finally {
    await calls.close(fd);
  }
}

async function writeDocument(calls: FileCalls, path: string, content: Uint8Array): Promise<void> {
  const temporary = await writeTemporary(calls, path, content, () => Promise.resolve());
  try {
    await calls.rename(temporary, path);
  } catch (error) {
    await discard(calls, temporary);
    throw error;
  }
  await syncDirectory(calls, posix.dirname(path));
}

/** Makes the directory 0700, with parents that are missing, or takes the rights of others away from one that is there. */
async function makePrivate(calls: FileCalls, directory: string): Promise<void> {
  const stat = await orAbsent(calls.lstat(directory));
  if (stat === null) {
    await makeParents(calls, posix.dirname(directory));
    await makeDirectory(calls, directory, 0o700);
    return;
  }
  if (stat.kind !== 'directory') throw new Error(`${directory} is not a directory`);
  if (stat.mode === 0o700) return;
  const fd = await calls.openDirectory(directory);
  try {
    await calls.chmod(fd, 0o700);
  } finally {
    await calls.close(fd);
  }
}

async function makeParents(calls: FileCalls, directory: string): Promise<void> {
  if ((await orAbsent(calls.lstat(directory))) !== null) return;
  await makeParents(calls, posix.dirname(directory));
  await makeDirectory(calls, directory, 0o755);
}

async function doing<T>(
  what: 'read' | 'write',
  path: string,
  action: (path: string) => Promise<T>,
): Promise<T> {
  try {
    return await action(path);
  } catch (error) {
    throw errnoName(error) === null ? error : hostFileError(what, path, error);
  }
}
