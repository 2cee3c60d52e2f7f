// Keeps the archives of the node within what is allowed: deletions that were ordered, retention now and then and after each new archive, what calls left, and the sum for the report.
import type { DeletionReport } from '../../api/checkpoint-node.ts';
import { printable } from '../../api/printable.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { OrderReports, OrderSource } from '../../ports/order-source.ts';
import { createAlarm } from './alarm.ts';
import type { ArchiveKeeping } from './archive-keeping.ts';
import { explain } from './carry-out-order.ts';
import type { Remains } from './clear-remains.ts';
import { isRequestUID } from './order-ledger.ts';

export interface ArchiveUpkeepParts {
  readonly keeping: ArchiveKeeping;
  readonly remains: Remains;
  readonly source: OrderSource;
  readonly reports: OrderReports;
  /** True: what the request makes is still being made. */
  readonly isAtWork: (requestUID: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ArchiveUpkeep {
  /** Deletions may be different, or an order has come to its end. */
  wake(): void;
  /** There is a new archive: retention is due. */
  made(): void;
  /** Until `signal` aborts. Once only. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** Ages grow and disks fill without a word. */
export const RETENTION_MS = 600_000;
const RETRY_MS = 60_000;

export function createArchiveUpkeep(parts: ArchiveUpkeepParts): ArchiveUpkeep {
  const { clock } = parts;
  const alarm = createAlarm(clock);
  const deletions = new Map<string, Deletion>();
  let retentionAtMs = clock.monotonicMs();
  return {
    wake: () => {
      alarm.wake();
    },
    made: () => {
      retentionAtMs = clock.monotonicMs();
      alarm.wake();
    },
    run: async (signal) => {
      while (!signal.aborted) {
        const hasDeleted = await deleteAll(deletions, parts);
        const isDue = clock.monotonicMs() >= retentionAtMs;
        if (isDue) {
          retentionAtMs = clock.monotonicMs() + RETENTION_MS;
          await retain(parts);
        }
        if (isDue || hasDeleted) await tellStorage(parts);
        const lookInMs = await parts.remains.look();
        const nextMs = Math.min(retentionAtMs, ...[...deletions.values()].map(({ againAtMs }) => againAtMs));
        await alarm.wait(Math.min(nextMs - clock.monotonicMs(), lookInMs), signal);
      }
    },
  };
}

interface Deletion {
  readonly report: DeletionReport;
  readonly againAtMs: number;
}

/** True: something was asked for. */
async function deleteAll(done: Map<string, Deletion>, parts: ArchiveUpkeepParts): Promise<boolean> {
  const { clock, source, reports } = parts;
  const asked = source.read()?.deletions ?? null;
  if (asked === null) return false;
  const standing = new Set(asked.map(({ requestUID }) => requestUID));
  for (const requestUID of [...done.keys()]) if (!standing.has(requestUID)) done.delete(requestUID);
  const due = [...standing].filter(
    (requestUID) =>
      !parts.isAtWork(requestUID) && (done.get(requestUID)?.againAtMs ?? 0) <= clock.monotonicMs(),
  );
  for (const requestUID of due) {
    const report = await deleteOne(requestUID, parts);
    const againAtMs = report.state === 'Failed' ? clock.monotonicMs() + RETRY_MS : Infinity;
    done.set(requestUID, { report, againAtMs });
  }
  reports.tell({ deletions: [...standing].flatMap((requestUID) => done.get(requestUID)?.report ?? []) });
  return due.length > 0;
}

async function deleteOne(
  requestUID: string,
  { keeping, remains, log }: ArchiveUpkeepParts,
): Promise<DeletionReport> {
  // Nothing was ever made for such a one.
  if (!isRequestUID(requestUID)) return { requestUID, state: 'Deleted' };
  try {
    await remains.disown(requestUID);
    const { state, message } = await keeping.deleteOf(requestUID);
    return { requestUID, state, ...(message !== undefined && { message: printable(message, 1024) }) };
  } catch (error) {
    log.error('archives of a request not deleted, trying again', { request: requestUID, error });
    return { requestUID, state: 'Failed', message: printable(explain(error), 1024) };
  }
}

async function retain({ keeping, log }: ArchiveUpkeepParts): Promise<void> {
  try {
    await keeping.retain();
  } catch (error) {
    log.error('retention of archives failed, trying again later', { error });
  }
}

async function tellStorage({ keeping, reports, log }: ArchiveUpkeepParts): Promise<void> {
  try {
    reports.tell({ storage: await keeping.storage() });
  } catch (error) {
    log.warn('space of archives cannot be told', { error: explain(error) });
  }
}
