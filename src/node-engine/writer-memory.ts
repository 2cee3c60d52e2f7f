// What an agent remembers of programs that have a CRIU file open for writing: since when, and where their text went. Looks at no file itself.
import type { Clock } from '../ports/clock.ts';

/** After this our lines go in all the same: a program that never closes the file must not keep them out for ever. */
export const WRITER_PATIENCE_MS = 30_000;
/** Who has not been asked about for so long has been away. */
const FORGET_MS = 10_000;

export interface WriterMemory {
  /** To be asked each time that `file` is found open for writing: whether that has gone on for WRITER_PATIENCE_MS. `file`: any name that tells one from the next. */
  isPatienceOver(file: string): boolean;
  /** What is written into `file` from now on is waited for anew. */
  beginAnew(file: string): void;
  /** By the id of a late write: the document that its text was put into. */
  readonly documents: Map<string, string>;
}

interface Seen {
  readonly sinceMs: number;
  lastMs: number;
}

export function createWriterMemory(clock: Clock): WriterMemory {
  const seen = new Map<string, Seen>();
  return {
    isPatienceOver: (file) => {
      const nowMs = clock.monotonicMs();
      for (const [name, { lastMs }] of seen) if (nowMs - lastMs >= FORGET_MS) seen.delete(name);
      const entry = seen.get(file) ?? { sinceMs: nowMs, lastMs: nowMs };
      entry.lastMs = nowMs;
      seen.set(file, entry);
      return nowMs - entry.sinceMs >= WRITER_PATIENCE_MS;
    },
    beginAnew: (file) => {
      seen.delete(file);
    },
    documents: new Map(),
  };
}
