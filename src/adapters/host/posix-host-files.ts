// Reads, replaces and removes files of the host, durably and without losing what others write meanwhile. Decides nothing about their content.
import { hash } from 'node:crypto';
import * as posix from 'node:path/posix';
import {
  HostFileError,
  type FileIdentity,
  type FileWriter,
  type HostFiles,
  type HostFileSnapshot,
  type LateWrite,
  type RemoveOptions,
  type RemoveOutcome,
  type ReplaceOptions,
  type ReplaceOutcome,
} from '../../ports/host-files.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { errnoName, orAbsent } from '../errno.ts';
import { attributeKeeper, type AttributeKeeper } from './attributes.ts';
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
import { resolveHostPath, type HostPlace, type HostRules } from './host-path.ts';
import { writeFault } from './immutable-flags.ts';
import { createReplacedFiles, type ReplacedFiles } from './replaced-files.ts';
import { putInPlace, putNew, takeAway, type Swap, type SwapOutcome } from './swap-file.ts';

/** CRIU files are a few lines; what is larger is not one. */
export const MAXIMUM_FILE_BYTES = 1024 * 1024;

export interface PosixHostFilesOptions extends HostRules {
  /** Runs `cp` to keep ACLs and extended attributes, and `lsattr`; null: only owner and mode are kept. */
  readonly processes: ProcessRunner | null;
  /** Default: the file calls of this machine. */
  readonly calls?: FileCalls;
  /** Monotonic milliseconds; default: of this machine. */
  readonly nowMs?: () => number;
}

/** What the calls below share: one adapter. */
interface Host {
  readonly calls: FileCalls;
  readonly rules: HostRules;
  readonly processes: ProcessRunner | null;
  readonly attributes: AttributeKeeper;
  readonly replaced: ReplacedFiles;
  /** Directories that were changed and not yet put on the disk: to be done before their files count as written. */
  readonly unsynced: Set<string>;
  /** Files whose left-overs were swept. */
  readonly swept: Set<string>;
  /** Paths that recover() is done with. */
  readonly recovered: Set<string>;
}

interface Reading {
  readonly place: HostPlace;
  readonly snapshot: HostFileSnapshot;
}

export function createPosixHostFiles(options: PosixHostFilesOptions): HostFiles {
  const calls = options.calls ?? nodeFileCalls;
  const host: Host = {
    calls,
    rules: options,
    processes: options.processes,
    attributes: attributeKeeper(calls, options),
    replaced: createReplacedFiles(calls, options.nowMs ?? (() => performance.now())),
    unsynced: new Set(),
    swept: new Set(),
    recovered: new Set(),
  };
  return {
    read: async (path) => (await read(host, path)).snapshot,
    replace: (snapshot, content, change = {}) => replace(host, { snapshot, content, change }),
    remove: (snapshot, change) => remove(host, snapshot, change),
    writers: (path) => writers(host, path),
    lateWrites: (path) => lateWrites(host, path),
    settle: (late) => {
      host.replaced.settle(late);
    },
    watch: (path, onChange, signal) => {
      const directory = posix.dirname(path);
      calls.watchDirectory(posix.join(options.hostRoot, directory), onChange, signal);
      const onLate = (changed: string): void => {
        if (posix.dirname(changed) === directory) onChange();
      };
      host.replaced.watch(onLate, signal);
    },
    recover: (path) => recover(host, path),
    close: () => host.replaced.close(),
  };
}

async function read(host: Host, path: string): Promise<Reading> {
  const place = await resolveHostPath(host.calls, host.rules, path);
  await doing('write', path, () => finishSyncs(host, place));
  const { targetPath, directoryPresent } = place;
  if (place.stat === null)
    return { place, snapshot: { path, targetPath, content: null, identity: null, directoryPresent } };
  const { content, identity } = await doing('read', path, () => readContent(host.calls, place.filePath));
  return { place, snapshot: { path, targetPath, content, identity, directoryPresent } };
}

async function readContent(
  calls: FileCalls,
  filePath: string,
): Promise<{ content: Uint8Array; identity: FileIdentity }> {
  const fd = await calls.openForRead(filePath);
  try {
    const { dev, ino, ctimeNs, sizeBytes } = await calls.fstat(fd);
    const content = await readToEnd(calls, fd, { sizeBytes, maximumBytes: MAXIMUM_FILE_BYTES });
    const sha256 = hash('sha256', content, 'hex');
    return { content, identity: { dev, ino, ctimeNs, sizeBytes, sha256 } };
  } finally {
    await calls.close(fd);
  }
}

function sameFile(one: HostFileSnapshot, other: HostFileSnapshot): boolean {
  if (one.targetPath !== other.targetPath) return false;
  if (one.identity === null || other.identity === null) return one.identity === other.identity;
  return (
    one.identity.dev === other.identity.dev &&
    one.identity.ino === other.identity.ino &&
    one.identity.ctimeNs === other.identity.ctimeNs &&
    one.identity.sha256 === other.identity.sha256
  );
}

/** The last look before the file is replaced or removed: with file calls that are done at once nothing else of this process comes between the two. */
async function isStill(
  calls: FileCalls,
  { filePath }: HostPlace,
  { identity }: HostFileSnapshot,
): Promise<boolean> {
  const stat = await orAbsent(calls.lstat(filePath));
  if (stat === null || identity === null) return stat === identity;
  return (
    stat.dev === identity.dev &&
    stat.ino === identity.ino &&
    stat.ctimeNs === identity.ctimeNs &&
    stat.sizeBytes === identity.sizeBytes
  );
}

function sameBytes(one: Uint8Array | null, other: Uint8Array): boolean {
  return one !== null && Buffer.compare(one, other) === 0;
}

interface Replacement {
  readonly snapshot: HostFileSnapshot;
  readonly content: Uint8Array;
  readonly change: ReplaceOptions;
}

async function replace(host: Host, { snapshot, content, change }: Replacement): Promise<ReplaceOutcome> {
  const { path } = snapshot;
  if (content.length > MAXIMUM_FILE_BYTES)
    throw new HostFileError('WriteFailed', path, 'EFBIG', `${path} would be larger than 1 MiB`);
  const { place, snapshot: now } = await read(host, path);
  if (!sameFile(snapshot, now)) return 'Changed';
  if (sameBytes(now.content, content)) return 'Unchanged';
  if (await isHeldUp(host, place, change)) return 'BeingWritten';
  return changing(host, place, path, () => replaceAt(host, place, { snapshot: now, content, change }));
}

/** Looked at first, so that a file that is being written slowly is left in peace. The look that counts comes after the change: see swap-file.ts. */
async function isHeldUp(host: Host, place: HostPlace, change: ReplaceOptions): Promise<boolean> {
  if (change.despiteWriters === true) return false;
  return (await writersAt(host, place)).length > 0;
}

async function writersAt({ calls }: Host, { stat, filePath }: HostPlace): Promise<readonly FileWriter[]> {
  return stat === null ? [] : calls.writersOf(stat, posix.basename(filePath));
}

async function writers(host: Host, path: string): Promise<readonly FileWriter[]> {
  return writersAt(host, await resolveHostPath(host.calls, host.rules, path));
}

async function lateWrites(host: Host, path: string): Promise<readonly LateWrite[]> {
  const place = await resolveHostPath(host.calls, host.rules, path);
  return changing(host, place, path, () => host.replaced.late(path, place));
}

async function replaceAt(
  host: Host,
  place: HostPlace,
  { snapshot: expected, content, change }: Replacement,
): Promise<ReplaceOutcome> {
  const { calls, attributes } = host;
  if (!place.directoryPresent) await makePlace(host, place);
  await sweepOnce(host, place.filePath);
  const temporary = await writeTemporary(calls, place.filePath, content, (file) =>
    attributes.copyTo(file, place),
  ).catch((error: unknown) => {
    host.swept.delete(place.filePath);
    throw error;
  });
  let outcome: SwapOutcome = 'Changed';
  try {
    const { snapshot: now } = await read(host, expected.path);
    if (sameFile(expected, now) && (await isStill(calls, place, now))) {
      const swap = swapOf(host, place, now, change);
      host.unsynced.add(place.directoryPath);
      outcome = await (swap === null
        ? putNew(calls, temporary, place.filePath)
        : putInPlace(swap, temporary, content));
    }
  } finally {
    if (outcome !== 'Done') await throwAway(host, place, temporary);
  }
  if (outcome === 'Changed') return outcome;
  if (outcome === 'Done') await attributes.remember(place);
  await syncEntries(host, place.directoryPath);
  return outcome === 'Done' ? 'Replaced' : outcome;
}

/** null: there is no file to swap. */
function swapOf(
  { calls, replaced }: Host,
  place: HostPlace,
  { path, content }: HostFileSnapshot,
  { despiteWriters = false }: ReplaceOptions,
): Swap | null {
  return content === null ? null : { calls, replaced, path, place, before: content, despiteWriters };
}

/** What cannot be thrown away now, in a directory that is append-only, has to be gone before anything new is made. */
async function throwAway(host: Host, { filePath }: HostPlace, temporary: string): Promise<void> {
  host.swept.delete(filePath);
  await discard(host.calls, temporary);
}

/** What was changed in a directory counts only after this; when it fails, the next read does it again or fails too. */
async function syncEntries(host: Host, directory: string): Promise<void> {
  host.unsynced.add(directory);
  await syncDirectory(host.calls, directory);
  host.unsynced.delete(directory);
}

async function finishSyncs(host: Host, place: HostPlace): Promise<void> {
  if (!place.directoryPresent) return;
  for (const directory of [posix.dirname(place.directoryPath), place.directoryPath])
    if (host.unsynced.has(directory)) await syncEntries(host, directory);
}

async function makePlace(host: Host, place: HostPlace): Promise<void> {
  const parent = posix.dirname(place.directoryPath);
  host.unsynced.add(parent);
  await makeDirectory(host.calls, place.directoryPath, 0o755);
  host.unsynced.delete(parent);
}

async function sweepOnce(host: Host, filePath: string): Promise<void> {
  if (host.swept.has(filePath)) return;
  await sweepTemporaries(host.calls, filePath);
  host.swept.add(filePath);
}

async function recover(host: Host, path: string): Promise<number> {
  if (host.recovered.has(path)) return 0;
  const place = await resolveHostPath(host.calls, host.rules, path);
  if (!place.directoryPresent) return 0;
  return changing(host, place, path, async () => {
    const count = await sweepTemporaries(host.calls, place.filePath);
    host.swept.add(place.filePath);
    await host.replaced.late(path, place);
    await syncEntries(host, posix.dirname(place.directoryPath));
    await syncEntries(host, place.directoryPath);
    host.recovered.add(path);
    return count;
  });
}

async function remove(host: Host, snapshot: HostFileSnapshot, change: RemoveOptions): Promise<RemoveOutcome> {
  const { path } = snapshot;
  const { place, snapshot: now } = await read(host, path);
  if (now.content !== null && !sameFile(snapshot, now)) return 'Changed';
  if (await isHeldUp(host, place, change)) return 'BeingWritten';
  return changing(host, place, path, async () => {
    const outcome = await removeAt(host, place, now, change);
    if (outcome !== 'Done') return outcome;
    if (change.emptyDirectory && place.directoryPresent && now.targetPath === path)
      await removeDirectory(host, place);
    return now.content === null ? 'Absent' : 'Removed';
  });
}

async function removeAt(
  host: Host,
  place: HostPlace,
  now: HostFileSnapshot,
  change: RemoveOptions,
): Promise<SwapOutcome> {
  const swap = swapOf(host, place, now, change);
  if (swap === null) return 'Done';
  if (!(await isStill(host.calls, place, now))) return 'Changed';
  host.unsynced.add(place.directoryPath);
  const outcome = await takeAway(swap);
  await syncEntries(host, place.directoryPath);
  return outcome;
}

/** A directory that is not empty, or is a mount point, stays. */
async function removeDirectory(host: Host, place: HostPlace): Promise<void> {
  await sweepTemporaries(host.calls, place.filePath);
  try {
    await host.calls.rmdir(place.directoryPath);
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOENT'].includes(errnoName(error) ?? '')) return;
    throw error;
  }
  await syncEntries(host, posix.dirname(place.directoryPath));
}

async function doing<T>(what: 'read' | 'write', path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw hostFileError(what, path, error);
  }
}

/** As `doing` for a write at `place`. */
async function changing<T>(host: Host, place: HostPlace, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw await writeFault(host.processes, place, path, error);
  }
}
