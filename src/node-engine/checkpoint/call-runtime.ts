// One call of a container runtime for one dump, and what came of it in words of the registry. Tries nothing twice.
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { REASONS } from '../../api/reasons.ts';
import { classifyFailure, type FailureVerdict } from '../../domain/checkpoint/classify-failure.ts';
import { optionConflict } from '../../domain/checkpoint/option-advice.ts';
import {
  RuntimeCheckpointError,
  RuntimeUnavailable,
  type CheckpointArchive,
  type CheckpointCall,
} from '../../ports/container-runtime.ts';
import type { GhostScan } from '../../ports/ghost-scanner.ts';
import type { CheckpointSubject } from '../checkpoint-subjects.ts';
import type { CheckpointOrder, CheckpointParts, ReadFiles } from './checkpoint-order.ts';
import { gatherOptionsInForce } from './dump-lines.ts';
import { nameOf } from './not-attempted.ts';
import { limitAdvice, optionHint } from './preflight.ts';
import { scanQuietly } from './scan-subject.ts';

export interface Attempt {
  readonly outcome: Omit<ContainerResult, 'attempts'>;
  /** How long the call took. */
  readonly seconds: number;
  /** Of after a dump that a ghost file made fail; null: it did not fail so, or there is no scan. */
  readonly scanAfter: GhostScan | null;
}

type Answer = CheckpointArchive | RuntimeCheckpointError | RuntimeUnavailable;

/** Rejects when the caller's `beforeCall` does (nothing was called then), and for what no port foresees. */
export async function attemptDump(
  { subject, timeoutMs, beforeCall }: CheckpointOrder,
  files: ReadFiles,
  parts: CheckpointParts,
): Promise<Attempt> {
  const { clock, settings } = parts;
  const createdTime = new Date(clock.now()).toISOString();
  const call: CheckpointCall = {
    container: subject.container,
    checkpointName: checkpointNameOf(createdTime),
    archiveDirectory: settings.archives.directory,
    timeoutMs,
  };
  await beforeCall?.(call);
  const startedMs = clock.monotonicMs();
  const answer = await askRuntime(subject, call);
  const seconds = (clock.monotonicMs() - startedMs) / 1000;
  if (!(answer instanceof Error))
    return { outcome: succeeded(subject, answer, createdTime, parts), seconds, scanAfter: null };
  return { ...(await failed(subject, answer, files, parts)), seconds };
}

async function askRuntime({ runtime }: CheckpointSubject, call: CheckpointCall): Promise<Answer> {
  try {
    return await runtime.checkpoint(call);
  } catch (error) {
    if (error instanceof RuntimeCheckpointError || error instanceof RuntimeUnavailable) return error;
    throw error;
  }
}

/** Sortable, unique per container, accepted by every engine (Docker: ^[a-zA-Z0-9][a-zA-Z0-9_.-]+$). */
function checkpointNameOf(createdTime: string): string {
  return `ghostlimit-${createdTime.replaceAll(/[:.]/g, '-').toLowerCase()}`;
}

function succeeded(
  { matched }: CheckpointSubject,
  archive: CheckpointArchive,
  createdTime: string,
  { policies }: CheckpointParts,
): Attempt['outcome'] {
  const conflict = optionConflict(policies, matched);
  return {
    name: nameOf(matched),
    result: 'Succeeded',
    ...(conflict !== null && { message: conflict }),
    archive: { ...archive, createdTime },
  };
}

async function failed(
  subject: CheckpointSubject,
  error: RuntimeCheckpointError | RuntimeUnavailable,
  files: ReadFiles,
  parts: CheckpointParts,
): Promise<Omit<Attempt, 'seconds'>> {
  if (error instanceof RuntimeUnavailable) return { outcome: unavailable(subject, error), scanAfter: null };
  const verdict = classifyFailure({
    runtimeError: error.message,
    dumpLog: error.dumpLog?.text ?? null,
    timedOut: error.timedOut,
  });
  const { reason, message } = verdict;
  const outcome = { name: nameOf(subject.matched), result: 'Failed' as const, reason, message };
  if (reason === 'GhostLimitExceeded') return overLimit({ ...outcome, verdict }, subject, files, parts);
  if (reason === 'ConfigInvalid' && areFine(subject, files))
    return { outcome: { ...outcome, hint: FILES_ARE_FINE }, scanAfter: null };
  // A hint that the very words of the runtime gave knows more than the policies do.
  if (verdict.hint !== REASONS[reason].remedy)
    return { outcome: { ...outcome, hint: verdict.hint }, scanAfter: null };
  const inForce = await gatherOptionsInForce(files, parts.files);
  const hint = optionHint(reason, subject, { files, inForce, parts });
  return { outcome: { ...outcome, hint }, scanAfter: null };
}

/** Measured with runc 1.3.6 and CRIU 4.2.1: without CAP_SYS_ADMIN CRIU answers as it does to a file that it refuses. */
const FILES_ARE_FINE =
  'The CRIU files in /etc/criu are fine, so it is another one, that of the home or of CRIU_CONFIG_FILE of the container engine, or the engine lacks rights that CRIU needs (CAP_SYS_ADMIN): run "ghostlimit doctor".';

function areFine({ container }: CheckpointSubject, files: ReadFiles): boolean {
  return container.criuConfigAnnotation === null && files.every(({ verdict }) => verdict === 'Accepted');
}

function unavailable(
  { matched, runtime }: CheckpointSubject,
  { message }: RuntimeUnavailable,
): Attempt['outcome'] {
  return {
    name: nameOf(matched),
    result: 'Failed',
    reason: 'RuntimeUnavailable',
    message: `${runtime.name} does not answer: ${printable(message, 1024)}`,
    hint: REASONS.RuntimeUnavailable.remedy,
  };
}

/** The log names only the first file over the limit, and a file name can forge its lines: a scan of now knows them all. */
async function overLimit(
  { verdict: { ghostFile }, ...outcome }: Attempt['outcome'] & { readonly verdict: FailureVerdict },
  subject: CheckpointSubject,
  files: ReadFiles,
  parts: CheckpointParts,
): Promise<Omit<Attempt, 'seconds'>> {
  const scanAfter = await scanQuietly(subject.container, parts);
  const requiredBytes = scanAfter?.requiredGhostLimitBytes || (ghostFile?.bytes ?? 0);
  return {
    outcome: {
      ...outcome,
      hint: limitAdvice(requiredBytes, subject, files, parts),
      ...(ghostFile !== null && { ghostFile: { ...ghostFile, path: printable(ghostFile.path) } }),
      requiredGhostLimitBytes: requiredBytes,
    },
    scanAfter,
  };
}
