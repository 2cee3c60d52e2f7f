// The one registry of reasons. Conditions, events, log fields, metric labels, command output and the reference page take
// their words from here; nothing else may invent a reason.
import { CHECKPOINT_REASONS } from './checkpoint-reasons.ts';
import { DUMP_REASONS } from './dump-reasons.ts';
import { NODE_REASONS } from './node-reasons.ts';
import { POLICY_REASONS } from './policy-reasons.ts';
import type { Reason } from './reason.ts';
import { REQUEST_REASONS } from './request-reasons.ts';

export type { Reason, ReasonSeverity, ReasonSubject } from './reason.ts';

/** Every reason by its name. Names are part of the API: they may be added, never renamed. */
export const REASONS = {
  ...CHECKPOINT_REASONS,
  ...DUMP_REASONS,
  ...NODE_REASONS,
  ...POLICY_REASONS,
  ...REQUEST_REASONS,
} as const satisfies Record<string, Reason>;

export type ReasonCode = keyof typeof REASONS;

/** Every reason, in the order of the registry. */
export const REASON_CODES = Object.keys(REASONS) as readonly ReasonCode[];

/** True when `text` is the name of a reason. */
export function isReasonCode(text: string): text is ReasonCode {
  return Object.hasOwn(REASONS, text);
}
