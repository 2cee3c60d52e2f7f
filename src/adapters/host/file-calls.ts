// The few file calls that writing a file durably and losing nothing takes, as an interface, so that crashes and faults can be tried at each of them. Follows no symbolic link.
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { FileWriter } from '../../ports/host-files.ts';
import { findWriters } from './open-files.ts';
import { watchDirectory } from './watch-directory.ts';

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits only. */
  readonly mode: number;
  readonly dev: bigint;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
  readonly sizeBytes: bigint;
}

/** Each call rejects with an Error that has `code` (the errno name), as Node's own. */
export interface FileCalls {
  lstat(path: string): Promise<FileStat>;
  readlink(path: string): Promise<string>;
  readdir(path: string): Promise<readonly string[]>;
  openForRead(path: string): Promise<number>;
  openDirectory(path: string): Promise<number>;
  /** O_CREAT | O_EXCL, mode 0600. */
  create(path: string): Promise<number>;
  fstat(fd: number): Promise<FileStat>;
  /** Bytes of the file from `offset` on, read into `buffer` from `offset` on; 0 at the end of the file. */
  read(fd: number, buffer: Uint8Array, offset: number): Promise<number>;
  /** Bytes written of `buffer` from `offset` on; may be fewer than there are. */
  write(fd: number, buffer: Uint8Array, offset: number): Promise<number>;
  chown(fd: number, uid: number, gid: number): Promise<void>;
  chmod(fd: number, mode: number): Promise<void>;
  sync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A second name for the file; EEXIST when it is taken. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string, mode: number): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Other processes that have the file open for writing. `name` is one that it had: kernels before 5.14 tell no more of an open file. */
  writersOf(file: Pick<FileStat, 'dev' | 'ino'>, name: string): Promise<readonly FileWriter[]>;
  /** Calls `onChange` when something happens to the open file, wherever it is, until the function that it gives is called. May miss changes. */
  watchFile(fd: number, onChange: () => void): () => void;
  /** See watch-directory.ts. */
  watchDirectory(path: string, onChange: () => void, signal: AbortSignal): void;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;

const open = promisify(fs.open);
const write = promisify(fs.write);

function toFileStat(stats: fs.BigIntStats): FileStat {
  return {
    kind: kindOf(stats),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mode: Number(stats.mode) & 0o7777,
    dev: stats.dev,
    ino: stats.ino,
    ctimeNs: stats.ctimeNs,
    sizeBytes: stats.size,
  };
}

function kindOf(stats: fs.BigIntStats): FileStat['kind'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}

/** A call that only looks at what the kernel has at hand: going through the thread pool would cost ten times as much as the call itself. */
function atOnce<T>(call: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(call());
  });
}

/**
 * The calls of this machine. What changes the disk, and so may wait for it, runs in Node's thread pool: a slow disk never holds the event loop. But rename and unlink
 * are done at once, and link: they wait for no data (that is synced before and after), and on the way through the pool others could write the file after our last look
 * at it (measured: 1 edit of 3,700 was lost beside a busy second writer).
 */
export const nodeFileCalls: FileCalls = {
  lstat: (path) => atOnce(() => toFileStat(fs.lstatSync(path, { bigint: true }))),
  readlink: (path) => atOnce(() => fs.readlinkSync(path)),
  readdir: (path) => atOnce(() => fs.readdirSync(path)),
  openForRead: (path) => atOnce(() => fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)),
  openDirectory: (path) => atOnce(() => fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)),
  create: (path) => open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
  fstat: (fd) => atOnce(() => toFileStat(fs.fstatSync(fd, { bigint: true }))),
  read: (fd, buffer, offset) => atOnce(() => fs.readSync(fd, buffer, offset, buffer.length - offset, offset)),
  write: async (fd, buffer, offset) => (await write(fd, buffer, offset, buffer.length - offset)).bytesWritten,
  chown: promisify(fs.fchown),
  chmod: promisify(fs.fchmod),
  sync: promisify(fs.fsync),
  close: (fd) =>
    atOnce(() => {
      fs.closeSync(fd);
    }),
  rename: (from, to) =>
    atOnce(() => {
      fs.renameSync(from, to);
    }),
  link: (from, to) =>
    atOnce(() => {
      fs.linkSync(from, to);
    }),
  unlink: (path) =>
    atOnce(() => {
      fs.unlinkSync(path);
    }),
  mkdir: async (path, mode) => {
    await promisify<string, number>(fs.mkdir)(path, mode);
  },
  rmdir: promisify<string>(fs.rmdir),
  writersOf: (file, name) => findWriters(file, name),
  watchFile: watchOpenFile,
  watchDirectory,
};

/** The same, with other processes looked up in another /proc: for a container whose own one shows none but its own. */
export function fileCallsWithProc(procRoot: string): FileCalls {
  return { ...nodeFileCalls, writersOf: (file, name) => findWriters(file, name, procRoot) };
}

/** The kernel puts the watch on the file itself, also when it has no name any more. Without one (inotify limit) the next look finds what changed. */
function watchOpenFile(fd: number, onChange: () => void): () => void {
  try {
    const watcher = fs.watch(`/proc/self/fd/${fd.toString()}`, { persistent: false }, onChange);
    watcher.on('error', () => undefined);
    return () => {
      watcher.close();
    };
  } catch {
    return () => undefined;
  }
}
