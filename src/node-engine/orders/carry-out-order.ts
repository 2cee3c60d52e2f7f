// Carries out one order that was started: container after container, each step in the ledger before the next. Also goes on with what an earlier process left. Never calls twice for one attempt.
import type { NodeOrder } from '../../api/checkpoint-node.ts';
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { REASONS } from '../../api/reasons.ts';
import type { CheckpointArchiveInfo } from '../../ports/checkpoint-archives.ts';
import type { CheckpointCall } from '../../ports/container-runtime.ts';
import type { CheckpointOrder } from '../take-checkpoint.ts';
import { pause, retryMs } from './alarm.ts';
import type { ArchiveKeeping } from './archive-keeping.ts';
import type { CallSpacing } from './call-spacing.ts';
import type { LedgerEntry, OpenCall, OrderLedger } from './order-ledger.ts';
import {
  NOT_FOUND_MS,
  notAttempted,
  planOrder,
  type OrderPlan,
  type OrderSubject,
  type SubjectParts,
} from './order-subjects.ts';
import { settleCall, type SettleParts } from './settle-call.ts';

/** Between two looks for a container that is not seen yet, milliseconds. */
const LOOK_AGAIN_MS = 200;

export interface CarryOutParts extends SubjectParts, SettleParts {
  /** One checkpoint with all that belongs to it, by the settings and policies of now. */
  readonly take: (order: CheckpointOrder) => Promise<ContainerResult>;
  readonly keeping: ArchiveKeeping;
  readonly ledger: OrderLedger;
  readonly spacing: CallSpacing;
  /** After each step of an entry that others may hear of. */
  readonly onStep: () => void;
}

/**
 * Works on the entry until it is finished, and gives it back finished; or, when `signal` aborts, as far as it came: a call that runs is finished first, no
 * other is started. What an earlier process left is settled, not repeated, and then the containers that it had not come to have their turn: no call was noted
 * for them, so they were never frozen for this order. `order` null: it was withdrawn while nobody worked on it, and nothing new is started for it.
 */
export async function carryOut(
  entry: LedgerEntry,
  order: NodeOrder | null,
  parts: CarryOutParts,
  signal: AbortSignal,
): Promise<LedgerEntry> {
  let current = entry;
  if (current.open !== null) current = await closeOpenCall(current, current.open, parts, signal);
  while (current.open === null && current.containers.length < current.containerNames.length) {
    const before = current;
    const refusal = refusalOf(nameAt(current), current, order, parts);
    if (signal.aborted) return current;
    current =
      refusal !== null || order === null
        ? await close(current, refusal ?? withdrawn(nameAt(current)), parts, signal)
        : await oneContainer(nameAt(current), current, order, { parts, signal });
    // Only when the process is to stop: the next one goes on from here.
    if (current === before) return current;
  }
  return current.open === null ? finish(current, parts, signal) : current;
}

interface Work {
  readonly parts: CarryOutParts;
  readonly signal: AbortSignal;
}

/** Names of containers whose turn comes after an earlier process was stopped: not for ever, as whoever asked was told long ago that the node is silent. */
function refusalOf(
  name: string,
  { startTime, timeoutSeconds, containerNames }: LedgerEntry,
  order: NodeOrder | null,
  { clock }: CarryOutParts,
): ContainerResult | null {
  if (order === null) return withdrawn(name);
  const endMs = Date.parse(startTime ?? '') + timeoutSeconds * containerNames.length * 1000;
  if (!(clock.now() > endMs)) return null;
  const message = `not attempted: the time for all containers of the order was over at ${new Date(endMs).toISOString()}`;
  return notAttempted(name, 'DeadlineExceeded', message);
}

function withdrawn(name: string): ContainerResult {
  const message = 'not attempted: the order was withdrawn while the agent was not running';
  return { ...notAttempted(name, 'Withdrawn', message), result: 'Skipped' };
}

async function oneContainer(
  name: string,
  entry: LedgerEntry,
  order: NodeOrder,
  { parts, signal }: Work,
): Promise<LedgerEntry> {
  const plan = await planQuietly(name, order, { parts, signal });
  if (plan === null) return entry;
  if ('refusal' in plan) return close(entry, plan.refusal, parts, signal);
  const { subject } = plan;
  await pause(parts.clock, parts.spacing.untilFreeMs(subject.container.id), signal);
  if (signal.aborted) return entry;
  const notes = { entry, calls: 0 };
  let result: ContainerResult;
  try {
    result = await parts.take(takeOrder(order, subject, notes, parts));
  } catch (error) {
    parts.log.error('checkpoint broke off', { request: entry.requestUID, container: name, error });
    const { open } = notes.entry;
    if (open !== null) return await closeOpenCall(notes.entry, open, parts, signal);
    const message = `not attempted: ${printable(explain(error), 1024)}`;
    return await close(entry, notAttempted(name, 'Unclassified', message), parts, signal);
  } finally {
    if (notes.calls > 0) parts.spacing.ended(subject.container.id);
  }
  return close(notes.entry, await checked(result, parts), parts, signal);
}

/** What cannot be told right after a start (the pods were not read, the runtime is silent) is asked for again. null: `signal` ended that. */
async function planQuietly(
  name: string,
  order: NodeOrder,
  { parts, signal }: Work,
): Promise<{ readonly subject: OrderSubject } | { readonly refusal: ContainerResult } | null> {
  const sinceMs = parts.clock.monotonicMs();
  try {
    for (;;) {
      const plan = await planOrder({ ...order, containerNames: [name] }, parts);
      if (signal.aborted) return null;
      const waitedMs = parts.clock.monotonicMs() - sinceMs;
      if (plan.kind === 'Ready' || waitedMs >= patienceMs(plan, order)) return firstOf(plan, name);
      await pause(parts.clock, LOOK_AGAIN_MS, signal);
    }
  } catch (error) {
    const message = `not attempted: ${printable(explain(error), 1024)}`;
    return { refusal: notAttempted(name, 'Unclassified', message) };
  }
}

function patienceMs(
  { why }: Extract<OrderPlan, { kind: 'Waiting' }>,
  { timeoutSeconds }: Pick<NodeOrder, 'timeoutSeconds'>,
): number {
  return why === 'PodsUnread' ? timeoutSeconds * 1000 : NOT_FOUND_MS;
}

function firstOf(
  plan: OrderPlan,
  name: string,
): { readonly subject: OrderSubject } | { readonly refusal: ContainerResult } {
  const [first] = plan.kind === 'Ready' ? plan.containers : [];
  const [refusal] = plan.kind === 'Waiting' ? plan.refusals : [];
  return (
    first ?? { refusal: refusal ?? notAttempted(name, 'ContainerNotRunning', 'the container was not found') }
  );
}

interface Notes {
  entry: LedgerEntry;
  calls: number;
}

function takeOrder(
  order: NodeOrder,
  subject: OrderSubject,
  notes: Notes,
  parts: CarryOutParts,
): CheckpointOrder {
  const { onGhostLimit, skipChecks, timeoutSeconds } = order;
  const { tolerablePauseSeconds, ...rest } = subject;
  return {
    subject: rest,
    timeoutMs: timeoutSeconds * 1000,
    tolerablePauseSeconds,
    ...(onGhostLimit !== undefined && { onGhostLimit }),
    ...(skipChecks !== undefined && { skipChecks }),
    beforeCall: async (call) => {
      const { clock, ledger } = parts;
      const calledAt = new Date(clock.now()).toISOString();
      const open = openCall(nameAt(notes.entry), call, { attempt: notes.calls + 1, calledAt });
      const entry = { ...notes.entry, open, remains: withOpen(notes.entry) };
      await ledger.write(entry);
      notes.entry = entry;
      notes.calls += 1;
    },
  };
}

function nameAt({ containerNames, containers }: LedgerEntry): string {
  return containerNames[containers.length] ?? '';
}

/** What is to be looked after once the open call, if there is one, has come to no archive. */
function withOpen({ open, remains }: LedgerEntry): OpenCall[] {
  return open === null ? remains : [...remains, open];
}

function openCall(
  name: string,
  { container, checkpointName, archiveDirectory }: CheckpointCall,
  { attempt, calledAt }: Pick<OpenCall, 'attempt' | 'calledAt'>,
): OpenCall {
  return { name, containerId: container.id, attempt, checkpointName, archiveDirectory, calledAt };
}

interface Checked {
  readonly result: ContainerResult;
  readonly archive: CheckpointArchiveInfo | null;
}

/** What the runtime calls done is looked at: an archive that is no good is no success. One that cannot be looked at from here may be. */
async function checked(result: ContainerResult, { archives, log }: CarryOutParts): Promise<Checked> {
  const { archive } = result;
  if (result.result !== 'Succeeded' || archive === undefined) return { result, archive: null };
  try {
    const info = await archives.inspect(archive.path);
    if (info === null || info.fault === null) return { result, archive: info };
    const { archive: _bad, ...rest } = result;
    const shown = printable(archive.path, 1024);
    const message = `the container runtime says that it is done, but its archive ${shown} is no good: ${printable(info.fault, 512)}`;
    const failed = { result: 'Failed' as const, reason: 'Unclassified', message };
    return { result: { ...rest, ...failed, hint: REASONS.Unclassified.remedy }, archive: null };
  } catch (error) {
    log.warn('archive cannot be looked at', { path: archive.path, error: explain(error) });
    return { result, archive: null };
  }
}

/** By the archives; the call is not made again. */
async function closeOpenCall(
  entry: LedgerEntry,
  open: OpenCall,
  parts: CarryOutParts,
  signal: AbortSignal,
): Promise<LedgerEntry> {
  const settled = await settleCall(open, entry.timeoutSeconds * 1000, parts, signal);
  if (settled === 'Interrupted') return entry;
  const { name, attempt: attempts, calledAt: createdTime } = open;
  parts.log.info('checkpoint of an interrupted call settled', {
    request: entry.requestUID,
    container: name,
    archive: settled?.path ?? null,
  });
  if (settled === null) {
    const { sentence: message, remedy: hint } = REASONS.OutcomeUnknown;
    const unknown = { result: 'Unknown' as const, reason: 'OutcomeUnknown', message, hint };
    return close(entry, { name: printable(name, 253), ...unknown, attempts }, parts, signal);
  }
  const archive = { path: settled.path, sizeBytes: settled.sizeBytes, createdTime };
  const result = { name: printable(name, 253), result: 'Succeeded' as const, archive, attempts };
  return close(entry, { result, archive: settled }, parts, signal);
}

/** The result of the container whose turn it is goes into the ledgers. Tries until they take it; gives up only when the process is to stop. */
async function close(
  entry: LedgerEntry,
  outcome: ContainerResult | Checked,
  parts: CarryOutParts,
  signal: AbortSignal,
): Promise<LedgerEntry> {
  const { result, archive } = 'attempts' in outcome ? { result: outcome, archive: null } : outcome;
  const { open, containers } = entry;
  const remains = result.result === 'Succeeded' ? entry.remains : withOpen(entry);
  const next: LedgerEntry = { ...entry, open: null, remains, containers: [...containers, result] };
  const made = archive === null || open === null ? null : { archive, directory: open.archiveDirectory };
  const isKept = await untilKept(parts, signal, async () => {
    if (made !== null) await parts.keeping.record({ ...made, order: entry, containerName: nameAt(entry) });
    await parts.ledger.write(next);
  });
  return isKept ? next : entry;
}

async function finish(entry: LedgerEntry, parts: CarryOutParts, signal: AbortSignal): Promise<LedgerEntry> {
  const completionTime = new Date(parts.clock.now()).toISOString();
  const done: LedgerEntry = { ...entry, state: 'Finished', completionTime };
  return (await untilKept(parts, signal, () => parts.ledger.write(done))) ? done : entry;
}

/** At least once, also when the process is to stop. False: it did not work, and the process is to stop. */
export async function untilKept(
  { clock, log, onStep }: Pick<CarryOutParts, 'clock' | 'log' | 'onStep'>,
  signal: AbortSignal,
  write: () => Promise<void>,
): Promise<boolean> {
  for (let failures = 1; ; failures += 1) {
    try {
      await write();
      onStep();
      return true;
    } catch (error) {
      log.error('ledger not written, trying again', { error: explain(error), failures });
    }
    if (signal.aborted) return false;
    await pause(clock, retryMs(failures), signal);
  }
}

export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
