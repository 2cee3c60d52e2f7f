// Takes a file out of its place, with another in it or none, so that a process that has it open for writing at that moment loses nothing: looks after the step who has it
// open, when nobody can open it any more, and takes the step back if somebody has. A kill on the way leaves the file under its second name (replaced-files.ts).
import { errnoName, orAbsent } from '../errno.ts';
import { readStart } from './durable-file.ts';
import type { FileCalls } from './file-calls.ts';
import type { HostPlace } from './host-path.ts';
import { isWithoutLinks, type ReplacedFile, type ReplacedFiles } from './replaced-files.ts';

export interface Swap {
  readonly calls: FileCalls;
  readonly replaced: ReplacedFiles;
  /** As asked for, on the host. */
  readonly path: string;
  readonly place: HostPlace;
  /** What is in the file. */
  readonly before: Uint8Array;
  readonly despiteWriters: boolean;
}

/** `BeingWritten`: taken back, and as before; `Changed`: the file was not as said, or its path is somebody else's by now. */
export type SwapOutcome = 'Done' | 'Changed' | 'BeingWritten';

/** Puts the file at `temporary`, which holds `content`, in the place of the file that is there. */
export async function putInPlace(swap: Swap, temporary: string, content: Uint8Array): Promise<SwapOutcome> {
  const { calls, replaced, place } = swap;
  const old = await openOld(swap);
  try {
    await replaced.link(old, content);
    if (!(await isUntouched(calls, place.filePath, old, swap.before))) {
      await replaced.drop(old);
      return 'Changed';
    }
    await calls.rename(temporary, place.filePath);
  } catch (error) {
    await replaced.drop(old);
    throw error;
  }
  replaced.keep(old);
  const writers = await replaced.writersOf(old);
  if (writers.length > 0 && !swap.despiteWriters && old.link !== null)
    return putBack(swap, old, old.link, content);
  await replaced.conclude(old, writers);
  return 'Done';
}

/** Puts the file at `temporary` where there is none. */
export async function putNew(calls: FileCalls, temporary: string, filePath: string): Promise<SwapOutcome> {
  try {
    await calls.link(temporary, filePath); // a rename would go over a file that somebody has just made
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return 'Changed';
    if (!isWithoutLinks(error)) throw error;
    await calls.rename(temporary, filePath);
    return 'Done';
  }
  await calls.unlink(temporary);
  return 'Done';
}

/** Takes the file away. */
export async function takeAway(swap: Swap): Promise<SwapOutcome> {
  const { calls, replaced, place } = swap;
  const old = await openOld(swap);
  const link = replaced.nameOfRemoved(old);
  try {
    if (!(await isUntouched(calls, place.filePath, old, swap.before))) {
      await replaced.drop(old);
      return 'Changed';
    }
    await calls.rename(place.filePath, link);
  } catch (error) {
    await replaced.drop(old);
    throw error;
  }
  old.link = link;
  replaced.keep(old);
  const writers = await replaced.writersOf(old);
  if (writers.length > 0 && !swap.despiteWriters) return bringBack(swap, old, link);
  await replaced.conclude(old, writers);
  return 'Done';
}

function openOld({ replaced, path, place, before }: Swap): Promise<ReplacedFile> {
  return replaced.open(path, place, before);
}

/** The open file is the one at the path, and holds `before`. */
async function isUntouched(
  calls: FileCalls,
  filePath: string,
  { fd }: Pick<ReplacedFile, 'fd'>,
  before: Uint8Array,
): Promise<boolean> {
  const opened = await calls.fstat(fd);
  const { sizeBytes } = opened;
  const content = await readStart(calls, fd, { sizeBytes, maximumBytes: before.length + 1 });
  if (Buffer.compare(content, before) !== 0) return false;
  const now = await orAbsent(calls.lstat(filePath));
  return (
    now !== null &&
    now.dev === opened.dev &&
    now.ino === opened.ino &&
    now.ctimeNs === opened.ctimeNs &&
    now.sizeBytes === opened.sizeBytes
  );
}

/** Ours goes again, unless somebody has it open already or has changed it: then both stay, and the old one is kept. */
async function putBack(
  swap: Swap,
  old: ReplacedFile,
  link: string,
  content: Uint8Array,
): Promise<SwapOutcome> {
  const { calls, replaced, path, place } = swap;
  const ours = await replaced.open(path, place, content);
  try {
    const writers = await replaced.writersOf(ours);
    if (writers.length > 0 || !(await isUntouched(calls, place.filePath, ours, content))) {
      await replaced.drop(ours);
      return 'Changed';
    }
    await calls.rename(link, place.filePath);
  } catch (error) {
    await replaced.drop(ours);
    throw error;
  }
  replaced.keep(ours);
  old.link = null;
  await replaced.drop(old);
  return 'BeingWritten';
}

/** Not over a file that somebody has made meanwhile. */
async function bringBack(
  { calls, replaced, place }: Swap,
  old: ReplacedFile,
  link: string,
): Promise<SwapOutcome> {
  try {
    await calls.link(link, place.filePath);
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return 'Changed';
    if (!isWithoutLinks(error)) throw error;
    if ((await orAbsent(calls.lstat(place.filePath))) !== null) return 'Changed';
    await calls.rename(link, place.filePath);
    old.link = null;
  }
  await replaced.drop(old);
  return 'BeingWritten';
}
