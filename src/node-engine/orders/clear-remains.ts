// Clears away what calls left on the disk that came to no archive anybody was told of: a part of one, or one that came late. Deletes only what is provably of such a call, and only
// when nobody writes it any more: a runtime goes on after its caller has died.
import type { CheckpointArchiveInfo } from '../../ports/checkpoint-archives.ts';
import type { ArchiveKeeping } from './archive-keeping.ts';
import { explain } from './carry-out-order.ts';
import type { LedgerEntry, OpenCall, OrderLedger } from './order-ledger.ts';
import { isOfContainer, plannedPaths, STAMP_TOLERANCE_MS, type SettleParts } from './settle-call.ts';

export interface RemainsParts extends SettleParts {
  readonly ledger: OrderLedger;
  readonly keeping: ArchiveKeeping;
}

/** One call at a time. */
export interface Remains {
  /** Looks after everything once; returns after how many milliseconds to look again, Infinity: nothing is left to look after. Never rejects. */
  look(): Promise<number>;
  /** The request was deleted: an archive that still comes of it goes too. Rejects when the ledger cannot be written. */
  disown(requestUID: string): Promise<void>;
}

const LOOK_MS = 15_000;
/** Unchanged for so long: an archive is written in one go. */
const QUIET_MS = 60_000;
/** For so long after the first look something may still come. */
const LATEST_MS = 600_000;
/** A kubelet names the archive by the second at which it takes the call up. */
const NAMED_WITHIN_MS = 10_000;

export function createRemains(parts: RemainsParts): Remains {
  const watches = new Map<string, Watch>();
  return {
    look: () => lookAfterAll(watches, parts),
    disown: async (requestUID) => {
      const entry = parts.ledger.withRemains().find((one) => one.requestUID === requestUID);
      if (entry !== undefined && !entry.disowned) await parts.ledger.write({ ...entry, disowned: true });
    },
  };
}

/** Of one call. */
interface Watch {
  readonly sinceMs: number;
  sameSinceMs: number;
  seen: string;
}

interface Left {
  readonly archive: CheckpointArchiveInfo;
  /** The directory of archives that it is in. */
  readonly directory: string;
}

interface Found {
  readonly ours: readonly Left[];
  /** Parts of archives of which nothing but the name says that they are. */
  readonly perhapsOurs: readonly Left[];
}

async function lookAfterAll(watches: Map<string, Watch>, parts: RemainsParts): Promise<number> {
  const { ledger, log } = parts;
  const byRuntimes = await listAll(parts);
  for (const entry of ledger.withRemains()) {
    const remains: OpenCall[] = [];
    for (const call of entry.remains) {
      const key = `${call.containerId} ${call.checkpointName}`;
      const isDone = await lookAfter(call, entry, { watch: watchOf(watches, key, parts), byRuntimes, parts });
      if (isDone) watches.delete(key);
      else remains.push(call);
    }
    if (remains.length === entry.remains.length) continue;
    try {
      await ledger.write({ ...entry, remains });
    } catch (error) {
      log.error('ledger not written, trying again', { error: explain(error) });
    }
  }
  return ledger.withRemains().length > 0 ? LOOK_MS : Infinity;
}

async function listAll(parts: RemainsParts): Promise<readonly Left[]> {
  const { ledger, runtimeDirectories, archives, log } = parts;
  if (ledger.withRemains().length === 0) return [];
  const found: Left[] = [];
  for (const directory of runtimeDirectories) {
    try {
      for (const archive of await archives.list(directory)) found.push({ archive, directory });
    } catch (error) {
      log.warn('archives cannot be listed', { directory, error: explain(error) });
    }
  }
  return found;
}

function watchOf(watches: Map<string, Watch>, key: string, { clock }: RemainsParts): Watch {
  const nowMs = clock.monotonicMs();
  const watch = watches.get(key) ?? { sinceMs: nowMs, sameSinceMs: nowMs, seen: '' };
  watches.set(key, watch);
  return watch;
}

interface Look {
  readonly watch: Watch;
  readonly byRuntimes: readonly Left[];
  readonly parts: RemainsParts;
}

/** True: nothing is left, and nothing will come. */
async function lookAfter(call: OpenCall, entry: LedgerEntry, look: Look): Promise<boolean> {
  const { watch, parts } = look;
  const nowMs = parts.clock.monotonicMs();
  const isLate = nowMs - watch.sinceMs >= LATEST_MS;
  try {
    const found = await find(call, entry, look);
    const seen = JSON.stringify(found);
    if (seen !== watch.seen || (await parts.isFrozen(call.containerId)) === true) watch.sameSinceMs = nowMs;
    watch.seen = seen;
    if (found.ours.length > 0) {
      const isQuiet = nowMs - watch.sameSinceMs >= QUIET_MS;
      return isQuiet && (await clear(found.ours, call, entry, parts));
    }
    if (isLate) sayWhatStays(found, entry, parts);
  } catch (error) {
    parts.log.warn('what is left of a checkpoint cannot be cleared away', {
      request: entry.requestUID,
      error: explain(error),
    });
  }
  return isLate;
}

/** A whole archive is kept for the request that it was made for, although that was told that nobody knows. */
async function clear(
  ours: readonly Left[],
  call: OpenCall,
  entry: LedgerEntry,
  { keeping, log }: RemainsParts,
): Promise<boolean> {
  let isDone = true;
  for (const { archive, directory } of ours) {
    const { path, fault } = archive;
    if (fault === null && !entry.disowned) {
      await keeping.record({ archive, order: entry, containerName: call.name, directory });
      continue;
    }
    const end = await keeping.discard(archive, directory);
    if (end === 'Removed')
      log.info('rest of an interrupted checkpoint deleted', { request: entry.requestUID, path, fault });
    if (end === 'Replaced') isDone = false;
  }
  return isDone;
}

function sayWhatStays({ perhapsOurs }: Found, { requestUID }: LedgerEntry, { log }: RemainsParts): void {
  for (const { archive } of perhapsOurs)
    log.warn('part of an archive does not say whose it is, left in place', {
      request: requestUID,
      path: archive.path,
    });
}

async function find(call: OpenCall, entry: LedgerEntry, { byRuntimes, parts }: Look): Promise<Found> {
  const ours: Left[] = [];
  const directory = call.archiveDirectory;
  for (const path of plannedPaths(call)) {
    const archive = await parts.archives.inspect(path);
    if (archive !== null && isOfContainer(archive, call)) ours.push({ archive, directory });
  }
  // A whole archive in the folder of a kubelet may be another's, who asked for it since.
  const named = byRuntimes.filter(
    ({ archive }) =>
      archive.fault !== null && isOfContainer(archive, call) && isNamedFor(archive, call, entry),
  );
  const [only] = named;
  const isProven = named.length === 1 && only?.archive.identity.containerId === call.containerId;
  return isProven ? { ours: [...ours, only], perhapsOurs: [] } : { ours, perhapsOurs: named };
}

/** checkpoint-POD_NAMESPACE-CONTAINER-TIME.tar. Source: kubernetes pkg/kubelet/kubelet.go, CheckpointContainer. */
function isNamedFor({ path }: CheckpointArchiveInfo, call: OpenCall, entry: LedgerEntry): boolean {
  const start = `checkpoint-${entry.podName}_${entry.requestNamespace}-${call.name}-`;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (!name.startsWith(start) || !name.endsWith('.tar')) return false;
  const afterMs = Date.parse(name.slice(start.length, -'.tar'.length)) - Date.parse(call.calledAt);
  return afterMs >= -STAMP_TOLERANCE_MS && afterMs <= NAMED_WITHIN_MS;
}
