// What orders need of the ledger of archives (archive-ledger.ts, keep-archives.ts): entries for what was made, deletion by request and of what came to nothing, retention, the sum. One call at a time.
import type { DeletionReport, NodeStorage } from '../../api/checkpoint-node.ts';
import type { ArchiveFile, ArchiveRemoval, CheckpointArchiveInfo } from '../../ports/checkpoint-archives.ts';
import type { LedgerEntry } from './order-ledger.ts';

/** An archive, and the order and the container that it was made for. */
export interface MadeArchive {
  readonly archive: CheckpointArchiveInfo;
  readonly order: Pick<LedgerEntry, 'requestUID' | 'requestNamespace' | 'policyName' | 'podUID' | 'podName'>;
  readonly containerName: string;
  /** The directory of archives that the runtime was told; it may not be that of the settings any more. */
  readonly directory: string;
}

export interface ArchiveKeeping {
  /** Durable when it resolves. The same archive again changes nothing. */
  record(made: MadeArchive): Promise<void>;
  /** Deletes what the request made, and nothing else. Deleted also where nothing is left. */
  deleteOf(requestUID: string): Promise<Pick<DeletionReport, 'state' | 'message'>>;
  /** Deletes that very file, which came of a call of ours and is no archive, right inside `directory` or in a folder right inside. Recorded: it is in the ledger, and stays. */
  discard(file: ArchiveFile, directory: string): Promise<ArchiveRemoval | 'Recorded'>;
  /** Deletes what retention no longer allows. */
  retain(): Promise<void>;
  storage(): Promise<NodeStorage>;
}

/** Calls that wait for each other, in the order in which they came. */
export type Turns = <T>(call: () => Promise<T>) => Promise<T>;

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (call) => {
    const answer = last.then(call, call);
    last = answer;
    return answer;
  };
}

/** The same in `turns`: a retention pass never meets an archive, or a folder for one, that is just being made. */
export function keepingInTurns(keeping: ArchiveKeeping, turns: Turns): ArchiveKeeping {
  return {
    record: (made) => turns(() => keeping.record(made)),
    deleteOf: (requestUID) => turns(() => keeping.deleteOf(requestUID)),
    discard: (file, directory) => turns(() => keeping.discard(file, directory)),
    retain: () => turns(() => keeping.retain()),
    storage: () => turns(() => keeping.storage()),
  };
}
