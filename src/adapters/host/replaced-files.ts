// Files that were replaced or removed while somebody may still write into them: keeps each open for a while, and under a second name in its directory as long as a process has
// it open for writing, so that no text in it is lost, even when this process is killed. Tells of what was written; brings nothing back itself.
import { hash, randomBytes } from 'node:crypto';
import * as posix from 'node:path/posix';
import type { FileWriter, LateWrite } from '../../ports/host-files.ts';
import { errnoName, orAbsent } from '../errno.ts';
import { discard, readStart } from './durable-file.ts';
import type { FileCalls, FileStat } from './file-calls.ts';
import type { HostPlace } from './host-path.ts';

/** A file that nobody has open may still be written to: a descriptor may be under way between two processes, or in a process that may not be looked at. */
const KEEP_MS = 600_000;
/** More are kept only if each of them holds text that is still to be settled, or has a second name. */
const KEPT_MAX = 16;
const LATE_MAXIMUM_BYTES = 16 * 1024 * 1024;
const REMOVED = 'gone';

export interface ReplacedFile {
  readonly id: string;
  /** As asked for, on the host. */
  readonly path: string;
  readonly filePath: string;
  readonly fd: number;
  readonly dev: bigint;
  readonly ino: bigint;
  /** Its second name; null: it has none. */
  link: string | null;
  /** See LateWrite. */
  before: Uint8Array | null;
  /** The hash of what it holds that is no news. */
  known: string;
  keepUntilMs: number;
  stopWatch: () => void;
}

export interface ReplacedFiles {
  /** Opens the file that is at `place`, which holds `before`: to be kept or dropped. */
  open(path: string, place: HostPlace, before: Uint8Array): Promise<ReplacedFile>;
  /** Gives it a second name where the file system can; `successor`: what is going to be in its place. */
  link(file: ReplacedFile, successor: Uint8Array): Promise<void>;
  /** A second name for it when nothing comes in its place. */
  nameOfRemoved(file: ReplacedFile): string;
  writersOf(file: ReplacedFile): Promise<readonly FileWriter[]>;
  /** To be called once nobody can open it by its path any more. */
  keep(file: ReplacedFile): void;
  /** Takes its second name away if it holds nothing new; `writers`: who was just seen to have it open. */
  conclude(file: ReplacedFile, writers: readonly FileWriter[]): Promise<void>;
  /** It is at its path, or was never taken from there. */
  drop(file: ReplacedFile): Promise<void>;
  /** See HostFiles.lateWrites; `place` is where the path leads to now. */
  late(path: string, place: HostPlace): Promise<readonly LateWrite[]>;
  settle(late: LateWrite): void;
  /** Calls `onLate` with the path when something may have been written into a kept file, until `signal` aborts. */
  watch(onLate: (path: string) => void, signal: AbortSignal): void;
  close(): Promise<void>;
}

/** What the functions below share. */
interface Shelf {
  readonly calls: FileCalls;
  readonly nowMs: () => number;
  kept: ReplacedFile[];
  readonly listeners: Set<(path: string) => void>;
  lastId: number;
}

export function createReplacedFiles(calls: FileCalls, nowMs: () => number): ReplacedFiles {
  const shelf: Shelf = { calls, nowMs, kept: [], listeners: new Set(), lastId: 0 };
  return {
    open: (path, { filePath }, before) => open(shelf, { path, filePath, openAt: filePath }, before),
    link: (file, successor) => link(calls, file, successor),
    nameOfRemoved: (file) => secondName(file, REMOVED),
    writersOf: (file) => writersOf(calls, file),
    keep: (file) => {
      keep(shelf, file);
    },
    conclude: (file, writers) => conclude(shelf, file, writers),
    drop: (file) => drop(shelf, file),
    late: (path, place) => late(shelf, path, place),
    settle: ({ id, content, sha256 }) => {
      const file = shelf.kept.find((one) => one.id === id);
      if (file !== undefined) Object.assign(file, { before: content, known: short(sha256) });
    },
    watch: (onLate, signal) => {
      shelf.listeners.add(onLate);
      signal.addEventListener('abort', () => shelf.listeners.delete(onLate));
    },
    close: async () => {
      for (const file of [...shelf.kept]) await letGo(shelf, file);
    },
  };
}

interface Whereabouts {
  readonly path: string;
  readonly filePath: string;
  readonly openAt: string;
}

async function open(
  shelf: Shelf,
  { path, filePath, openAt }: Whereabouts,
  before: Uint8Array,
): Promise<ReplacedFile> {
  const fd = await shelf.calls.openForRead(openAt);
  const { dev, ino } = await orClose(shelf.calls, fd, () => shelf.calls.fstat(fd));
  shelf.lastId += 1;
  return {
    id: shelf.lastId.toString(),
    path,
    filePath,
    fd,
    dev,
    ino,
    link: null,
    before,
    known: hashOf(before),
    keepUntilMs: shelf.nowMs() + KEEP_MS,
    stopWatch: () => undefined,
  };
}

async function orClose<T>(calls: FileCalls, fd: number, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    await calls.close(fd);
    throw error;
  }
}

async function link(calls: FileCalls, file: ReplacedFile, successor: Uint8Array): Promise<void> {
  const name = secondName(file, hashOf(successor));
  try {
    await calls.link(file.filePath, name);
    file.link = name;
  } catch (error) {
    if (!isWithoutLinks(error)) throw error;
  }
}

/** The file system knows no hard links, or the file may have none. What else is wrong with it, if something is, a rename will say. */
export function isWithoutLinks(error: unknown): boolean {
  const codes = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV', 'ENOSYS'];
  return codes.includes(errnoName(error) ?? '');
}

/** The name says what was in the file and what took its place: all that a later process needs to tell what is new, and whether the path has been left alone since. */
function secondName({ filePath, known }: ReplacedFile, successor: string): string {
  const random = randomBytes(4).toString('hex');
  const name = `${linkPrefix(filePath)}${known}-${successor}-${random}.old`;
  return posix.join(posix.dirname(filePath), name);
}

function linkPrefix(filePath: string): string {
  return `.ghostlimit-${posix.basename(filePath)}.`;
}

/** null: not a second name of a file that was at `filePath`. */
function parseSecondName(
  filePath: string,
  name: string,
): { readonly known: string; readonly successor: string } | null {
  const prefix = linkPrefix(filePath);
  if (!name.startsWith(prefix)) return null;
  const pattern = /^(?<known>[0-9a-f]{16})-(?<successor>[0-9a-f]{16}|gone)-[0-9a-f]{8}\.old$/;
  const { known, successor } = pattern.exec(name.slice(prefix.length))?.groups ?? {};
  return known === undefined || successor === undefined ? null : { known, successor };
}

function hashOf(content: Uint8Array): string {
  return short(hash('sha256', content, 'hex'));
}

function short(sha256: string): string {
  return sha256.slice(0, 16);
}

function writersOf(calls: FileCalls, file: ReplacedFile): Promise<readonly FileWriter[]> {
  return calls.writersOf(file, posix.basename(file.filePath));
}

async function contentOf(calls: FileCalls, { fd }: ReplacedFile): Promise<Uint8Array> {
  const { sizeBytes } = await calls.fstat(fd);
  return readStart(calls, fd, { sizeBytes, maximumBytes: LATE_MAXIMUM_BYTES });
}

async function isChanged(calls: FileCalls, file: ReplacedFile): Promise<boolean> {
  return hashOf(await contentOf(calls, file)) !== file.known;
}

function keep(shelf: Shelf, file: ReplacedFile): void {
  shelf.kept.push(file);
  file.stopWatch = shelf.calls.watchFile(file.fd, () => {
    void tell(shelf, file);
  });
}

async function tell(shelf: Shelf, file: ReplacedFile): Promise<void> {
  // An event that comes with the end finds nothing to read: what has a second name is found by the next look.
  const changed = await isChanged(shelf.calls, file).catch(() => false);
  if (changed) for (const onLate of shelf.listeners) onLate(file.path);
}

async function conclude(shelf: Shelf, file: ReplacedFile, writers: readonly FileWriter[]): Promise<void> {
  if (writers.length === 0 && !(await isChanged(shelf.calls, file))) await unlinkSecondName(shelf, file);
  await trim(shelf);
}

async function unlinkSecondName({ calls }: Shelf, file: ReplacedFile): Promise<void> {
  if (file.link === null) return;
  await orAbsent(calls.unlink(file.link));
  file.link = null;
}

/** The oldest go that hold nothing new and have no second name. */
async function trim(shelf: Shelf): Promise<void> {
  for (const file of [...shelf.kept]) {
    if (shelf.kept.length <= KEPT_MAX) return;
    if (file.link === null && !(await isChanged(shelf.calls, file))) await letGo(shelf, file);
  }
}

async function letGo(shelf: Shelf, file: ReplacedFile): Promise<void> {
  shelf.kept = shelf.kept.filter((one) => one !== file);
  file.stopWatch();
  await shelf.calls.close(file.fd);
}

async function drop(shelf: Shelf, file: ReplacedFile): Promise<void> {
  await letGo(shelf, file);
  if (file.link !== null) await discard(shelf.calls, file.link);
}

async function late(shelf: Shelf, path: string, place: HostPlace): Promise<readonly LateWrite[]> {
  await adopt(shelf, path, place);
  const found: LateWrite[] = [];
  for (const file of shelf.kept.filter((one) => one.path === path)) {
    const write = await look(shelf, file);
    if (write !== null) found.push(write);
  }
  await trim(shelf);
  return found;
}

/** null: nothing new is in it. */
async function look(shelf: Shelf, file: ReplacedFile): Promise<LateWrite | null> {
  const { calls } = shelf;
  const isOver = shelf.nowMs() >= file.keepUntilMs;
  if (file.link === null && !isOver && !(await isChanged(calls, file))) return null;
  // In this order: who has written and closed it since the first look is seen by the second.
  const writers = await writersOf(calls, file);
  const content = await contentOf(calls, file);
  const sha256 = hash('sha256', content, 'hex');
  const { id, path, before } = file;
  if (short(sha256) !== file.known) return { id, path, before, content, sha256, writers };
  if (writers.length > 0) return null;
  await unlinkSecondName(shelf, file);
  if (isOver) await letGo(shelf, file);
  return null;
}

/** Takes over what a process that is gone has left under second names. */
async function adopt(shelf: Shelf, path: string, place: HostPlace): Promise<void> {
  if (!place.directoryPresent) return;
  const { calls, kept } = shelf;
  const names = (await orAbsent(calls.readdir(place.directoryPath))) ?? [];
  for (const name of names) {
    const said = parseSecondName(place.filePath, name);
    const link = posix.join(place.directoryPath, name);
    if (said === null || kept.some((file) => file.link === link)) continue;
    const stat = await orAbsent(calls.lstat(link));
    if (stat === null || stat.kind !== 'file') continue;
    if (isSame(stat, place.stat)) await orAbsent(calls.unlink(link));
    else await adoptOne(shelf, { path, filePath: place.filePath, openAt: link }, said);
  }
}

async function adoptOne(
  shelf: Shelf,
  where: Whereabouts,
  { known, successor }: { readonly known: string; readonly successor: string },
): Promise<void> {
  const file = await open(shelf, where, new Uint8Array());
  file.link = where.openAt;
  file.known = known;
  file.before = await orClose(shelf.calls, file.fd, () => carriedOver(shelf, where, successor));
  keep(shelf, file);
}

/** What took the file's place has all that others had written in it; null: something else is there now. */
async function carriedOver(
  { calls }: Shelf,
  { filePath }: Whereabouts,
  successor: string,
): Promise<Uint8Array | null> {
  const fd = await orAbsent(calls.openForRead(filePath));
  if (fd === null) return successor === REMOVED ? new Uint8Array() : null;
  try {
    const { sizeBytes } = await calls.fstat(fd);
    const content = await readStart(calls, fd, { sizeBytes, maximumBytes: LATE_MAXIMUM_BYTES });
    return hashOf(content) === successor ? content : null;
  } finally {
    await calls.close(fd);
  }
}

function isSame(one: FileStat, other: FileStat | null): boolean {
  return other !== null && one.dev === other.dev && one.ino === other.ino;
}
