// Takes checkpoints of containers of this node: preflight → lines of this one dump → the runtime's call → why it failed → lines back. A container is never frozen for nothing.
import type { ContainerResult } from '../api/checkpoint-request.ts';
import { raiseBytes } from '../domain/checkpoint/ghost-limit-raise.ts';
import { dumpRequirement } from '../domain/checkpoint/ghost-limit-advice.ts';
import { learnPause } from '../domain/checkpoint/pause-rate.ts';
import type { Clock } from '../ports/clock.ts';
import type { GhostScan } from '../ports/ghost-scanner.ts';
import { LockHeld } from '../ports/state-store.ts';
import { attemptDump, type Attempt } from './checkpoint/call-runtime.ts';
import type { CheckpointOrder, CheckpointParts, Dump, ReadFiles } from './checkpoint/checkpoint-order.ts';
import { putDumpLines } from './checkpoint/dump-lines.ts';
import { notAttempted } from './checkpoint/not-attempted.ts';
import { isUp, refuseAtOnce, refuseBeforeDump, refuseNotRunning } from './checkpoint/preflight.ts';
import { lookAtSubject } from './checkpoint/scan-subject.ts';
import { DUMP_LOCK, openDocuments, type NodeDocuments } from './documents.ts';
import { enforce } from './node-engine.ts';
import { CALL_SPACING_MS } from './orders/call-spacing.ts';

export type { CheckpointOrder, CheckpointParts } from './checkpoint/checkpoint-order.ts';

/** With less time left a second attempt is not begun, milliseconds. */
const LEAST_TIMEOUT_MS = 1_000;

/**
 * Takes one checkpoint; whatever comes of it is in the result. A dump that failed for the ghost-limit is tried once more, with the limit raised once; nothing else is tried again.
 * Rejects when the caller's `beforeCall` does, for faults of the state folder and for what no port foresees; the lines are taken back all the same.
 */
export async function takeCheckpoint(
  order: CheckpointOrder,
  parts: CheckpointParts,
): Promise<ContainerResult> {
  const refusal = refuseAtOnce(order, parts.settings);
  if (refusal !== null) return refusal;
  const documents = openDocuments(parts.state, parts.log);
  const lock = await lockDump(order, parts);
  if (lock === null)
    return notAttempted(
      order.subject,
      'DeadlineExceeded',
      `another checkpoint of this node did not end within ${(order.timeoutMs / 1000).toString()} s`,
    );
  try {
    const { container, scan } = await lookAtSubject(order.subject, parts);
    if (!isUp(container)) return refuseNotRunning(order.subject, container);
    const subject = { ...order.subject, container };
    return await dumpUnderLock({ order: { ...order, subject }, parts, documents, scan });
  } finally {
    await takeLinesBack(documents, lock, parts);
  }
}

async function lockDump(
  { timeoutMs }: CheckpointOrder,
  { state }: CheckpointParts,
): Promise<{ release(): Promise<void> } | null> {
  try {
    return await state.lock(DUMP_LOCK, timeoutMs);
  } catch (error) {
    if (error instanceof LockHeld) return null;
    throw error;
  }
}

/**
 * The lines go before the lock does: nobody sees a lease without an owner but after a crash. Never rejects: what came of the checkpoint is worth more,
 * and lines that stay are taken back by the next pass, whoever makes it.
 */
async function takeLinesBack(
  documents: NodeDocuments,
  lock: { release(): Promise<void> },
  parts: CheckpointParts,
): Promise<void> {
  try {
    await documents.lease.remove();
    await enforce(parts, documents);
  } catch (error) {
    parts.log.error('lines of a checkpoint not taken back, the next pass will', { error });
  } finally {
    await lock.release();
  }
}

async function dumpUnderLock(dump: Dump): Promise<ContainerResult> {
  const { order, parts, scan } = dump;
  const found = await putDumpLines(0, dump);
  const raised = scan === null ? null : await raiseOnce(dump, scan, found);
  const files = raised ?? found;
  const refusal = await refuseBeforeDump(dump, files);
  if (refusal !== null) return refusal;
  const startedMs = parts.clock.monotonicMs();
  const first = await attemptDump(order, files, parts);
  const second =
    raised === null && first.scanAfter !== null
      ? await retryRaised(dump, first.scanAfter, files, startedMs + order.timeoutMs)
      : null;
  return await finish(dump, second === null ? [first] : [first, second]);
}

/** Puts more in force where the scan asks for it and an auto target allows it; null: nothing was raised. */
async function raiseOnce(dump: Dump, scan: GhostScan, [file]: ReadFiles): Promise<ReadFiles | null> {
  const { subject, onGhostLimit } = dump.order;
  if (subject.container.criuConfigAnnotation !== null) return null;
  const { policies, criuVersion, log } = dump.parts;
  const inForceBytes = file.effectiveLimitBytes;
  const bytes = raiseBytes({
    policies,
    subject: subject.matched,
    onGhostLimit,
    scan,
    criuVersion,
    inForceBytes,
  });
  if (bytes === null) return null;
  log.info('ghost-limit raised for a checkpoint', {
    container: subject.container.id,
    requiredBytes: bytes,
    inForceBytes,
  });
  return await putDumpLines(bytes, dump);
}

/** The one second attempt: only if what is read back lets pass what the scan found, and in the time that is left. Null: it was not made. */
async function retryRaised(
  dump: Dump,
  scan: GhostScan,
  files: ReadFiles,
  untilMs: number,
): Promise<Attempt | null> {
  const { order, parts } = dump;
  const timeoutMs = untilMs - parts.clock.monotonicMs() - CALL_SPACING_MS;
  if (timeoutMs < LEAST_TIMEOUT_MS) return null;
  const raised = await raiseOnce(dump, scan, files);
  if (raised === null) return null;
  const [file] = raised;
  const requiredBytes = dumpRequirement(scan, parts.criuVersion)?.bytes ?? 0;
  if (file.verdict !== 'Accepted' || file.effectiveLimitBytes < requiredBytes) return null;
  await pause(parts.clock, CALL_SPACING_MS);
  return await attemptDump({ ...order, timeoutMs }, raised, parts);
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

async function finish(dump: Dump, attempts: readonly [Attempt, ...Attempt[]]): Promise<ContainerResult> {
  const { order, parts } = dump;
  const last = attempts.at(-1) ?? attempts[0];
  const { outcome } = last;
  const seconds = attempts.reduce((sum, attempt) => sum + attempt.seconds, 0);
  parts.metrics.checkpoint(
    order.subject.runtime.name,
    outcome.result === 'Succeeded' ? 'Succeeded' : 'Failed',
    outcome.reason ?? 'Checkpointed',
    seconds,
  );
  if (outcome.result === 'Succeeded') await rememberPause(dump, last.seconds);
  return { ...outcome, durationSeconds: Math.round(seconds * 1000) / 1000, attempts: attempts.length };
}

/** Only an aid for the next checkpoint: what came of this one is told whether or not it can be remembered. */
async function rememberPause({ order, parts, documents, scan }: Dump, seconds: number): Promise<void> {
  const { name } = order.subject.runtime;
  try {
    const rates = (await documents.pauseRates.read()) ?? {};
    const before = rates[name] ?? [];
    const after = learnPause(before, scan?.residentBytes ?? 0, seconds);
    if (after !== before) await documents.pauseRates.write({ ...rates, [name]: [...after] });
  } catch (error) {
    parts.log.warn('pause of a checkpoint not remembered', { error });
  }
}
