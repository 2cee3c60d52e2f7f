// What the report says about one CRIU file: after a plan was carried out, after one failed, and when the file could not even be read. Pure.
import type { FileReport } from '../api/checkpoint-node.ts';
import { judgeCriuConf } from '../domain/criu-conf/judge.ts';
import { splitManagedBlock } from '../domain/criu-conf/managed-block.ts';
import type { FilePlan } from '../domain/criu-conf/plan-file.ts';
import type { WantedLines } from '../domain/policy/resolve.ts';

export interface ReportedOrder {
  readonly path: string;
  readonly wanted: WantedLines;
  /** What this file is planned on: foreign lines of files that CRIU reads before, or its default. */
  readonly inheritedLimitBytes: bigint;
  /** What those files really give now, our lines in them included; absent: the same. */
  readonly inForceLimitBytes?: bigint;
}

const MESSAGE_MAX_LENGTH = 1024;
const FINDINGS_MAX = 32;
/** A file that is not there says what an empty one says. */
const NO_BYTES = new Uint8Array();

/** `content` is the file as `plan` found it and left it: the plan's action is Leave, or to be ignored. */
export function fileReport(order: ReportedOrder, plan: FilePlan, content: Uint8Array | null): FileReport {
  const { verdict, ghostLimitLine } = judgeCriuConf(content ?? NO_BYTES);
  return {
    path: order.path,
    state: plan.state,
    verdict,
    effectiveLimitBytes: reportableBytes(plan.effectiveLimitBytes),
    ...(ghostLimitLine !== null && { limitLine: ghostLimitLine }),
    desiredLimitBytes: order.wanted.ghostLimitBytes ?? 0,
    managed: plan.managed,
    message: bounded(plan.message),
    findings: plan.findings
      .slice(0, FINDINGS_MAX)
      .map(({ line, code, message }) => ({ line, code, message: bounded(message) })),
  };
}

/** The file as it stands is not what was planned: `content` says what CRIU takes from it, null that it is not there. */
export function failedReport(
  { path, wanted, inheritedLimitBytes, inForceLimitBytes = inheritedLimitBytes }: ReportedOrder,
  state: string,
  message: string,
  content: Uint8Array | null,
): FileReport {
  const { verdict, ghostLimitBytes, ghostLimitLine } = judgeCriuConf(content ?? NO_BYTES);
  return {
    path,
    state,
    verdict,
    effectiveLimitBytes: verdict === 'Accepted' ? reportableBytes(ghostLimitBytes ?? inForceLimitBytes) : 0,
    ...(ghostLimitLine !== null && { limitLine: ghostLimitLine }),
    desiredLimitBytes: wanted.ghostLimitBytes ?? 0,
    managed: content !== null && splitManagedBlock(content).block !== null,
    message: bounded(message),
    findings: [],
  };
}

/** Nobody knows what the file says; the limit is what CRIU would take without it. */
export function unreadReport(
  { path, wanted, inheritedLimitBytes, inForceLimitBytes = inheritedLimitBytes }: ReportedOrder,
  { state, message, managed }: Pick<FileReport, 'state' | 'managed'> & { readonly message: string },
): FileReport {
  return {
    path,
    state,
    effectiveLimitBytes: reportableBytes(inForceLimitBytes),
    desiredLimitBytes: wanted.ghostLimitBytes ?? 0,
    managed,
    message: bounded(message),
    findings: [],
  };
}

/** CRIU's limit is a 64-bit size_t; reports carry integers that JSON readers hold exactly. */
function reportableBytes(bytes: bigint): number {
  return Number(bytes > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : bytes);
}

function bounded(message: string): string {
  return message.length > MESSAGE_MAX_LENGTH ? `${message.slice(0, MESSAGE_MAX_LENGTH - 1)}…` : message;
}
