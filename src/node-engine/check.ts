// One finding of a diagnosis: fine, or what is wrong and what to do.
import { REASONS, type ReasonCode } from '../api/reasons.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly reason: ReasonCode;
  readonly message: string;
  /** What to do; empty when it is fine. */
  readonly hint: string;
}

export function fine(name: string, message: string): Check {
  return { name, ok: true, reason: 'InSync', message, hint: '' };
}

export function bad(
  name: string,
  reason: ReasonCode,
  message: string,
  hint: string = REASONS[reason].remedy,
): Check {
  return { name, ok: false, reason, message, hint };
}
