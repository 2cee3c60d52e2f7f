// Keeps the archives of a node: enters what was made, deletes what a request made, what retention no longer allows and what a call left unfinished, and tells their sum.
// Deletes by the ledger, by the name that a call of ours was given, or others' archives where the settings say so.
import type { PlanPolicy, PlanRetention } from '../api/checkpoint-plan.ts';
import type { NodeSettings } from '../api/settings.ts';
import {
  archivesToDelete,
  type Expired,
  type KeptArchive,
  type Space,
} from '../domain/checkpoint/retention.ts';
import type {
  ArchiveFile,
  ArchiveRemoval,
  CheckpointArchiveInfo,
  CheckpointArchives,
} from '../ports/checkpoint-archives.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { isSameFile, type ArchiveLedger } from './archive-ledger.ts';
import type { ArchiveRecord } from './documents.ts';
import type { ArchiveKeeping } from './orders/archive-keeping.ts';

export interface ArchiveKeepingParts {
  readonly archives: CheckpointArchives;
  readonly ledger: ArchiveLedger;
  readonly settings: NodeSettings['archives'];
  /** Where archives lie besides `settings.directory`, such as the kubelet's folder. Archives are right inside, or in a folder by container right inside. */
  readonly otherDirectories: readonly string[];
  /** null: not read yet. Nothing goes by a policy then. */
  readonly policies: () => readonly PlanPolicy[] | null;
  /** UIDs of the pods on this node; null: not read yet. Every pod counts as here then, and nothing goes by a policy. */
  readonly podUIDs: () => ReadonlySet<string> | null;
  readonly clock: Clock;
  readonly log: Log;
}

interface Sum {
  readonly archives: number;
  readonly bytes: number;
}

/** A dump may take so long: an archive of others that changed since may not be finished. */
const SETTLED_MS = 600_000;

/** One call at a time (`oneAtATime`). Not while a dump runs: an empty folder of a container may be removed between two archives. */
export function createArchiveKeeping(parts: ArchiveKeepingParts): ArchiveKeeping {
  let others: Sum = { archives: 0, bytes: 0 };
  return {
    record: async ({ archive, order, containerName, directory: told }) => {
      const { path, device, inode, sizeBytes, modifiedMs } = archive;
      const { requestUID, requestNamespace, policyName, podUID } = order;
      const policy = policyName === null ? null : `${requestNamespace}/${policyName}`;
      const directory = directoriesFor({ path, directory: told }, parts).at(-1) ?? null;
      const file = { path, device, inode, sizeBytes, modifiedMs, directory };
      await parts.ledger.add({ ...file, requestUID, policy, podUID, containerName });
    },
    deleteOf: (requestUID) => deleteOf(requestUID, parts),
    discard: async (file, directory) => {
      const records = await parts.ledger.list();
      if (records.some(({ path }) => path === file.path)) return 'Recorded';
      return await parts.archives.remove(file, directoriesIn([directory], file.path));
    },
    retain: async () => {
      const left = await retain(parts);
      if (parts.settings.others === 'keep' && left.archives > 0 && left.bytes !== others.bytes)
        parts.log.warn('archives that the ledger does not know are counted and left alone', {
          directory: parts.settings.directory,
          ...left,
        });
      others = left;
    },
    storage: async () => {
      const records = await parts.ledger.list();
      const { freeBytes } = await parts.archives.space(parts.settings.directory);
      return {
        archives: records.length + others.archives,
        bytes: records.reduce((sum, { sizeBytes }) => sum + sizeBytes, others.bytes),
        freeBytes,
      };
    },
  };
}

async function deleteOf(
  requestUID: string,
  parts: ArchiveKeepingParts,
): Promise<Awaited<ReturnType<ArchiveKeeping['deleteOf']>>> {
  const records = await parts.ledger.ofRequest(requestUID);
  const kept: string[] = [];
  const failed: string[] = [];
  for (const record of records) {
    try {
      const end = await deleteRecorded(record, parts);
      if (end === 'Pinned') kept.push(`${record.path} is kept: ${record.path}.keep is there`);
    } catch (error) {
      parts.log.error('archive of a request not deleted', { path: record.path, request: requestUID, error });
      failed.push(`${record.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failed.length > 0) return { state: 'Failed', message: cut(failed) };
  return kept.length > 0 ? { state: 'Kept', message: cut(kept) } : { state: 'Deleted' };
}

/** Of a plain absolute path. */
function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}

function cut(sentences: readonly string[]): string {
  const text = sentences.join('; ');
  return text.length <= 1024 ? text : `${text.slice(0, 1023)}…`;
}

async function deleteRecorded(record: ArchiveRecord, parts: ArchiveKeepingParts): Promise<ArchiveRemoval> {
  const { archives, ledger, log } = parts;
  const found = await archives.inspect(record.path);
  const file = found !== null && isRecorded(record, found) ? found : record;
  const end = await archives.remove(file, directoriesFor(record, parts));
  if (end === 'Pinned') return end;
  await ledger.update([record], []);
  if (end === 'Removed') log.info('archive deleted with its request', { path: record.path });
  return end;
}

/** The file system may have got another number since, by a reboot: then the rest has to agree. */
function isRecorded(record: ArchiveRecord, found: CheckpointArchiveInfo): boolean {
  if (isSameFile(record, found)) return true;
  const { inode, sizeBytes, modifiedMs } = record;
  return inode === found.inode && sizeBytes === found.sizeBytes && modifiedMs === found.modifiedMs;
}

/** Which directories may be deleted from for this archive, that of archives last; empty: none. Settings change: what the ledger says of where it was made goes on to hold. */
function directoriesFor(
  { path, directory = null }: { readonly path: string; readonly directory?: string | null },
  { settings, otherDirectories }: ArchiveKeepingParts,
): string[] {
  const made = directory === null ? [] : [directory];
  return directoriesIn([settings.directory, ...otherDirectories, ...made], path);
}

/** The ones that the path is right inside of, or in a folder right inside. */
function directoriesIn(known: readonly string[], path: string): string[] {
  const directory = directoryOf(path);
  const parent = directoryOf(directory);
  if (known.includes(directory)) return [directory];
  return known.includes(parent) ? [directory, parent] : [];
}

interface Found {
  readonly kept: KeptArchive;
  readonly file: ArchiveFile & Partial<Pick<ArchiveRecord, 'directory'>>;
}

/**
 * Gives the sum of archives that are in no ledger: what stays of them where they are managed, else those in our own directory, which may be ours from before the state
 * folder was lost. What an archive says about itself is no ground to delete it.
 */
async function retain(parts: ArchiveKeepingParts): Promise<Sum> {
  const ours = await findOurs(parts);
  const isManaged = parts.settings.others === 'manage';
  const unrecorded = await findOthers(parts);
  const others = isManaged ? unrecorded : [];
  const found = [...ours, ...others];
  const expired = archivesToDelete({
    archives: found.map(({ kept }) => kept),
    policies: retentionOf(parts),
    node: {
      maxTotalSizeBytes: parts.settings.maxTotalSize,
      minFreePercent: parts.settings.minFreePercent,
      spaces: await spacesOf(found, parts),
      others: parts.settings.others,
    },
    nowMs: parts.clock.now(),
  });
  const files = new Map(found.map(({ kept, file }) => [kept, file]));
  const left = new Set(unrecorded.map(({ kept }) => kept));
  for (const one of expired) {
    const file = files.get(one.archive);
    if (file !== undefined && (await deleteExpired(one, file, parts))) left.delete(one.archive);
  }
  return { archives: left.size, bytes: [...left].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

function retentionOf({ policies, podUIDs }: ArchiveKeepingParts): ReadonlyMap<string, PlanRetention> {
  const known = podUIDs() === null ? null : policies();
  return new Map(
    (known ?? []).flatMap(({ namespace, name, retention }) =>
      retention === undefined ? [] : [[`${namespace}/${name}`, retention] as const],
    ),
  );
}

/** Ours that are there; the ledger forgets the others. One that cannot be looked at takes no part: it neither goes nor makes another go. */
async function findOurs(parts: ArchiveKeepingParts): Promise<Found[]> {
  const { archives, ledger, log } = parts;
  const gone: ArchiveRecord[] = [];
  const renewed: ArchiveRecord[] = [];
  const found: Found[] = [];
  for (const record of await ledger.list()) {
    const info = await archives.inspect(record.path).catch((error: unknown) => {
      log.error('archive cannot be looked at, left out of retention', { path: record.path, error });
      return 'Unread' as const;
    });
    if (info === 'Unread') continue;
    if (info === null || !isRecorded(record, info)) {
      gone.push(record);
      continue;
    }
    const now = { ...record, device: info.device };
    if (info.device !== record.device) renewed.push(now);
    found.push({ kept: keptOf(now, info, parts), file: now });
  }
  await ledger.update(gone, renewed);
  return found;
}

function keptOf(record: ArchiveRecord, info: CheckpointArchiveInfo, parts: ArchiveKeepingParts): KeptArchive {
  const { path, device, modifiedMs, policy, podUID, containerName } = record;
  const isOutside = directoriesFor(record, parts).length === 0;
  return {
    path,
    device,
    sizeBytes: info.sizeBytes,
    createdMs: modifiedMs,
    pinned: info.pinned || isOutside,
    ours: true,
    policy,
    podUID,
    containerName,
    podHere: parts.podUIDs()?.has(podUID) ?? true,
  };
}

async function findOthers(parts: ArchiveKeepingParts): Promise<Found[]> {
  const { ledger, settings, otherDirectories, clock } = parts;
  const places =
    settings.others === 'manage' ? [settings.directory, ...otherDirectories] : [settings.directory];
  const found: Found[] = [];
  const ours = await ledger.list();
  for (const directory of new Set(places)) {
    for (const info of await listWithFolders(directory, parts)) {
      const isOurs = ours.some(({ device, inode }) => device === info.device && inode === info.inode);
      if (!isOurs && clock.now() - info.modifiedMs > SETTLED_MS)
        found.push({ kept: keptOfOthers(info, parts), file: info });
    }
  }
  return found;
}

/** What is right inside, and in the folders by container. */
async function listWithFolders(
  directory: string,
  { archives, log }: ArchiveKeepingParts,
): Promise<readonly CheckpointArchiveInfo[]> {
  try {
    const found = [...(await archives.list(directory))];
    for (const folder of await archives.folders(directory)) found.push(...(await archives.list(folder)));
    return found;
  } catch (error) {
    log.error('archives cannot be listed, left out of retention', { directory, error });
    return [];
  }
}

function keptOfOthers(info: CheckpointArchiveInfo, { podUIDs }: ArchiveKeepingParts): KeptArchive {
  const { path, device, sizeBytes, modifiedMs, pinned, identity } = info;
  const { podUID, containerName } = identity;
  const podHere = podUIDs()?.has(podUID ?? '') ?? true;
  const file = { path, device, sizeBytes, createdMs: modifiedMs, pinned };
  return { ...file, ours: false, policy: null, podUID, containerName, podHere };
}

/** One that cannot be told is left out: nothing goes for it. */
async function spacesOf(
  found: readonly Found[],
  { archives, log }: ArchiveKeepingParts,
): Promise<ReadonlyMap<number, Space>> {
  const spaces = new Map<number, Space>();
  const places = new Map(found.map(({ kept }) => [kept.device, directoryOf(kept.path)]));
  for (const [device, directory] of places) {
    try {
      spaces.set(device, await archives.space(directory));
    } catch (error) {
      log.error('free space cannot be told, left out of retention', { directory, error });
    }
  }
  return spaces;
}

/** True: it is not there any more. */
async function deleteExpired(
  { archive, reason }: Expired,
  file: Found['file'],
  parts: ArchiveKeepingParts,
): Promise<boolean> {
  const { archives, ledger, log } = parts;
  const { path, ours } = archive;
  try {
    const end = await archives.remove(file, directoriesFor(file, parts));
    if (end === 'Pinned') return false;
    if (ours) await ledger.update([file], []);
    if (end === 'Removed') log.info('archive deleted by retention', { path, reason });
    return true;
  } catch (error) {
    log.error('archive not deleted, trying again later', { path, reason, error });
    return false;
  }
}
