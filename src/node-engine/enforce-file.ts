// Keeps one CRIU file right: read → plan (pure) → write → read back and judge. The only place of the engine that changes a CRIU file.
import type { FileReport } from '../api/checkpoint-node.ts';
import { judgeCriuConf } from '../domain/criu-conf/judge.ts';
import { splitManagedBlock } from '../domain/criu-conf/managed-block.ts';
import { noteOrigin, planFile, type FileOrigin, type FilePlan } from '../domain/criu-conf/plan-file.ts';
import { HostFileError, type HostFiles, type HostFileSnapshot } from '../ports/host-files.ts';
import type { Log } from '../ports/log.ts';
import type { NodeMetrics } from '../ports/node-metrics.ts';
import type { NodeDocuments } from './documents.ts';
import type { FightMemory } from './fight-memory.ts';
import { failedReport, fileReport, unreadReport, type ReportedOrder } from './file-report.ts';

export interface EnforceParts {
  readonly files: HostFiles;
  readonly documents: NodeDocuments;
  readonly log: Log;
  readonly metrics: NodeMetrics;
  /** Absent in a program that ends soon: it puts lines in once, and fights nobody. */
  readonly fights?: FightMemory;
}

export type EnforceOrder = ReportedOrder;

export interface EnforcedFile {
  readonly report: FileReport;
  /** False: the file was written, or could not be: our own traces in its directory will wake whoever watches it. */
  readonly settled: boolean;
}

/** Another writer that changes the file each time between our read and our write: we give way and try again at the next pass. */
const ATTEMPTS = 5;

/** Never rejects for what the file or the host is like: that is the report. The caller holds FILES_LOCK. */
export async function enforceFile(order: EnforceOrder, parts: EnforceParts): Promise<EnforcedFile> {
  const { path } = order;
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const enforced = await attemptOnce(order, parts);
      if (enforced !== null) return enforced;
    }
    const message = `${path} changed ${ATTEMPTS.toString()} times while it was being written`;
    return { report: await reportAsFound(order, 'Contended', message, parts), settled: false };
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    const { reason, code, message } = error;
    parts.metrics.fileWrite(path, 'Failed');
    parts.log.warn('CRIU file not written', { path, reason, code, error: message });
    return { report: await reportAsFound(order, reason, message, parts), settled: false };
  }
}

/** null: somebody wrote in between; read and decide anew. */
async function attemptOnce(order: EnforceOrder, parts: EnforceParts): Promise<EnforcedFile | null> {
  const known = await parts.documents.origin(order.path).read();
  if (known !== null) await parts.files.recover(order.path);
  const snapshot = await parts.files.read(order.path);
  const first = decide(order, snapshot, known);
  if (known === null && first.action.kind === 'Leave')
    return { report: fileReport(order, first, snapshot.content), settled: true };
  const origin = await keepOrigin(order.path, known, snapshot, parts);
  const plan = decide(order, snapshot, origin);
  const drifted = isDrift(known, plan, snapshot);
  if (drifted && !mayWriteBack(snapshot, parts))
    return { report: contendedReport(order, snapshot, parts), settled: true };
  const outcome = await carryOut(plan, snapshot, parts.files);
  if (outcome === 'Changed') return null;
  if (outcome === 'Left') return { report: await concluded(order, plan, snapshot, parts), settled: true };
  if (drifted) parts.metrics.drift(order.path);
  parts.metrics.fileWrite(order.path, outcome);
  const { ghostLimitBytes: limitBytes, options } = order.wanted;
  parts.log.info('CRIU file written', { path: order.path, outcome, limitBytes, options });
  return { report: await readBack(order, origin, parts), settled: false };
}

/** The file is as planned: remembers what the next pass has to know, and reports. */
async function concluded(
  order: EnforceOrder,
  plan: FilePlan,
  { content }: HostFileSnapshot,
  parts: EnforceParts,
): Promise<FileReport> {
  if (plan.managed) parts.fights?.standing(order.path);
  if (isRestored(order, plan)) await forgetOrigin(order.path, parts);
  return fileReport(order, plan, content);
}

/** Our lines were here and are wanted, and somebody took them out or edited them. */
function isDrift(known: FileOrigin | null, plan: FilePlan, { content }: HostFileSnapshot): boolean {
  if (known === null || !plan.managed) return false;
  return content === null || splitManagedBlock(content).block?.intact !== true;
}

function mayWriteBack({ path, content }: HostFileSnapshot, { fights }: EnforceParts): boolean {
  return fights?.mayWriteBack(path, content ?? new Uint8Array()) ?? true;
}

/** Somebody takes our lines out again and again: nobody wins that by writing faster. */
function contendedReport(
  order: EnforceOrder,
  { content }: HostFileSnapshot,
  { fights }: EnforceParts,
): FileReport {
  const minutes = Math.ceil((fights?.untilRetryMs(order.path) ?? 0) / 60_000);
  const message = `${order.path}: another program takes our lines out each time that they are put back; tried again in ${minutes.toString()} min`;
  return failedReport(order, 'Contended', message, content);
}

async function carryOut(
  { action }: FilePlan,
  snapshot: HostFileSnapshot,
  files: HostFiles,
): Promise<'Left' | 'Changed' | 'Replaced' | 'Removed'> {
  switch (action.kind) {
    case 'Leave':
      return 'Left';
    case 'Write':
      return (await files.replace(snapshot, action.content)) === 'Changed' ? 'Changed' : 'Replaced';
    case 'Remove':
      return (await files.remove(snapshot, { emptyDirectory: action.emptyDirectory })) === 'Changed'
        ? 'Changed'
        : 'Removed';
  }
}

function decide(order: EnforceOrder, snapshot: HostFileSnapshot, origin: FileOrigin | null): FilePlan {
  const { ghostLimitBytes, options } = order.wanted;
  return planFile({
    path: order.path,
    content: snapshot.content,
    directoryPresent: snapshot.directoryPresent,
    desired: { ghostLimitBytes: ghostLimitBytes === null ? null : BigInt(ghostLimitBytes), options },
    inheritedLimitBytes: order.inheritedLimitBytes,
    judge: judgeCriuConf,
    origin,
  });
}

/** What is in force is what a fresh read says, not what we meant to write. */
async function readBack(order: EnforceOrder, origin: FileOrigin, parts: EnforceParts): Promise<FileReport> {
  const snapshot = await parts.files.read(order.path);
  const plan = decide(order, snapshot, origin);
  if (plan.action.kind !== 'Leave') {
    const message = `${order.path} was changed by somebody else right after it was written`;
    return failedReport(order, 'Contended', message, snapshot.content);
  }
  return concluded(order, plan, snapshot, parts);
}

/** After a failure: what CRIU meets now, whatever we meant to write. */
async function reportAsFound(
  order: EnforceOrder,
  state: string,
  message: string,
  { files, documents }: EnforceParts,
): Promise<FileReport> {
  try {
    const { content } = await files.read(order.path);
    return failedReport(order, state, message, content);
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    // Lines of ours may still be in there: nobody may take them for gone.
    const managed = (await documents.origin(order.path).read()) !== null;
    return unreadReport(order, { state: error.reason, message: error.message, managed });
  }
}

/** The file is as if we had never come: the next first look counts anew. */
function isRestored({ wanted }: EnforceOrder, { managed }: FilePlan): boolean {
  return !managed && wanted.ghostLimitBytes === null && wanted.options.length === 0;
}

/** Kept durably before the file is touched. */
async function keepOrigin(
  path: string,
  known: FileOrigin | null,
  { content, directoryPresent }: HostFileSnapshot,
  { documents }: EnforceParts,
): Promise<FileOrigin> {
  const origin = noteOrigin(known, content, directoryPresent);
  if (known === null && content !== null) await documents.keepOriginal(path, content);
  if (known?.hadFile !== origin.hadFile || known.hadDirectory !== origin.hadDirectory)
    await documents.origin(path).write(origin);
  return origin;
}

async function forgetOrigin(path: string, { documents }: EnforceParts): Promise<void> {
  await documents.forgetOriginal(path);
  await documents.origin(path).remove();
}
