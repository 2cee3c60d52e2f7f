// Whether, and how far, the ghost-limit may be raised for one dump: once, within what an auto target of the container allows. Pure.
import type { PlanPolicy } from '../../api/checkpoint-plan.ts';
import type { OnGhostLimit } from '../../api/checkpoint-request.ts';
import type { GhostScan } from '../../api/ghost-scan.ts';
import { linesForDump, type MatchedContainer } from '../policy/resolve.ts';
import { dumpRequirement } from './ghost-limit-advice.ts';

export interface RaiseQuestion {
  readonly policies: readonly PlanPolicy[];
  readonly subject: MatchedContainer;
  /** Absent: RaiseOnce. Without a matching auto target there is nothing to raise within, whatever is asked. */
  readonly onGhostLimit: OnGhostLimit | undefined;
  readonly scan: Pick<GhostScan, 'files' | 'requiredGhostLimitBytes'>;
  readonly criuVersion: string | null;
  /** What the file gives now. */
  readonly inForceBytes: number;
}

/**
 * The bytes that a raise has to bring about, by the scan alone: a log line can be forged by a file name. Null: no raise, since none is needed, none is allowed,
 * or the highest that the targets allow would not do. A fixed target is its own maximum: it never allows more than it gives already.
 */
export function raiseBytes(question: RaiseQuestion): number | null {
  const { policies, subject, onGhostLimit, scan, inForceBytes } = question;
  const requiredBytes = scan.requiredGhostLimitBytes;
  if (onGhostLimit === 'Fail' || requiredBytes <= inForceBytes) return null;
  const { autoMatched, ghostLimitBytes } = linesForDump(
    { policies, peaks: new Map() },
    subject,
    requiredBytes,
  );
  if (!autoMatched || ghostLimitBytes === null || ghostLimitBytes <= inForceBytes) return null;
  const leastBytes = dumpRequirement(scan, question.criuVersion)?.bytes ?? 0;
  return ghostLimitBytes >= leastBytes ? requiredBytes : null;
}
