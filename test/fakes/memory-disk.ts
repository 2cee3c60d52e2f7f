// A disk in memory behind the file calls: what was fsynced survives a power cut, of the rest any part. Faults, short writes, kills and power cuts at any call; other programs that
// hold a file open.
import * as posix from 'node:path/posix';
import type { FileCalls, FileStat } from '../../src/adapters/host/file-calls.ts';
import type { FileWriter } from '../../src/ports/host-files.ts';

/** Thrown by every call once the process is "dead". Has no errno name. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash';
}

interface Inode {
  readonly ino: bigint;
  readonly kind: FileStat['kind'];
  content: Uint8Array;
  /** What is on the disk; null: nothing yet. */
  durable: Uint8Array | null;
  uid: number;
  gid: number;
  mode: number;
  ctimeNs: bigint;
}

/** One change of a directory: names and what they lead to afterwards (null: nothing). */
interface EntryChange {
  readonly directory: string;
  readonly changes: readonly (readonly [path: string, inode: Inode | null])[];
}

export interface Fault {
  readonly call: keyof FileCalls;
  readonly code: string;
  /** How many calls of that name pass before; default 0. */
  after?: number;
  /** Default: once. */
  readonly always?: boolean;
}

/** A program that has a file open for writing: what it writes goes into that file, wherever it is by then, and is on the disk. */
export interface OpenWriter {
  readonly pid: number;
  /** Cuts the file and writes it anew. */
  write(text: string): void;
  append(text: string): void;
  close(): void;
}

type Stop = 'before' | 'after';

const EMPTY = new Uint8Array();

/** Of calls that are not named after theirs. */
const SYSCALLS: Readonly<Partial<Record<string, string>>> = {
  create: 'open',
  openForRead: 'open',
  openDirectory: 'open',
};

function failure(code: string, call: string, path: string): Error {
  const syscall = SYSCALLS[call] ?? call;
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code, syscall });
}

/** `random` gives numbers in 0..1; it decides what of the unsynced changes a power cut leaves. */
export class MemoryDisk {
  readonly faults: Fault[] = [];
  /** Writes take at most this many bytes. */
  longestWrite = Infinity;
  /** Called before each call; the place for somebody else's edit in between. */
  onCall: ((call: keyof FileCalls, path: string) => void) | null = null;
  readonly calls: FileCalls;
  callCount = 0;

  readonly #random: () => number;
  readonly #entries = new Map<string, Inode>();
  readonly #durableEntries = new Map<string, Inode>();
  #pending: EntryChange[] = [];
  readonly #open = new Map<number, { inode: Inode; path: string; offset: number }>();
  readonly #listeners = new Set<{ directory: string; notify: () => void }>();
  readonly #fileListeners = new Map<Inode, Set<() => void>>();
  readonly #writers = new Map<number, Inode>();
  #nextPid = 500;
  #nextFd = 3;
  #nextInode = 2n;
  #clockNs = 1_000n;
  #stopAt: { call: number; when: Stop } | null = null;
  #stopped = false;

  constructor(random: () => number = Math.random) {
    this.#random = random;
    this.#entries.set('/', this.#inode('directory', 0o755, EMPTY));
    this.#settle();
    this.calls = this.#fileCalls();
  }

  // What somebody else does: at once and durably.

  put(path: string, content: Uint8Array): void {
    this.#makeParents(path);
    const known = this.#entries.get(path);
    if (known === undefined) this.#entries.set(path, this.#inode('file', 0o644, content));
    else this.#touch(known).content = content;
    this.#settle(path);
  }

  /** As an editor or Ansible does: a new file in the old one's place. */
  putByRename(path: string, content: Uint8Array): void {
    this.#entries.delete(path);
    this.put(path, content);
  }

  open(path: string): OpenWriter {
    const inode = this.#get(path, 'open');
    this.#nextPid += 1;
    const pid = this.#nextPid;
    this.#writers.set(pid, inode);
    const store = (content: Uint8Array): void => {
      this.#touch(inode).content = content;
      inode.durable = content;
      for (const notify of this.#fileListeners.get(inode) ?? []) queueMicrotask(notify);
      for (const [name, at] of this.#entries) if (at === inode) this.#notify(posix.dirname(name));
    };
    return {
      pid,
      write: (text) => {
        store(Buffer.from(text, 'latin1'));
      },
      append: (text) => {
        store(Buffer.concat([inode.content, Buffer.from(text, 'latin1')]));
      },
      close: () => {
        this.#writers.delete(pid);
      },
    };
  }

  link(path: string, target: string): void {
    this.#makeParents(path);
    this.#entries.set(path, this.#inode('link', 0o777, new TextEncoder().encode(target)));
    this.#settle(path);
  }

  mkdir(path: string, { mode = 0o755, uid = 0 } = {}): void {
    this.#makeParents(posix.join(path, 'x'));
    Object.assign(this.#get(path), { mode, uid });
    this.#settle(path);
  }

  delete(path: string): void {
    for (const entry of [...this.#entries.keys()])
      if (entry === path || entry.startsWith(`${path}/`)) this.#entries.delete(entry);
    this.#settle(path);
  }

  bytes(path: string): Uint8Array | null {
    return this.#entries.get(path)?.content ?? null;
  }

  mode(path: string): number | null {
    return this.#entries.get(path)?.mode ?? null;
  }

  setMode(path: string, mode: number): void {
    this.#touch(this.#get(path)).mode = mode;
  }

  setOwner(path: string, uid: number, gid: number): void {
    Object.assign(this.#touch(this.#get(path)), { uid, gid });
  }

  isLink(path: string): boolean {
    return this.#entries.get(path)?.kind === 'link';
  }

  /** How many files our process has open. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Names in a directory, sorted; null: there is no directory. */
  names(directory: string): readonly string[] | null {
    if (this.#entries.get(directory)?.kind !== 'directory') return null;
    const below = [...this.#entries.keys()].filter(
      (path) => path !== '/' && posix.dirname(path) === directory,
    );
    return below.map((path) => posix.basename(path)).sort();
  }

  watch(directory: string, notify: () => void, signal: AbortSignal): void {
    const listener = { directory, notify };
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener));
  }

  // Crashes.

  /** The process dies at the call number `call` from now on (1: the next one), before or after it took effect. */
  stopAt(call: number, when: Stop): void {
    this.#stopAt = { call: this.callCount + call, when };
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** The end that stopAt had in mind does not come. */
  goOn(): void {
    this.#stopAt = null;
  }

  /** A new process on the same kernel: everything written is there, synced or not. */
  restart(): void {
    this.#stopped = false;
    this.#stopAt = null;
    this.#open.clear();
    this.#fileListeners.clear();
  }

  /** The machine loses power and comes up again: of what was not synced, any part is left. */
  cutPower(): void {
    this.#writers.clear();
    for (const { changes } of this.#pending)
      if (this.#random() < 0.5) for (const change of changes) this.#applyTo(this.#durableEntries, change);
    this.#pending = [];
    this.#entries.clear();
    for (const [path, inode] of this.#durableEntries) {
      const reachable = path === '/' || this.#durableEntries.has(posix.dirname(path));
      if (reachable) this.#entries.set(path, inode);
      inode.content = this.#leftOf(inode);
    }
    this.restart();
    this.#settle();
  }

  #leftOf(inode: Inode): Uint8Array {
    if (inode.durable === inode.content) return inode.content;
    const choice = this.#random();
    if (choice < 0.3) return inode.durable ?? EMPTY;
    const length = Math.floor(this.#random() * (inode.content.length + 1));
    return choice < 0.7 ? inode.content.slice(0, length) : new Uint8Array(length);
  }

  #inode(kind: Inode['kind'], mode: number, content: Uint8Array): Inode {
    this.#nextInode += 1n;
    this.#clockNs += 1n;
    return {
      ino: this.#nextInode,
      kind,
      content,
      durable: null,
      uid: 0,
      gid: 0,
      mode,
      ctimeNs: this.#clockNs,
    };
  }

  #touch(inode: Inode): Inode {
    this.#clockNs += 1n;
    inode.ctimeNs = this.#clockNs;
    return inode;
  }

  #makeParents(path: string): void {
    const parent = posix.dirname(path);
    if (this.#entries.has(parent)) return;
    this.#makeParents(parent);
    this.#entries.set(parent, this.#inode('directory', 0o755, EMPTY));
  }

  /** What is at `path` now, and the directories above it, is on the disk; without a path: everything. */
  #settle(path?: string): void {
    if (path === undefined) {
      this.#pending = [];
      this.#durableEntries.clear();
      for (const entry of this.#entries.keys()) this.#settleEntry(entry);
      return;
    }
    this.#pending = this.#pending.map(({ directory, changes }) => ({
      directory,
      changes: changes.filter(([changed]) => changed !== path && !changed.startsWith(`${path}/`)),
    }));
    for (const entry of this.#durableEntries.keys())
      if (entry.startsWith(`${path}/`) && !this.#entries.has(entry)) this.#durableEntries.delete(entry);
    for (let entry = path; entry !== '/'; entry = posix.dirname(entry)) this.#settleEntry(entry);
    this.#notify(posix.dirname(path));
  }

  #settleEntry(path: string): void {
    const inode = this.#entries.get(path);
    if (inode === undefined) {
      this.#durableEntries.delete(path);
      return;
    }
    inode.durable = inode.content;
    this.#durableEntries.set(path, inode);
  }

  #notify(directory: string): void {
    for (const listener of this.#listeners)
      if (listener.directory === directory) queueMicrotask(listener.notify);
  }

  #applyTo(entries: Map<string, Inode>, [path, inode]: readonly [string, Inode | null]): void {
    if (inode === null) entries.delete(path);
    else entries.set(path, inode);
  }

  #change(directory: string, changes: EntryChange['changes']): void {
    for (const change of changes) this.#applyTo(this.#entries, change);
    this.#pending.push({ directory, changes });
    this.#notify(directory);
  }

  #get(path: string, call = 'lstat'): Inode {
    const parent = posix.dirname(path);
    if (path !== '/' && this.#entries.get(parent)?.kind !== 'directory') throw failure('ENOENT', call, path);
    const inode = this.#entries.get(path);
    if (inode === undefined) throw failure('ENOENT', call, path);
    return inode;
  }

  #file(fd: number): { inode: Inode; path: string; offset: number } {
    const file = this.#open.get(fd);
    if (file === undefined) throw failure('EBADF', 'fd', fd.toString());
    return file;
  }

  #openInode(inode: Inode, path: string): number {
    this.#nextFd += 1;
    this.#open.set(this.#nextFd, { inode, path, offset: 0 });
    return this.#nextFd;
  }

  #stat({ kind, uid, gid, mode, ino, ctimeNs, content }: Inode): FileStat {
    return { kind, uid, gid, mode, dev: 1n, ino, ctimeNs, sizeBytes: BigInt(content.length) };
  }

  /** One call: counted, perhaps failing, perhaps the last one. */
  #run<T>(call: keyof FileCalls, path: string, act: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (this.#stopped) throw new SimulatedCrash();
      this.callCount += 1;
      this.onCall?.(call, path);
      const last = this.#stopAt?.call === this.callCount ? this.#stopAt.when : null;
      if (last === 'before') this.#stop();
      const fault = this.#faultAt(call);
      if (fault !== null) throw failure(fault, call, path);
      const result = act();
      if (last === 'after') this.#stop();
      resolve(result);
    });
  }

  #stop(): never {
    this.#stopped = true;
    throw new SimulatedCrash();
  }

  #faultAt(call: keyof FileCalls): string | null {
    for (const [index, fault] of this.faults.entries()) {
      if (fault.call !== call) continue;
      if ((fault.after ?? 0) > 0) {
        fault.after = (fault.after ?? 0) - 1;
        continue;
      }
      if (fault.always !== true) this.faults.splice(index, 1);
      return fault.code;
    }
    return null;
  }

  #fileCalls(): FileCalls {
    const run = this.#run.bind(this);
    return {
      lstat: (path) => run('lstat', path, () => this.#stat(this.#get(path))),
      readlink: (path) => run('readlink', path, () => new TextDecoder().decode(this.#get(path).content)),
      readdir: (path) =>
        run('readdir', path, () => {
          const names = this.names(path);
          if (names === null) throw failure('ENOENT', 'scandir', path);
          return names;
        }),
      openForRead: (path) => run('openForRead', path, () => this.#openInode(this.#get(path, 'open'), path)),
      openDirectory: (path) =>
        run('openDirectory', path, () => this.#openInode(this.#get(path, 'open'), path)),
      create: (path) => run('create', path, () => this.#create(path)),
      fstat: (fd) => run('fstat', this.#open.get(fd)?.path ?? '', () => this.#stat(this.#file(fd).inode)),
      read: (fd, buffer, offset) =>
        run('read', this.#open.get(fd)?.path ?? '', () => this.#read(fd, buffer, offset)),
      write: (fd, buffer, offset) =>
        run('write', this.#open.get(fd)?.path ?? '', () => this.#write(fd, buffer, offset)),
      chown: (fd, uid, gid) =>
        run('chown', this.#open.get(fd)?.path ?? '', () => {
          Object.assign(this.#touch(this.#file(fd).inode), { uid, gid });
        }),
      chmod: (fd, mode) =>
        run('chmod', this.#open.get(fd)?.path ?? '', () => {
          this.#touch(this.#file(fd).inode).mode = mode;
        }),
      sync: (fd) =>
        run('sync', this.#open.get(fd)?.path ?? '', () => {
          this.#sync(fd);
        }),
      close: (fd) =>
        run('close', this.#open.get(fd)?.path ?? '', () => {
          this.#open.delete(fd);
        }),
      rename: (from, to) =>
        run('rename', to, () => {
          this.#rename(from, to);
        }),
      link: (from, to) =>
        run('link', to, () => {
          this.#link(from, to);
        }),
      unlink: (path) =>
        run('unlink', path, () => {
          this.#touch(this.#get(path, 'unlink'));
          this.#change(posix.dirname(path), [[path, null]]);
        }),
      mkdir: (path, mode) =>
        run('mkdir', path, () => {
          this.#mkdir(path, mode);
        }),
      rmdir: (path) =>
        run('rmdir', path, () => {
          this.#rmdir(path);
        }),
      writersOf: (file, name) => run('writersOf', name, () => this.#writersOf(file)),
      watchFile: (fd, onChange) => this.#watchFile(this.#file(fd).inode, onChange),
      watchDirectory: (path, onChange, signal) => {
        this.watch(path, onChange, signal);
      },
    };
  }

  #writersOf({ ino }: Pick<FileStat, 'ino'>): readonly FileWriter[] {
    const open = [...this.#writers].filter(([, inode]) => inode.ino === ino);
    return open.map(([pid]) => ({ pid, command: 'writer' }));
  }

  #watchFile(inode: Inode, onChange: () => void): () => void {
    const listeners = this.#fileListeners.get(inode) ?? new Set();
    this.#fileListeners.set(inode, listeners.add(onChange));
    return () => {
      listeners.delete(onChange);
    };
  }

  #link(from: string, to: string): void {
    const inode = this.#get(from, 'link');
    if (this.#entries.has(to)) throw failure('EEXIST', 'link', to);
    this.#change(posix.dirname(to), [[to, this.#touch(inode)]]);
  }

  #create(path: string): number {
    if (this.#entries.has(path)) throw failure('EEXIST', 'open', path);
    this.#get(posix.dirname(path), 'open');
    const inode = this.#inode('file', 0o600, EMPTY);
    this.#change(posix.dirname(path), [[path, inode]]);
    return this.#openInode(inode, path);
  }

  #read(fd: number, buffer: Uint8Array, offset: number): number {
    const part = this.#file(fd).inode.content.subarray(offset, buffer.length);
    buffer.set(part, offset);
    return part.length;
  }

  #write(fd: number, buffer: Uint8Array, offset: number): number {
    const file = this.#file(fd);
    const part = buffer.subarray(offset, offset + Math.min(this.longestWrite, buffer.length - offset));
    const content = new Uint8Array(file.offset + part.length);
    content.set(file.inode.content);
    content.set(part, file.offset);
    this.#touch(file.inode).content = content;
    file.offset += part.length;
    return part.length;
  }

  #sync(fd: number): void {
    const { inode, path } = this.#file(fd);
    if (inode.kind !== 'directory') {
      inode.durable = inode.content;
      return;
    }
    const mine = this.#pending.filter((change) => change.directory === path);
    for (const { changes } of mine) for (const change of changes) this.#applyTo(this.#durableEntries, change);
    this.#pending = this.#pending.filter((change) => change.directory !== path);
  }

  #rename(from: string, to: string): void {
    const inode = this.#get(from, 'rename');
    if (this.#entries.get(to) === inode) return; // as rename(2): two names of one file both stay
    this.#touch(inode);
    this.#change(posix.dirname(to), [
      [from, null],
      [to, inode],
    ]);
  }

  #mkdir(path: string, mode: number): void {
    if (this.#entries.has(path)) throw failure('EEXIST', 'mkdir', path);
    this.#get(posix.dirname(path), 'mkdir');
    this.#change(posix.dirname(path), [[path, this.#inode('directory', mode, EMPTY)]]);
  }

  #rmdir(path: string): void {
    this.#get(path, 'rmdir');
    if ((this.names(path) ?? []).length > 0) throw failure('ENOTEMPTY', 'rmdir', path);
    this.#change(posix.dirname(path), [[path, null]]);
  }
}
