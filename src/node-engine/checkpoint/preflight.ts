// What is known to fail, or too likely to do harm, is not attempted: the checks before a container is frozen. Reads; changes nothing.
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import type { CriuOptionName } from '../../api/criu-option.ts';
import { CRIU_CONFIG_ANNOTATION } from '../../api/names.ts';
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import { REASONS, type ReasonCode } from '../../api/reasons.ts';
import type { NodeSettings } from '../../api/settings.ts';
import { certainBlocker } from '../../domain/checkpoint/certain-blocker.ts';
import { dumpRequirement, ghostLimitAdvice } from '../../domain/checkpoint/ghost-limit-advice.ts';
import { neededSpaceBytes } from '../../domain/checkpoint/needed-space.ts';
import { optionAdvice } from '../../domain/checkpoint/option-advice.ts';
import { pauseRate, predictPause } from '../../domain/checkpoint/pause-rate.ts';
import type { RuntimeContainer, RuntimeName } from '../../ports/container-runtime.ts';
import type { GhostScan } from '../../ports/ghost-scanner.ts';
import type { CheckpointSubject } from '../checkpoint-subjects.ts';
import type { CheckpointOrder, CheckpointParts, Dump, ReadFiles } from './checkpoint-order.ts';
import { gatherOptionsInForce } from './dump-lines.ts';
import { nameOf, notAttempted } from './not-attempted.ts';

/** What needs no look at anything. Null: go on. */
export function refuseAtOnce({ subject }: CheckpointOrder, settings: NodeSettings): ContainerResult | null {
  if (settings.checkpointsPaused)
    return notAttempted(
      subject,
      'CheckpointsPaused',
      'checkpoints are paused by the setting checkpointsPaused',
    );
  return isUp(subject.container) ? null : refuseNotRunning(subject, subject.container);
}

export function isUp(container: RuntimeContainer | null): container is RuntimeContainer {
  return container?.state === 'Running' || container?.state === 'Paused';
}

/** `container` is the subject as it is now; null: there is none. */
export function refuseNotRunning(
  subject: CheckpointSubject,
  container: RuntimeContainer | null,
): ContainerResult {
  const state = container === null ? 'gone' : container.state.toLowerCase();
  return notAttempted(
    subject,
    'ContainerNotRunning',
    `container ${nameOf(subject.matched)} is ${state}, not running`,
  );
}

/** `files` as they stand with the lines of this dump. What is certain comes before what is estimated. Null: go on. */
export async function refuseBeforeDump(dump: Dump, files: ReadFiles): Promise<ContainerResult | null> {
  const { order, scan, parts } = dump;
  const refused = refuseByFiles(order.subject, files, scan, parts);
  if (refused !== null || scan === null) return refused;
  return (
    (await refuseByBlocker(order.subject, scan, files, parts)) ??
    (await refuseBySpace(order, scan, parts)) ??
    (await refuseByPause(dump, scan))
  );
}

/** Looks at nothing for a container that reads another CRIU file. */
function refuseByFiles(
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
      limitAdvice(requirement.bytes, subject, files, parts),
    ),
    ghostFile: { path, bytes: requirement.bytes },
    requiredGhostLimitBytes: scan?.requiredGhostLimitBytes ?? requirement.bytes,
  };
}

/** What to change so that `requiredBytes` pass for this container. */
export function limitAdvice(
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

async function refuseByBlocker(
  subject: CheckpointSubject,
  scan: GhostScan,
  files: ReadFiles,
  parts: CheckpointParts,
): Promise<ContainerResult | null> {
  const inForce =
    subject.container.criuConfigAnnotation === null ? await gatherOptionsInForce(files, parts.files) : null;
  const blocker = certainBlocker(scan, inForce);
  if (blocker === null) return null;
  const { reason, message } = blocker;
  return notAttempted(
    subject,
    reason,
    `not attempted: ${message}`,
    optionHint(reason, subject, { files, inForce, parts }),
  );
}

export interface OptionFacts {
  readonly files: ReadFiles;
  /** Null: not known. */
  readonly inForce: ReadonlySet<CriuOptionName> | null;
  readonly parts: Pick<CheckpointParts, 'policies'>;
}

/** The remedy of the registry, and which policy to change where an option would help. */
export function optionHint(
  reason: ReasonCode,
  { matched: subject }: CheckpointSubject,
  { files: [file], inForce, parts: { policies } }: OptionFacts,
): string {
  const advice = optionAdvice(reason, { policies, subject, file, inForce });
  return advice === null ? REASONS[reason].remedy : `${REASONS[reason].remedy} ${advice}`;
}

/** Engines with a store of their own; all others put their archives where the settings say. */
const STORES: Partial<Record<RuntimeName, string>> = {
  docker: '/var/lib/docker',
  podman: '/var/lib/containers',
};

async function refuseBySpace(
  { subject, skipChecks = [] }: CheckpointOrder,
  scan: GhostScan,
  { archives, settings, log }: CheckpointParts,
): Promise<ContainerResult | null> {
  if (archives === undefined || skipChecks.includes('FreeSpace')) return null;
  const directory = STORES[subject.runtime.name] ?? settings.archives.directory;
  const neededBytes = neededSpaceBytes(scan);
  try {
    const { freeBytes } = await archives.space(directory);
    if (freeBytes >= neededBytes) return null;
    const message = `not attempted: the checkpoint may need ${bytesText(neededBytes)} in ${directory} and ${bytesText(freeBytes)} are free there`;
    return notAttempted(
      subject,
      'NoSpace',
      message,
      `${REASONS.NoSpace.remedy} The check FreeSpace can be skipped.`,
    );
  } catch (error) {
    log.warn('free space not known before a checkpoint', { directory, error });
    return null;
  }
}

async function refuseByPause(
  { order, documents }: Dump,
  { residentBytes }: GhostScan,
): Promise<ContainerResult | null> {
  const { subject, skipChecks = [], tolerablePauseSeconds = null } = order;
  if (tolerablePauseSeconds === null || skipChecks.includes('PredictedPause')) return null;
  const { name } = subject.runtime;
  const rate = pauseRate(name, (await documents.pauseRates.read())?.[name] ?? []);
  const seconds = predictPause(residentBytes, rate);
  if (seconds <= tolerablePauseSeconds) return null;
  const message = `not attempted: the container would stand still for about ${seconds.toFixed(1)} s (${bytesText(residentBytes)} of memory at ${rate.toFixed(2)} s/GiB), and its liveness probe has it restarted after ${tolerablePauseSeconds.toString()} s`;
  return notAttempted(subject, 'PauseTooLong', message);
}

/** e.g. 4404019 bytes (4.2 MiB) */
function bytesText(bytes: number): string {
  return `${bytes.toString()} bytes (${printSize(bytes)})`;
}
