// What a node says of an order, made fit for the status of the request. Pure. The words come from a machine that may be owned: they are bounded, escaped, and mean nothing else.
import type { OrderReport } from '../../api/checkpoint-node.ts';
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { isReasonCode } from '../../api/reasons.ts';
import { rfc3339 } from './request-facts.ts';

export interface TakenOver {
  /** null: no container was started with. */
  readonly startTime: string | null;
  readonly completionTime: string;
  /** Of all containers, seconds; null: nothing ran. */
  readonly durationSeconds: number | null;
  readonly containers: readonly ContainerResult[];
}

export function takeOver(report: OrderReport, nowMs: number): TakenOver {
  const containers = uniqueByName(report.containers.map((container) => cleaned(container, nowMs)));
  const now = rfc3339(nowMs);
  const completionTime = timeOf(report.completionTime, now);
  const ran = containers.some(
    ({ attempts, result }) => attempts > 0 || result === 'Succeeded' || result === 'Unknown',
  );
  const durations = containers.flatMap(({ durationSeconds }) => durationSeconds ?? []);
  return {
    startTime: report.startTime === undefined && !ran ? null : timeOf(report.startTime, completionTime),
    completionTime,
    durationSeconds:
      durations.length === 0 ? null : milliseconds(durations.reduce((sum, one) => sum + one, 0)),
    containers,
  };
}

/** Of a running order: when it began, or null where it did not. */
export function startTimeOf(report: OrderReport, nowMs: number): string {
  return timeOf(report.startTime, rfc3339(nowMs));
}

function cleaned(container: ContainerResult, nowMs: number): ContainerResult {
  const { reason, message, hint, archive, ghostFile, durationSeconds } = container;
  return {
    ...container,
    name: escaped(container.name, 253),
    ...(reason !== undefined && { reason: isReasonCode(reason) ? reason : 'Unclassified' }),
    ...(message !== undefined && { message: escaped(message, 2048) }),
    ...(hint !== undefined && { hint: escaped(hint, 2048) }),
    ...(durationSeconds !== undefined && { durationSeconds: milliseconds(durationSeconds) }),
    ...(archive !== undefined && {
      archive: {
        ...archive,
        path: escaped(archive.path, 4096),
        createdTime: timeOf(archive.createdTime, rfc3339(nowMs)),
      },
    }),
    ...(ghostFile !== undefined && { ghostFile: { ...ghostFile, path: escaped(ghostFile.path, 4096) } }),
  };
}

/** Our agents have escaped what they say: their backslashes stay single. */
function escaped(text: string, maxLength: number): string {
  const safe = text
    .split('\\')
    .map((part) => printable(part, maxLength))
    .join('\\');
  return safe.length <= maxLength ? safe : `${safe.slice(0, maxLength - 1)}…`;
}

/** The API server takes no time that is none. */
function timeOf(text: string | undefined, otherwise: string): string {
  const isTime = text !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text);
  return isTime && !Number.isNaN(Date.parse(text)) ? text : otherwise;
}

function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

function uniqueByName(containers: readonly ContainerResult[]): ContainerResult[] {
  return [...new Map(containers.map((container) => [container.name, container])).values()];
}
