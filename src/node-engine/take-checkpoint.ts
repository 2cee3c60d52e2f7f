// Takes checkpoints of containers of this node: preflight → lines of this one dump → the runtime's call → why it failed → lines back. A container is never frozen for nothing.
import type { ContainerResult, OnGhostLimit, SkippableCheck } from '../api/checkpoint-request.ts';
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { CRIU_CONFIG_ANNOTATION } from '../api/names.ts';
import { printable } from '../api/printable.ts';
import { REASONS, type ReasonCode } from '../api/reasons.ts';
import type { NodeSettings } from '../api/settings.ts';
import { classifyFailure } from '../domain/checkpoint/classify-failure.ts';
import { dumpRequirement, ghostLimitAdvice } from '../domain/checkpoint/ghost-limit-advice.ts';
import { linesForDump } from '../domain/policy/resolve.ts';
import type { Clock } from '../ports/clock.ts';
import {
  RuntimeCheckpointError,
  RuntimeUnavailable,
  type CheckpointArchive,
  type CheckpointCall,
} from '../ports/container-runtime.ts';
import type { GhostScan, GhostScanner } from '../ports/ghost-scanner.ts';
import type { HostFiles } from '../ports/host-files.ts';
import type { Log } from '../ports/log.ts';
import type { NodeMetrics } from '../ports/node-metrics.ts';
import { LockHeld, type StateStore } from '../ports/state-store.ts';
import type { CheckpointSubject } from './checkpoint-subjects.ts';
import { DUMP_LOCK, openDocuments, type NodeDocuments } from './documents.ts';
import { enforce, type EnforcedFiles } from './node-engine.ts';

/** The files that CRIU reads for the container, the one with the last word first. */
type ReadFiles = ReturnType<EnforcedFiles['readBy']>;

export interface CheckpointParts {
  readonly scanner: GhostScanner;
  readonly files: HostFiles;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: NodeMetrics;
  readonly settings: NodeSettings;
  readonly policies: readonly PlanPolicy[];
  /** As `criu --version` says; null: unknown. It decides which size of a file counts. */
  readonly criuVersion: string | null;
}

export interface CheckpointOrder {
  readonly subject: CheckpointSubject;
  /** For this container, milliseconds. */
  readonly timeoutMs: number;
  /** Default: RaiseOnce where an auto target matches, else Fail. */
  readonly onGhostLimit?: OnGhostLimit;
  readonly skipChecks?: readonly SkippableCheck[];
  /** How long the container may stand still before its kubelet restarts it, seconds; null or absent: nobody looks. */
  readonly tolerablePauseSeconds?: number | null;
  /** Runs before each call of the runtime, which is made as told and only if this resolves: where the caller notes what may come of it. */
  readonly beforeCall?: (call: CheckpointCall) => Promise<void>;
}

/** Takes one checkpoint; whatever comes of it is in the result. Rejects for faults of the state folder and for what no port foresees; the lines are taken back all the same. */
export async function takeCheckpoint(
  order: CheckpointOrder,
  parts: CheckpointParts,
): Promise<ContainerResult> {
  const { subject } = order;
  const refusal = refusalAtOnce(order, parts.settings);
  if (refusal !== null) return refusal;
  const documents = openDocuments(parts.state, parts.log);
  const lock = await lockDump(order, parts);
  if (lock === null)
    return notAttempted(
      subject,
      'DeadlineExceeded',
      `another checkpoint of this node did not end within ${(order.timeoutMs / 1000).toString()} s`,
    );
  try {
    const scan = await scanQuietly(subject, parts);
    const needed = linesForDump(
      { policies: parts.policies, peaks: new Map() },
      subject.matched,
      scan?.requiredGhostLimitBytes ?? 0,
    );
    await documents.lease.write({
      ghostLimitBytes: needed.ghostLimitBytes,
      options: [...needed.options],
      containerId: subject.container.id,
      takenAt: new Date(parts.clock.now()).toISOString(),
    });
    const files = (await enforce(parts, documents)).readBy(subject.container);
    return preflightRefusal(subject, files, scan, parts) ?? (await callRuntime(order, files, parts));
  } finally {
    await takeLinesBack(documents, lock, parts);
  }
}

function refusalAtOnce({ subject }: CheckpointOrder, settings: NodeSettings): ContainerResult | null {
  if (settings.checkpointsPaused)
    return notAttempted(
      subject,
      'CheckpointsPaused',
      'checkpoints are paused by the setting checkpointsPaused',
    );
  const { state, name } = subject.container;
  if (state === 'Running' || state === 'Paused') return null;
  return notAttempted(
    subject,
    'ContainerNotRunning',
    `container ${printable(name, 253)} is ${state.toLowerCase()}, not running`,
  );
}

function notAttempted(
  { matched }: CheckpointSubject,
  reason: ReasonCode,
  message: string,
  hint: string = REASONS[reason].remedy,
): ContainerResult {
  return { name: nameOf(matched), result: 'Failed', reason, message, hint, attempts: 0 };
}

function nameOf({ container }: CheckpointSubject['matched']): string {
  return printable(container.name, 253);
}

/** A scan is an aid: when it fails the dump itself tells. */
async function scanQuietly(
  { container }: CheckpointSubject,
  { scanner, log }: CheckpointParts,
): Promise<GhostScan | null> {
  if (container.pid === null) return null;
  try {
    return await scanner.scan(container.pid);
  } catch (error) {
    log.warn('container not scanned before its checkpoint', {
      container: container.id,
      error: error instanceof Error ? error.message : String(error),
    });
    return null;
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

/** What is known to fail is not attempted. Looks at nothing for a container that reads another CRIU file. */
function preflightRefusal(
  subject: CheckpointSubject,
  files: ReadFiles,
  scan: GhostScan | null,
  parts: CheckpointParts,
): ContainerResult | null {
  if (subject.container.criuConfigAnnotation !== null) return null;
  const refused = files.find(({ verdict }) => verdict === 'Refused');
  if (refused !== undefined) {
    return notAttempted(
      subject,
      'ConfigInvalid',
      `CRIU refuses ${refused.path}, so every dump on this node fails: ${refused.message ?? ''}`,
    );
  }
  const [file] = files;
  const requirement = scan === null ? null : dumpRequirement(scan, parts.criuVersion);
  if (requirement === null || requirement.bytes <= file.effectiveLimitBytes) return null;
  // A file that cannot be read may well allow it: then the dump tells.
  if (file.verdict === undefined) return null;
  const path = printable(requirement.file.path, 1024);
  const message = `not attempted: the deleted file ${path} has ${requirement.bytes.toString()} bytes and ghost-limit is ${file.effectiveLimitBytes.toString()}`;
  return {
    ...notAttempted(
      subject,
      'GhostLimitExceeded',
      message,
      adviceFor(requirement.bytes, subject, files, parts),
    ),
    ghostFile: { path, bytes: requirement.bytes },
    requiredGhostLimitBytes: scan?.requiredGhostLimitBytes ?? requirement.bytes,
  };
}

function adviceFor(
  requiredBytes: number,
  { container, matched }: CheckpointSubject,
  [file]: ReadFiles,
  { policies }: CheckpointParts,
): string {
  const { criuConfigAnnotation: own } = container;
  if (own === null) return ghostLimitAdvice(requiredBytes, file, policies, matched);
  const limit = `"ghost-limit ${requiredBytes.toString()}"`;
  return own === ''
    ? `the container reads no CRIU file, by the annotation ${CRIU_CONFIG_ANNOTATION}: create it without the annotation`
    : `the container reads ${printable(own, 256)} by the annotation ${CRIU_CONFIG_ANNOTATION}: put ${limit} there, or create it without the annotation`;
}

async function callRuntime(
  order: CheckpointOrder,
  files: ReadFiles,
  parts: CheckpointParts,
): Promise<ContainerResult> {
  const { clock, metrics } = parts;
  const { subject } = order;
  const startedMs = clock.monotonicMs();
  const createdTime = new Date(clock.now()).toISOString();
  const answer = await askRuntime(order, createdTime, parts);
  const seconds = (clock.monotonicMs() - startedMs) / 1000;
  const result =
    answer instanceof Error
      ? await failed(subject, answer, files, parts)
      : succeeded(subject, answer, createdTime);
  metrics.checkpoint(
    subject.runtime.name,
    result.result === 'Succeeded' ? 'Succeeded' : 'Failed',
    result.reason ?? 'Checkpointed',
    seconds,
  );
  return { ...result, durationSeconds: Math.round(seconds * 1000) / 1000, attempts: 1 };
}

async function askRuntime(
  { subject, timeoutMs }: CheckpointOrder,
  createdTime: string,
  { settings }: CheckpointParts,
): Promise<CheckpointArchive | RuntimeCheckpointError | RuntimeUnavailable> {
  const { runtime, container } = subject;
  const checkpointName = checkpointNameOf(createdTime);
  const archiveDirectory = settings.archives.directory;
  try {
    return await runtime.checkpoint({ container, checkpointName, archiveDirectory, timeoutMs });
  } catch (error) {
    if (error instanceof RuntimeCheckpointError || error instanceof RuntimeUnavailable) return error;
    throw error;
  }
}

/** Sortable, unique per container, accepted by every engine (Docker: ^[a-zA-Z0-9][a-zA-Z0-9_.-]+$). */
function checkpointNameOf(createdTime: string): string {
  return `ghostlimit-${createdTime.replaceAll(/[:.]/g, '-').toLowerCase()}`;
}

type Outcome = Omit<ContainerResult, 'attempts'>;

function succeeded({ matched }: CheckpointSubject, archive: CheckpointArchive, createdTime: string): Outcome {
  return { name: nameOf(matched), result: 'Succeeded', archive: { ...archive, createdTime } };
}

async function failed(
  subject: CheckpointSubject,
  error: RuntimeCheckpointError | RuntimeUnavailable,
  files: ReadFiles,
  parts: CheckpointParts,
): Promise<Outcome> {
  const name = nameOf(subject.matched);
  if (error instanceof RuntimeUnavailable) {
    const { remedy: hint } = REASONS.RuntimeUnavailable;
    const message = `${subject.runtime.name} does not answer: ${printable(error.message, 1024)}`;
    return { name, result: 'Failed', reason: 'RuntimeUnavailable', message, hint };
  }
  const { reason, message, hint, ghostFile } = classifyFailure({
    runtimeError: error.message,
    dumpLog: error.dumpLog?.text ?? null,
    timedOut: error.timedOut,
  });
  const outcome: Outcome = { name, result: 'Failed', reason, message, hint };
  if (reason !== 'GhostLimitExceeded') return outcome;
  // The log names only the first file over the limit, and a file name can forge its lines: a scan of now knows them all.
  const scan = await scanQuietly(subject, parts);
  const requiredBytes = scan?.requiredGhostLimitBytes || (ghostFile?.bytes ?? 0);
  return {
    ...outcome,
    hint: adviceFor(requiredBytes, subject, files, parts),
    ...(ghostFile !== null && { ghostFile: { ...ghostFile, path: printable(ghostFile.path) } }),
    requiredGhostLimitBytes: requiredBytes,
  };
}
