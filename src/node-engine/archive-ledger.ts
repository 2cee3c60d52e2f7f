// The ledger of the archives that we made: which file is of which request. Deletes no file; what stands in it is the only ground to delete a finished one of ours.
import type { ArchiveFile, CheckpointArchives } from '../ports/checkpoint-archives.ts';
import type { Log } from '../ports/log.ts';
import type { ArchiveRecord, Document } from './documents.ts';

export const ARCHIVE_RECORDS_MAX = 4096;

/** Calls wait for each other. They reject when the state folder fails; a document that is unreadable counts as empty, so that its archives are nobody's and stay. */
export interface ArchiveLedger {
  /** Durable when it resolves; takes the place of a record of the same path. Over 4096 the oldest whose file is gone is forgotten, else the oldest. */
  add(record: ArchiveRecord): Promise<void>;
  /** From old to new. */
  list(): Promise<readonly ArchiveRecord[]>;
  ofRequest(requestUID: string): Promise<readonly ArchiveRecord[]>;
  /** Forgets records, and puts others in their place; those of neither list stay. */
  update(forget: readonly ArchiveFile[], renewed: readonly ArchiveRecord[]): Promise<void>;
}

export interface ArchiveLedgerParts {
  readonly document: Document<ArchiveRecord[]>;
  readonly archives: CheckpointArchives;
  readonly log: Log;
}

export function createArchiveLedger(parts: ArchiveLedgerParts): ArchiveLedger {
  const { document } = parts;
  let last: Promise<unknown> = Promise.resolve();
  const next = <T>(call: () => Promise<T>): Promise<T> => {
    const answer = last.then(call, call);
    last = answer;
    return answer;
  };
  const read = async (): Promise<ArchiveRecord[]> => fromOldToNew((await document.read()) ?? []);
  return {
    add: (record) =>
      next(async () => {
        const records = (await read()).filter(({ path }) => path !== record.path);
        await document.write(await bounded([...records, record], parts));
      }),
    list: () => next(read),
    ofRequest: (requestUID) =>
      next(async () => (await read()).filter((record) => record.requestUID === requestUID)),
    update: (forget, renewed) =>
      next(async () => {
        if (forget.length === 0 && renewed.length === 0) return;
        const records = (await read()).filter((record) => !forget.some((file) => isSameFile(file, record)));
        const replaced = new Map(renewed.map((record) => [record.path, record]));
        await document.write(records.map((record) => replaced.get(record.path) ?? record));
      }),
  };
}

export function isSameFile(one: ArchiveFile, other: ArchiveFile): boolean {
  return one.path === other.path && one.device === other.device && one.inode === other.inode;
}

function fromOldToNew(records: readonly ArchiveRecord[]): ArchiveRecord[] {
  return records.toSorted(
    (one, other) => one.modifiedMs - other.modifiedMs || (one.path < other.path ? -1 : 1),
  );
}

/** The last record is the one that was added: it stays. */
async function bounded(
  records: readonly ArchiveRecord[],
  parts: ArchiveLedgerParts,
): Promise<ArchiveRecord[]> {
  if (records.length <= ARCHIVE_RECORDS_MAX) return [...records];
  const gone = await firstGone(records.slice(0, -1), parts);
  const forgotten = gone ?? records[0];
  if (gone === null)
    parts.log.warn('ledger of archives is full, an archive stays without a record', {
      path: forgotten?.path,
    });
  return records.filter((record) => record !== forgotten);
}

async function firstGone(
  records: readonly ArchiveRecord[],
  { archives }: ArchiveLedgerParts,
): Promise<ArchiveRecord | null> {
  for (const record of records) {
    const isThere = await archives.inspect(record.path).then(
      (found) => found !== null,
      () => true,
    );
    if (!isThere) return record;
  }
  return null;
}
