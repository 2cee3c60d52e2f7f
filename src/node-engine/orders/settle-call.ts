// Finds out how a call of the runtime ended that nobody heard the end of: by the archives, never by calling again. Changes nothing.
import type {
  ArchiveFile,
  CheckpointArchiveInfo,
  CheckpointArchives,
} from '../../ports/checkpoint-archives.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { pause } from './alarm.ts';
import type { OpenCall } from './order-ledger.ts';

export interface SettleParts {
  readonly archives: CheckpointArchives;
  /** Whether the container is paused or frozen; null: it cannot be told, or there is no such container. */
  readonly isFrozen: (containerId: string) => Promise<boolean | null>;
  /** Where runtimes put archives that do not put them where they are told: the kubelet's folder. */
  readonly runtimeDirectories: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** An end that is not an end of the call: this process is to stop. */
export type Settled = CheckpointArchiveInfo | null | 'Interrupted';

const LOOK_MS = 1_000;
/** A runtime takes a moment from the end of the dump to the first byte of the archive, and an aborted call left its container frozen for 2 s more (measured). */
const QUIET_MS = 5_000;
/** Time stamps of files come from a coarser clock than ours. Two calls for one container are further apart than this. */
export const STAMP_TOLERANCE_MS = 1_000;

/**
 * The whole archive that came of `call`; null: there is none. Waits, at most `limitMs`, until the container is not frozen and what is there of an archive
 * does not change any more. Rejects never: what cannot be read is not there.
 */
export async function settleCall(
  call: OpenCall,
  limitMs: number,
  parts: SettleParts,
  signal: AbortSignal,
): Promise<Settled> {
  const { clock } = parts;
  const startMs = clock.monotonicMs();
  let sameSinceMs = startMs;
  let earlier = '';
  while (!signal.aborted) {
    const isFrozen = await isFrozenQuietly(call, parts);
    const found = await findArchive(call, parts);
    const seen = describe(found);
    const nowMs = clock.monotonicMs();
    if (isFrozen || seen !== earlier) sameSinceMs = nowMs;
    earlier = seen;
    const quietMs = found === null ? QUIET_MS : LOOK_MS;
    if (nowMs - sameSinceMs >= quietMs || nowMs - startMs >= limitMs)
      return found?.fault === null ? found : null;
    await pause(clock, LOOK_MS, signal);
  }
  return 'Interrupted';
}

function describe(found: (ArchiveFile & CheckpointArchiveInfo) | null): string {
  return found === null
    ? ''
    : [found.path, found.device, found.inode, found.sizeBytes, found.modifiedMs, found.fault].join(' ');
}

async function isFrozenQuietly({ containerId }: OpenCall, { isFrozen, log }: SettleParts): Promise<boolean> {
  try {
    return (await isFrozen(containerId)) === true;
  } catch (error) {
    log.warn('cannot tell whether a container is frozen', { container: containerId, error: String(error) });
    return false;
  }
}

/** Of several the whole ones first, then the newest. */
async function findArchive(call: OpenCall, parts: SettleParts): Promise<CheckpointArchiveInfo | null> {
  const { archiveDirectory, containerId } = call;
  const directories = new Set([
    `${archiveDirectory}/${containerId}`,
    archiveDirectory,
    ...parts.runtimeDirectories,
  ]);
  const found: CheckpointArchiveInfo[] = [];
  for (const directory of directories) {
    for (const archive of await listQuietly(directory, parts)) if (isOf(archive, call)) found.push(archive);
  }
  const [best] = found.sort(
    (one, other) =>
      Number(one.fault !== null) - Number(other.fault !== null) || other.modifiedMs - one.modifiedMs,
  );
  return best ?? null;
}

async function listQuietly(
  directory: string,
  { archives, log }: SettleParts,
): Promise<readonly CheckpointArchiveInfo[]> {
  try {
    return await archives.list(directory);
  } catch (error) {
    log.warn('archives cannot be listed', { directory, error: String(error) });
    return [];
  }
}

function isOf(archive: CheckpointArchiveInfo, call: OpenCall): boolean {
  const { path, identity, modifiedMs } = archive;
  if (!isOfContainer(archive, call)) return false;
  if (plannedPaths(call).includes(path)) return true;
  const calledMs = Date.parse(call.calledAt);
  return identity.containerId === call.containerId && modifiedMs >= calledMs - STAMP_TOLERANCE_MS;
}

/** By what it says, or it says nothing. */
export function isOfContainer(
  { identity }: CheckpointArchiveInfo,
  { containerId }: Pick<OpenCall, 'containerId'>,
): boolean {
  return identity.containerId === null || identity.containerId === containerId;
}

/** Where the call's archive is, if its runtime put it where it was told. The names of checkpoints are unique for each container, so the name alone tells. */
export function plannedPaths({ containerId, checkpointName, archiveDirectory }: OpenCall): readonly string[] {
  return [archiveDirectory, `${archiveDirectory}/${containerId}`].flatMap((directory) => [
    `${directory}/${checkpointName}`,
    `${directory}/${checkpointName}.tar`,
  ]);
}
