// What the node engine remembers across restarts, as documents of the state folder. A document that cannot be read counts as absent: the engine then decides anew.
import { z } from 'zod';
import { PlanPolicySchema } from '../api/checkpoint-plan.ts';
import { CRIU_OPTION_NAMES } from '../api/criu-option.ts';
import { CriuReadersSchema, type CriuReaders } from '../api/criu-readers.ts';
import { GHOST_LIMIT_CEILING_BYTES } from '../api/names.ts';
import type { FileOrigin } from '../domain/criu-conf/plan-file.ts';
import type { Log } from '../ports/log.ts';
import type { StateStore } from '../ports/state-store.ts';

const WantedLinesSchema = z.object({
  ghostLimitBytes: z.int().positive().max(GHOST_LIMIT_CEILING_BYTES).nullable(),
  options: z.array(z.enum(CRIU_OPTION_NAMES)),
});

/** What the policies of this node want now. Written by whoever decides (agent, apply), read by whoever writes the file (also `checkpoint`). */
const DesiredLinesSchema = WantedLinesSchema.extend({
  decidedBy: z.string().nullable(),
});
export type DesiredLines = z.output<typeof DesiredLinesSchema>;

/** Runtimes that were seen on this host: when one of them does not answer, nobody knows what runs. */
const KnownRuntimesSchema = z.array(z.string());

/** Lines that stand only during one dump of ours. Valid while its owner holds the lock DUMP_LOCK. */
const DumpLeaseSchema = WantedLinesSchema.extend({
  /** Options that stand for nobody meanwhile. */
  withheld: z.array(z.enum(CRIU_OPTION_NAMES)).default([]),
  containerId: z.string(),
  takenAt: z.string(),
});
export type DumpLease = z.output<typeof DumpLeaseSchema>;

/** By runtime: what its last dumps took, seconds per GiB of memory, oldest first. */
const PauseRatesSchema = z.record(z.string().max(63), z.array(z.number().min(0)).max(64));
export type PauseRates = z.output<typeof PauseRatesSchema>;

/** An archive that we made. It is that file only while path, device and inode agree. */
const ArchiveRecordSchema = z.object({
  path: z.string(),
  device: z.number(),
  inode: z.number(),
  sizeBytes: z.number(),
  /** Of the file when it was finished, milliseconds since 1970. */
  modifiedMs: z.number(),
  /** The directory of archives where it was made, right inside or in a folder by container, whatever the settings say today; null: it was in none. */
  directory: z.string().nullable().default(null),
  requestUID: z.string(),
  /** "namespace/name" of the policy whose schedule asked for it; null: nobody's. */
  policy: z.string().nullable(),
  podUID: z.string(),
  containerName: z.string(),
});
export type ArchiveRecord = z.output<typeof ArchiveRecordSchema>;

/** What was there before us, by CRIU file. */
const FileOriginSchema = z.object({ hadFile: z.boolean(), hadDirectory: z.boolean() });

/** By policy file: what it compiled to when it was last valid. */
const LastGoodPlanSchema = z.record(z.string(), z.array(PlanPolicySchema));
export type LastGoodPlan = z.output<typeof LastGoodPlanSchema>;

/** Held while a CRIU file is read, decided and written: milliseconds. */
export const FILES_LOCK = 'files';
/** Held during one dump of ours. */
export const DUMP_LOCK = 'dump';
/** Held by a running agent, or by `apply` while it works. */
export const ENGINE_LOCK = 'engine';

export interface NodeDocuments {
  readonly desired: Document<DesiredLines>;
  readonly lease: Document<DumpLease>;
  readonly lastGoodPlan: Document<LastGoodPlan>;
  readonly knownRuntimes: Document<string[]>;
  readonly pauseRates: Document<PauseRates>;
  /** Written by archive-ledger.ts only. */
  readonly archives: Document<ArchiveRecord[]>;
  /** Who reads CRIU's files here, and which of them to keep. */
  readonly criuReaders: Document<CriuReaders>;
  origin(path: string): Document<FileOrigin>;
  /** The first-seen bytes of a CRIU file, kept for people; never put back by us over newer lines. */
  keepOriginal(path: string, content: Uint8Array): Promise<void>;
  forgetOriginal(path: string): Promise<void>;
  /** Text that was written into a CRIU file too late to get into it, kept for people; they remove it. */
  readonly lateWrites: LateDocuments;
}

export interface LateDocuments {
  /** Gives the name of the document: `replaced`, where it is one, which is written anew; else one made of `sha256`. */
  keep(late: KeptText, replaced: string | null): Promise<string>;
  /** The documents about the file at `path`. */
  names(path: string): Promise<readonly string[]>;
}

export interface KeptText {
  readonly path: string;
  readonly content: Uint8Array;
  readonly sha256: string;
}

export interface Document<T> {
  read(): Promise<T | null>;
  write(value: T): Promise<void>;
  remove(): Promise<void>;
}

export function openDocuments(state: StateStore, log: Log): NodeDocuments {
  const document = <T>(name: string, schema: z.ZodType<T>): Document<T> => ({
    read: async () => {
      const content = await state.read(name);
      if (content === null) return null;
      const parsed = schema.safeParse(parseJson(new TextDecoder().decode(content)));
      if (!parsed.success) log.warn('state document is unreadable, deciding anew', { document: name });
      return parsed.success ? parsed.data : null;
    },
    write: (value) => state.write(name, new TextEncoder().encode(`${JSON.stringify(value)}\n`)),
    remove: () => state.remove(name),
  });
  return {
    desired: document('desired.json', DesiredLinesSchema),
    lease: document('dump-lease.json', DumpLeaseSchema),
    lastGoodPlan: document('last-good-plan.json', LastGoodPlanSchema),
    criuReaders: document('criu-readers.json', CriuReadersSchema),
    knownRuntimes: document('runtimes.json', KnownRuntimesSchema),
    pauseRates: document('pause-rates.json', PauseRatesSchema),
    archives: document('archives.json', z.array(ArchiveRecordSchema)),
    origin: (path) => document(`origin-${documentName(path)}.json`, FileOriginSchema),
    keepOriginal: (path, content) => state.write(`original-${documentName(path)}`, content),
    forgetOriginal: async (path) => {
      const name = `original-${documentName(path)}`;
      if ((await state.read(name)) !== null) await state.remove(name);
    },
    lateWrites: {
      keep: async ({ path, content, sha256 }, replaced) => {
        const name = replaced ?? `${latePrefix(path)}${sha256.slice(0, 16)}`;
        await state.write(name, content);
        return name;
      },
      names: (path) => state.list(latePrefix(path)),
    },
  };
}

function latePrefix(path: string): string {
  return `late-${documentName(path)}-`;
}

/** /etc/criu/runc.conf → etc.criu.runc.conf */
function documentName(path: string): string {
  return path.replace(/^\/+/, '').replaceAll('/', '.').toLowerCase();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
