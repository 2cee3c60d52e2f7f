// Finds in /proc the processes that have a file open for writing. Opens nothing of theirs and changes nothing.
import * as fs from 'node:fs';
import * as posix from 'node:path/posix';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileWriter } from '../../ports/host-files.ts';

interface Wanted {
  readonly dev: bigint;
  readonly ino: bigint;
  /** A part of the names that it has had. */
  readonly name: string;
}

/** The agent answers others at least this often during a search, milliseconds. */
const TURN_MS = 5;
const WRITABLE = 0o200;

/**
 * The processes other than this one that have the file open for writing, in its pid namespace and those below. Costs about 10 us for each descriptor of the host (measured: 4 ms
 * for 430 of 84 processes). Not seen are files that are only mapped, descriptors under way between two processes, and those of a thread with a table of its own.
 */
export async function findWriters(
  { dev, ino }: Pick<Wanted, 'dev' | 'ino'>,
  name: string,
): Promise<readonly FileWriter[]> {
  const wanted = { dev, ino, name };
  const self = fs.readlinkSync('/proc/self');
  const found: FileWriter[] = [];
  let turnMs = performance.now();
  for (const pid of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || pid === self) continue;
    if (hasOpen(pid, wanted)) found.push({ pid: Number(pid), command: commandOf(pid) });
    if (performance.now() - turnMs < TURN_MS) continue;
    await nextTurn();
    turnMs = performance.now();
  }
  return found;
}

function hasOpen(pid: string, wanted: Wanted): boolean {
  const folder = `/proc/${pid}/fd`;
  return (orNull(() => fs.readdirSync(folder)) ?? []).some((fd) => isWriterOf(pid, fd, wanted));
}

/** From the cheapest look to the dearest. Only the last one asks the file system that the file is on, which may not answer if it is another one: so it comes when all else fits. */
function isWriterOf(pid: string, fd: string, { dev, ino, name }: Wanted): boolean {
  const path = `/proc/${pid}/fd/${fd}`;
  const target = orNull(() => fs.readlinkSync(path)) ?? '';
  if (!target.startsWith('/') || target.startsWith('/dev/')) return false;
  // The rights of the link are how the file was opened. Source: Linux fs/proc/fd.c, tid_fd_update_inode().
  const link = orNull(() => fs.lstatSync(path));
  if (link === null || (link.mode & WRITABLE) === 0) return false;
  if (!posix.basename(target).includes(name) && inodeOf(pid, fd) !== ino.toString()) return false;
  const stat = orNull(() => fs.statSync(path, { bigint: true }));
  return stat?.dev === dev && stat.ino === ino;
}

/** null: the kernel is older than 5.14 and does not say. Need not be what stat says of a file on an overlay: then its name has to fit. */
function inodeOf(pid: string, fd: string): string | null {
  const text = orNull(() => fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'));
  return /^ino:\t(\d+)$/m.exec(text ?? '')?.[1] ?? null;
}

function commandOf(pid: string): string {
  return orNull(() => fs.readFileSync(`/proc/${pid}/comm`, 'utf8'))?.trim() ?? '';
}

/** The process has ended meanwhile, or may not be looked at. */
function orNull<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
