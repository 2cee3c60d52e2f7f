import { describe, expect, test } from '@jest/globals';
import { parseCronFields } from '../../../../src/domain/schedule/cron-fields.ts';
import { refuseSchedule, type ScheduleSpec } from '../../../../src/domain/schedule/schedule-refusal.ts';
import { shortestGapSeconds } from '../../../../src/domain/schedule/shortest-gap.ts';

const DAY = 86_400;

function gapOf(schedule: string): number | null {
  const parsed = parseCronFields(schedule);
  if (!parsed.ok) throw new Error(parsed.problem);
  return shortestGapSeconds(parsed.fields);
}

describe('the shortest gap', () => {
  test.each<[string, number | null]>([
    ['* * * * *', 60],
    ['*/7 * * * *', 4 * 60],
    ['0 * * * *', 3600],
    ['0,59 * * * *', 60],
    ['0,59 3 * * *', 59 * 60],
    ['50 23 * * *', DAY],
    ['0 0,23 * * *', 3600],
    ['0 0,23 1 * *', 23 * 3600],
    ['0 0,23 1,2 * *', 3600],
    ['0 6 * * 1', 7 * DAY],
    ['0 6 * * 1,3,5', 2 * DAY],
    ['0 6 * * 0,6', DAY],
    ['0 6 * * 1 ', 7 * DAY],
    ['0 6 1 * *', 28 * DAY],
    ['0 6 31 * *', 31 * DAY],
    ['0 6 1,31 * *', DAY],
    ['0 0 1 1 *', 365 * DAY],
    ['0 0 29 2 *', 1461 * DAY],
    ['0 0 13 * 5', DAY],
    ['0 0 * 2 1', 7 * DAY],
    ['0 0 30 2 *', null],
    ['0 0 31 4,6,9,11 *', null],
  ])('%s', (schedule, seconds) => {
    expect(gapOf(schedule)).toBe(seconds);
  });
});

describe('refuseSchedule', () => {
  const judge = (schedule: string, timeZone?: string) =>
    refuseSchedule({ schedule, ...(timeZone !== undefined && { timeZone }) } as ScheduleSpec, {
      minimumIntervalSeconds: 300,
      isTimeZone: (name) => name === 'Europe/Berlin',
    });

  test('what may be used', () => {
    expect(judge('*/5 * * * *')).toBeNull();
    expect(judge('0 3 * * *', 'Europe/Berlin')).toBeNull();
  });

  test.each<[string, string | undefined, string, string]>([
    [
      '0 24 * * *',
      undefined,
      'ScheduleInvalid',
      'spec.checkpoint.schedule: "0 24 * * *": "24" is no hour: use 0 to 23, "*", a range as 0-23, or a step as */2',
    ],
    [
      '0 3 * * *',
      'Mars/Phobos',
      'ScheduleInvalid',
      'spec.checkpoint.timeZone: "Mars/Phobos" is not known: use an IANA name such as Etc/UTC or Europe/Berlin',
    ],
    [
      '0 0 30 2 *',
      undefined,
      'ScheduleInvalid',
      'spec.checkpoint.schedule: "0 0 30 2 *" never comes: no month that it names has such a day; correct day or month',
    ],
    [
      '*/4 * * * *',
      undefined,
      'ScheduleTooFrequent',
      'spec.checkpoint.schedule: "*/4 * * * *" has rounds 240 s apart, and the setting minimumScheduleIntervalSeconds allows 300 s: choose times further apart, or have the setting lowered',
    ],
  ])('%s %s', (schedule, timeZone, reason, message) => {
    expect(judge(schedule, timeZone)).toEqual({ reason, message });
  });
});
