// Keeps every CRIU file that counts on this host right, and takes our lines out of those that do not count any more.
import type { FileReport } from '../api/checkpoint-node.ts';
import { CRIU_FILE_NAMES, type CriuFileName, type UsedOciRuntime } from '../api/criu-readers.ts';
import { CRIU_DEFAULT_GHOST_LIMIT_BYTES, CRIU_FILE_PATHS, DEFAULT_STATE_DIRECTORY } from '../api/names.ts';
import {
  decidingFile,
  linesFor,
  overruledRemark,
  resolveFileChain,
  type ChainRemark,
  type FileChain,
  type FileChainFacts,
} from '../domain/criu-conf/file-chain.ts';
import { splitManagedBlock } from '../domain/criu-conf/managed-block.ts';
import { NO_LINES, type WantedLines } from '../domain/policy/resolve.ts';
import { isInForce } from '../domain/rollup/node-report.ts';
import type { RuntimeContainer } from '../ports/container-runtime.ts';
import { HostFileError, type HostFiles } from '../ports/host-files.ts';
import type { LateDocuments } from './documents.ts';
import { enforceFile, type EnforcedFile, type EnforceParts } from './enforce-file.ts';
import { failedReport, unreadReport, type ReportedOrder } from './file-report.ts';
import { gatherInheritedLimit } from './inherited-limit.ts';
import { bringBackLateWrites } from './late-writes.ts';

export interface EnforcedChain {
  /** The kept files, runc.conf first; then those that are not kept but matter: CRIU refuses them, or lines of ours are still in them. */
  readonly files: readonly FileReport[];
  /** What our lines do not reach, whatever the files say. */
  readonly remarks: readonly ChainRemark[];
  /** False: a file was written, or could not be: our own traces in its directory will wake whoever watches it. */
  readonly settled: boolean;
  /** The files that CRIU reads for a container, the one with the last word first. */
  readBy(container: Pick<RuntimeContainer, 'runtime' | 'ociRuntime'>): readonly [FileReport, ...FileReport[]];
}

interface Enforcement {
  readonly wanted: WantedLines;
  readonly chain: FileChain;
  readonly parts: EnforceParts;
}

/**
 * Waiting for programs that have one of the files open for writing, milliseconds for all files of a pass together: an agent comes again soon, another program does not.
 * Less than FILES_LOCK is waited for.
 */
const WRITERS_WAIT_MS = { agent: 1_000, others: 5_000 } as const;

/** The caller holds FILES_LOCK. Never rejects for what the files or the host are like: that is the report. */
export async function enforceFiles(wanted: WantedLines, given: EnforceParts): Promise<EnforcedChain> {
  const waitMs = given.writers === undefined ? WRITERS_WAIT_MS.others : WRITERS_WAIT_MS.agent;
  const parts = { ...given, waitUntilMs: given.clock.monotonicMs() + waitMs };
  const enforced = await enforceAll(wanted, parts);
  const isRemoval = wanted.ghostLimitBytes === null && wanted.options.length === 0;
  if (enforced.settled || !isRemoval) return enforced;
  // A directory that was made for one of the files goes with it, and can only go when the others have left it.
  return { ...(await enforceAll(wanted, parts)), settled: false };
}

async function enforceAll(wanted: WantedLines, parts: EnforceParts): Promise<EnforcedChain> {
  const readers = await parts.documents.criuReaders.read();
  const facts = { readers, crunConfPresent: await isThere(CRIU_FILE_PATHS['crun.conf'], parts.files) };
  const enforcement = { wanted, chain: resolveFileChain(facts), parts };
  // Only foreign lines of default.conf are a floor for the others: would our own count, ours in runc.conf would go as soon as they are in default.conf, and come back with them.
  const inherited = await gatherInheritedLimit(parts.files);
  const base = await enforceOne('default.conf', { inheritedLimitBytes: CRIU_DEFAULT }, enforcement);
  const beneath = {
    inheritedLimitBytes: inherited.limitBytes,
    inForceLimitBytes: BigInt(base.report.effectiveLimitBytes),
  };
  const enforced: Record<CriuFileName, EnforcedFile> = {
    'default.conf':
      base.report.managed || isKept('default.conf', enforcement)
        ? base
        : { ...base, report: inherited.report ?? base.report },
    'runc.conf': await enforceOne('runc.conf', beneath, enforcement),
    'crun.conf': await enforceOne('crun.conf', beneath, enforcement),
  };
  return {
    files: reported(enforced, enforcement, facts),
    remarks: [
      ...enforcement.chain.remarks,
      ...overruledIn(enforcement),
      ...(await keptLateWrites(parts.documents.lateWrites)),
    ],
    settled: Object.values(enforced).every(({ settled }) => settled),
    readBy: (container) => readBy(enforced, runtimeOf(container, facts), facts),
  };
}

const CRIU_DEFAULT = BigInt(CRIU_DEFAULT_GHOST_LIMIT_BYTES);

/** A file that is not kept is only read, unless lines of ours are in it from a time when it was. */
async function enforceOne(
  name: CriuFileName,
  beneath: Pick<ReportedOrder, 'inheritedLimitBytes' | 'inForceLimitBytes'>,
  { wanted, chain, parts }: Enforcement,
): Promise<EnforcedFile> {
  const path = CRIU_FILE_PATHS[name];
  const kept = chain.kept.find((file) => file.name === name);
  if (kept !== undefined) {
    const { report, settled } = await enforceFile(
      { path, wanted: linesFor(name, wanted).lines, ...beneath },
      parts,
    );
    return { report: { ...report, why: kept.why }, settled };
  }
  const order = { path, wanted: NO_LINES, ...beneath };
  try {
    const stirred = await bringBackLateWrites(path, parts);
    const { content } = await parts.files.read(path);
    const touched = content !== null && splitManagedBlock(content).block !== null;
    if (touched || (await parts.documents.origin(path).read()) !== null)
      return await enforceFile(order, parts);
    return {
      report: failedReport(order, 'InSync', `${path} is not kept by ghostlimit`, content),
      settled: !stirred,
    };
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    const { reason: state, message } = error;
    return { report: unreadReport(order, { state, message, managed: false }), settled: true };
  }
}

function isKept(name: CriuFileName, { chain }: Pick<Enforcement, 'chain'>): boolean {
  return chain.kept.some((file) => file.name === name);
}

function reported(
  enforced: Readonly<Record<CriuFileName, EnforcedFile>>,
  enforcement: Enforcement,
  facts: FileChainFacts,
): FileReport[] {
  const kept = CRIU_FILE_NAMES.filter((name) => isKept(name, enforcement));
  const others = CRIU_FILE_NAMES.filter(
    (name) => !kept.includes(name) && matters(name, enforced[name].report, facts),
  );
  return [...kept, ...others].map((name) => enforced[name].report);
}

/** Of a file that is not kept. */
function matters(
  name: CriuFileName,
  { state, verdict, managed }: FileReport,
  facts: FileChainFacts,
): boolean {
  if (managed) return true;
  const isRead =
    name === 'default.conf' ||
    facts.readers?.ociRuntimes.some((runtime) => decidingFile(runtime, facts) === name) === true;
  return isRead && (!isInForce(state) || verdict === 'Refused');
}

function overruledIn(enforcement: Enforcement): ChainRemark[] {
  if (!isKept('default.conf', enforcement)) return [];
  const { overruled } = linesFor('default.conf', enforcement.wanted);
  return overruled.length === 0 ? [] : [overruledRemark(overruled)];
}

/** Said until somebody has removed the documents. */
async function keptLateWrites(documents: LateDocuments): Promise<ChainRemark[]> {
  const remarks: ChainRemark[] = [];
  for (const path of Object.values(CRIU_FILE_PATHS)) {
    for (const name of await documents.names(path)) {
      const message = `text that a program wrote into ${path} while it was replaced is not in it, as somebody else had changed it meanwhile: it is in "${name}" of the state folder (${DEFAULT_STATE_DIRECTORY} unless --state-dir says otherwise)`;
      remarks.push({ path, reason: 'LateWriteKept', message });
    }
  }
  return remarks;
}

function runtimeOf(
  { runtime: engine, ociRuntime }: Pick<RuntimeContainer, 'runtime' | 'ociRuntime'>,
  { readers }: FileChainFacts,
): UsedOciRuntime | null {
  const all = readers?.ociRuntimes ?? [];
  const found =
    ociRuntime === undefined
      ? all.find(({ defaultOf }) => defaultOf.includes(engine))
      : all.find(({ commands }) => commands.includes(ociRuntime));
  return found ?? null;
}

/** Where nothing is known of the runtime it is taken for runc. */
function readBy(
  enforced: Readonly<Record<CriuFileName, EnforcedFile>>,
  runtime: UsedOciRuntime | null,
  facts: FileChainFacts,
): readonly [FileReport, ...FileReport[]] {
  const last = (runtime === null ? null : decidingFile(runtime, facts)) ?? 'runc.conf';
  const first = enforced['default.conf'].report;
  return last === 'default.conf' ? [first] : [enforced[last].report, first];
}

async function isThere(path: string, files: HostFiles): Promise<boolean> {
  try {
    return (await files.read(path)).content !== null;
  } catch (error) {
    if (error instanceof HostFileError) return true;
    throw error;
  }
}
