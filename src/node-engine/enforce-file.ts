// Keeps one CRIU file right: late writes back → read → plan (pure) → write → read back and judge. With late-writes.ts the only place of the engine that changes a CRIU file.
import type { FileReport } from '../api/checkpoint-node.ts';
import { judgeCriuConf } from '../domain/criu-conf/judge.ts';
import { splitManagedBlock } from '../domain/criu-conf/managed-block.ts';
import { noteOrigin, planFile, type FileOrigin, type FilePlan } from '../domain/criu-conf/plan-file.ts';
import { printable } from '../api/printable.ts';
import type { Clock } from '../ports/clock.ts';
import {
  HostFileError,
  type FileWriter,
  type HostFileSnapshot,
  type RemoveOutcome,
  type ReplaceOutcome,
} from '../ports/host-files.ts';
import type { FightMemory } from './fight-memory.ts';
import { failedReport, fileReport, unreadReport, type ReportedOrder } from './file-report.ts';
import { bringBackLateWrites, type LateWriteParts } from './late-writes.ts';

export interface EnforceParts extends LateWriteParts {
  readonly clock: Clock;
  /** Absent in a program that ends soon: it puts lines in once, and fights nobody. */
  readonly fights?: FightMemory;
  /** Until when to wait for programs that have the file open for writing, by the clock's monotonic time. Absent: not at all. */
  readonly waitUntilMs?: number;
}

export type EnforceOrder = ReportedOrder;

export interface EnforcedFile {
  readonly report: FileReport;
  /** False: the file was written, or could not be: our own traces in its directory will wake whoever watches it. */
  readonly settled: boolean;
}

/** Another writer that changes the file each time between our read and our write: we give way and try again at the next pass. */
const ATTEMPTS = 5;
const WRITERS_POLL_MS = 50;

/** Never rejects for what the file or the host is like: that is the report. The caller holds FILES_LOCK. */
export async function enforceFile(order: EnforceOrder, parts: EnforceParts): Promise<EnforcedFile> {
  const { path } = order;
  try {
    const stirred = await bringBackLateWrites(path, parts);
    const enforced = await attempt(order, parts);
    return stirred ? { ...enforced, settled: false } : enforced;
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    const { reason, code, message } = error;
    parts.metrics.fileWrite(path, 'Failed');
    parts.log.warn('CRIU file not written', { path, reason, code, error: message });
    return { report: await reportAsFound(order, reason, message, parts), settled: false };
  }
}

async function attempt(order: EnforceOrder, parts: EnforceParts): Promise<EnforcedFile> {
  const { path } = order;
  const permission: Permission = { mayWriteBack: null };
  for (let changes = 0; changes < ATTEMPTS;) {
    const enforced = await attemptOnce(order, parts, permission);
    if (typeof enforced === 'object') return enforced;
    if (enforced === 'Changed') changes += 1;
    else if (!(await writersLeft(path, parts)))
      return { report: await beingWritten(order, parts), settled: false };
  }
  const message = `${path} changed ${ATTEMPTS.toString()} times while it was being written`;
  return { report: await reportAsFound(order, 'Contended', message, parts), settled: false };
}

/** Asked for once in a pass: each time that it is asked for counts. */
interface Permission {
  mayWriteBack: boolean | null;
}

type Attempt = EnforcedFile | 'Changed' | 'BeingWritten';

/** `Changed`: somebody wrote in between; read and decide anew. */
async function attemptOnce(
  order: EnforceOrder,
  parts: EnforceParts,
  permission: Permission,
): Promise<Attempt> {
  const known = await parts.documents.origin(order.path).read();
  if (known !== null) await parts.files.recover(order.path);
  const snapshot = await parts.files.read(order.path);
  const first = decide(order, snapshot, known);
  if (known === null && first.action.kind === 'Leave') {
    await parts.documents.forgetOriginal(order.path);
    return { report: fileReport(order, first, snapshot.content), settled: true };
  }
  const origin = await keepOrigin(order.path, known, snapshot, parts);
  const plan = decide(order, snapshot, origin);
  if (!isDrift(known, plan, snapshot)) return write(order, { snapshot, origin, plan }, parts);
  const answer = await askToWriteBack(snapshot, parts, permission);
  if (answer === 'BeingWritten') return answer;
  if (answer === 'No') return { report: contendedReport(order, snapshot, parts), settled: true };
  const written = await write(order, { snapshot, origin, plan }, parts);
  if (typeof written === 'object' && !written.settled) parts.metrics.drift(order.path);
  return written;
}

interface Decision {
  readonly snapshot: HostFileSnapshot;
  readonly origin: FileOrigin;
  readonly plan: FilePlan;
}

async function write(
  order: EnforceOrder,
  { snapshot, origin, plan }: Decision,
  parts: EnforceParts,
): Promise<Attempt> {
  const outcome = await carryOut(plan, snapshot, parts);
  if (outcome === 'Changed' || outcome === 'BeingWritten') return outcome;
  if (outcome === 'Left') return { report: await concluded(order, plan, snapshot, parts), settled: true };
  parts.metrics.fileWrite(order.path, outcome);
  const { ghostLimitBytes: limitBytes, options } = order.wanted;
  parts.log.info('CRIU file written', { path: order.path, outcome, limitBytes, options });
  return { report: await readBack(order, origin, parts), settled: false };
}

/** What counts as a fight is what others leave, not what is there while they write. */
async function askToWriteBack(
  snapshot: HostFileSnapshot,
  parts: EnforceParts,
  permission: Permission,
): Promise<'Yes' | 'No' | 'BeingWritten'> {
  if (permission.mayWriteBack === null) {
    const writers = await parts.files.writers(snapshot.path);
    if (writers.length > 0 && !isPatienceOver(snapshot, parts)) return 'BeingWritten';
    permission.mayWriteBack = mayWriteBack(snapshot, parts);
  }
  return permission.mayWriteBack ? 'Yes' : 'No';
}

/** Waits until nobody has the file open for writing any more; false when the time for that is up. */
async function writersLeft(path: string, { files, clock, waitUntilMs = 0 }: EnforceParts): Promise<boolean> {
  while (clock.monotonicMs() < waitUntilMs) {
    await new Promise<void>((resolve) => {
      clock.after(WRITERS_POLL_MS, resolve);
    });
    if ((await files.writers(path)).length === 0) return true;
  }
  return false;
}

async function beingWritten(order: EnforceOrder, parts: EnforceParts): Promise<FileReport> {
  const { path } = order;
  const who = namesOf(await parts.files.writers(path));
  parts.log.info('CRIU file is being written by somebody else, waiting', { path, writers: who });
  const message = `${path} is open for writing in ${who}: our lines have to wait until it is closed`;
  return reportAsFound(order, 'FileBeingWritten', message, parts);
}

const NAMED_WRITERS_MAX = 5;

function namesOf(writers: readonly FileWriter[]): string {
  const names = writers.map(({ pid, command }) => `process ${pid.toString()} (${printable(command, 64)})`);
  const more = names.length - NAMED_WRITERS_MAX;
  const named = names.slice(0, NAMED_WRITERS_MAX).join(', ');
  if (names.length === 0) return 'a process that has just ended';
  return more > 0 ? `${named} and ${more.toString()} more` : named;
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
  parts: EnforceParts,
): Promise<'Left' | 'Changed' | 'BeingWritten' | 'Replaced' | 'Removed'> {
  if (action.kind === 'Leave') return 'Left';
  const change = (despiteWriters: boolean): Promise<ReplaceOutcome | RemoveOutcome> =>
    action.kind === 'Write'
      ? parts.files.replace(snapshot, action.content, { despiteWriters })
      : parts.files.remove(snapshot, { emptyDirectory: action.emptyDirectory, despiteWriters });
  let outcome = await change(false);
  if (outcome === 'BeingWritten' && isPatienceOver(snapshot, parts)) {
    const { path } = snapshot;
    const writers = namesOf(await parts.files.writers(path));
    parts.log.warn('CRIU file written though others have it open for long', { path, writers });
    outcome = await change(true);
  }
  if (outcome === 'Changed' || outcome === 'BeingWritten') return outcome;
  return action.kind === 'Write' ? 'Replaced' : 'Removed';
}

function isPatienceOver({ path, identity }: HostFileSnapshot, { writers }: EnforceParts): boolean {
  if (identity === null || writers === undefined) return false;
  return writers.isPatienceOver(`${path} ${identity.dev.toString()}:${identity.ino.toString()}`);
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

/** Kept durably before the file is touched. What a crash left of an earlier beginning goes. */
async function keepOrigin(
  path: string,
  known: FileOrigin | null,
  { content, directoryPresent }: HostFileSnapshot,
  { documents }: EnforceParts,
): Promise<FileOrigin> {
  const origin = noteOrigin(known, content, directoryPresent);
  if (known === null)
    await (content === null ? documents.forgetOriginal(path) : documents.keepOriginal(path, content));
  if (known?.hadFile !== origin.hadFile || known.hadDirectory !== origin.hadDirectory)
    await documents.origin(path).write(origin);
  return origin;
}

async function forgetOrigin(path: string, { documents }: EnforceParts): Promise<void> {
  await documents.forgetOriginal(path);
  await documents.origin(path).remove();
}
