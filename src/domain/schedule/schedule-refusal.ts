// Whether a schedule may be used: five fields that make sense, a known time zone, not too often. Pure.
import type { CheckpointPolicySpec } from '../../api/checkpoint-policy.ts';
import { printable } from '../../api/printable.ts';
import { parseCronFields } from './cron-fields.ts';
import { shortestGapSeconds } from './shortest-gap.ts';

export type ScheduleSpec = NonNullable<CheckpointPolicySpec['checkpoint']>;

export interface ScheduleRules {
  readonly minimumIntervalSeconds: number;
  readonly isTimeZone: (name: string) => boolean;
}

export interface ScheduleRefusal {
  readonly reason: 'ScheduleInvalid' | 'ScheduleTooFrequent';
  /** Names the field, the value and what to do. */
  readonly message: string;
}

/** null: it may be used. */
export function refuseSchedule(spec: ScheduleSpec, rules: ScheduleRules): ScheduleRefusal | null {
  const field = `spec.checkpoint.schedule: "${printable(spec.schedule, 128)}"`;
  const parsed = parseCronFields(spec.schedule);
  if (!parsed.ok) return { reason: 'ScheduleInvalid', message: `${field}: ${parsed.problem}` };
  if (spec.timeZone !== undefined && !rules.isTimeZone(spec.timeZone)) {
    const message = `spec.checkpoint.timeZone: "${printable(spec.timeZone, 64)}" is not known: use an IANA name such as Etc/UTC or Europe/Berlin`;
    return { reason: 'ScheduleInvalid', message };
  }
  const gapSeconds = shortestGapSeconds(parsed.fields);
  if (gapSeconds === null) {
    const message = `${field} never comes: no month that it names has such a day; correct day or month`;
    return { reason: 'ScheduleInvalid', message };
  }
  if (gapSeconds >= rules.minimumIntervalSeconds) return null;
  const message = `${field} has rounds ${gapSeconds.toString()} s apart, and the setting minimumScheduleIntervalSeconds allows ${rules.minimumIntervalSeconds.toString()} s: choose times further apart, or have the setting lowered`;
  return { reason: 'ScheduleTooFrequent', message };
}
