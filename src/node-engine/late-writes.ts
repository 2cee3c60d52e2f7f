// Brings text back that a program wrote into a CRIU file after we had replaced it: into the file when that still has what we carried over, else into a document for people.
import { foreignOf } from '../domain/criu-conf/managed-block.ts';
import type { HostFiles, LateWrite } from '../ports/host-files.ts';
import type { Log } from '../ports/log.ts';
import type { NodeMetrics } from '../ports/node-metrics.ts';
import type { NodeDocuments } from './documents.ts';
import type { WriterMemory } from './writer-memory.ts';

export interface LateWriteParts {
  readonly files: HostFiles;
  readonly documents: NodeDocuments;
  readonly log: Log;
  readonly metrics: NodeMetrics;
  /** Absent in a program that ends soon: it takes what is there, finished or not. */
  readonly writers?: WriterMemory;
}

/** No CRIU file is larger. */
const MAXIMUM_FILE_BYTES = 1_048_576;
const NO_BYTES = new Uint8Array();

/**
 * To be called before the file at `path` is read and planned. True: something was written late; it is safe now, or its writer has not finished and it has to be looked at again
 * soon. Rejects with HostFileError; what could not be made safe comes again the next time. The caller holds FILES_LOCK.
 */
export async function bringBackLateWrites(path: string, parts: LateWriteParts): Promise<boolean> {
  const lateWrites = await parts.files.lateWrites(path);
  for (const late of lateWrites) if (!isUnderWay(late, parts)) await bringBack(late, parts);
  return lateWrites.length > 0;
}

/** Half a text is worse than none: a file that is cut first and written then would lose what it had if we were killed in between. */
function isUnderWay({ id, writers }: LateWrite, parts: LateWriteParts): boolean {
  if (writers.length === 0 || parts.writers === undefined) return false;
  return !parts.writers.isPatienceOver(`late ${id}`);
}

async function bringBack(late: LateWrite, parts: LateWriteParts): Promise<void> {
  const { path, content } = late;
  const { files, log, metrics } = parts;
  const snapshot = await files.read(path);
  const place = placeFor(late, foreignOf(snapshot.content ?? NO_BYTES));
  if (place === 'Document') await keepApart(late, parts);
  if (place === 'File') {
    const outcome = await files.replace(snapshot, content);
    if (outcome === 'Changed' || outcome === 'BeingWritten') return;
    metrics.fileWrite(path, 'Replaced');
    log.info('text that was written late is back in the CRIU file', { path, bytes: content.length });
  }
  files.settle(late);
  parts.writers?.beginAnew(`late ${late.id}`);
}

/** null: there is nothing in it that is not in the file, or was not there before. `theirs`: what others have in the file now. */
function placeFor({ before, content }: LateWrite, theirs: Uint8Array): 'File' | 'Document' | null {
  const text = foreignOf(content);
  if (isSame(text, theirs)) return null;
  if (before === null) return 'Document';
  const carriedOver = foreignOf(before);
  if (isSame(text, carriedOver)) return null;
  return isSame(theirs, carriedOver) && content.length <= MAXIMUM_FILE_BYTES ? 'File' : 'Document';
}

/** Somebody else has changed the file since: theirs stays. */
async function keepApart(late: LateWrite, { documents, log, writers }: LateWriteParts): Promise<void> {
  const { path, id, content } = late;
  const document = await documents.lateWrites.keep(late, writers?.documents.get(id) ?? null);
  writers?.documents.set(id, document);
  log.warn('text that was written late into the CRIU file is kept apart: the file has changed meanwhile', {
    path,
    document,
    bytes: content.length,
  });
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
