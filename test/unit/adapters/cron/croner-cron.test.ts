import { describe, expect, test } from '@jest/globals';
import { cronerCron } from '../../../../src/adapters/cron/croner-cron.ts';
import { parseCronFields } from '../../../../src/domain/schedule/cron-fields.ts';

const BERLIN = 'Europe/Berlin';

function next(schedule: string, timeZone: string | null, from: string, count: number): (string | null)[] {
  const parsed = parseCronFields(schedule);
  if (!parsed.ok) throw new Error(parsed.problem);
  const times = cronerCron.times(parsed.fields, timeZone);
  const found: (string | null)[] = [];
  for (let at: number | null = Date.parse(from); at !== null && found.length < count;) {
    at = times.next(at);
    found.push(at === null ? null : new Date(at).toISOString());
  }
  return found.map((time) => time?.replace(':00.000Z', 'Z') ?? null);
}

describe('summer time of Europe/Berlin: on 2026-03-29 there is no 02:00 to 02:59, on 2026-10-25 there are two', () => {
  test.each<[string, string, string, string[]]>([
    [
      'a time that does not exist is skipped',
      '30 2 * * *',
      '2026-03-28T00:00:00Z',
      ['2026-03-28T01:30Z', '2026-03-30T00:30Z'],
    ],
    [
      'several of an hour that does not exist are skipped',
      '*/30 2 * * *',
      '2026-03-29T00:00:00Z',
      ['2026-03-30T00:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'the one after the gap comes once',
      '0 2,3 * * *',
      '2026-03-28T02:00:00Z',
      ['2026-03-29T01:00Z', '2026-03-30T00:00Z'],
    ],
    [
      'hourly goes on over the gap',
      '0 * * * *',
      '2026-03-28T23:30:00Z',
      ['2026-03-29T00:00Z', '2026-03-29T01:00Z', '2026-03-29T02:00Z'],
    ],
    [
      'a time that exists twice comes twice',
      '30 2 * * *',
      '2026-10-24T12:00:00Z',
      ['2026-10-25T00:30Z', '2026-10-25T01:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'asked between the two: the second',
      '30 2 * * *',
      '2026-10-25T00:45:00Z',
      ['2026-10-25T01:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'hourly goes on through both hours',
      '0 * * * *',
      '2026-10-24T23:30:00Z',
      ['2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T02:00Z'],
    ],
    [
      'every quarter of an hour goes on through both hours',
      '*/15 * * * *',
      '2026-10-25T00:40:00Z',
      ['2026-10-25T00:45Z', '2026-10-25T01:00Z', '2026-10-25T01:15Z'],
    ],
  ])('%s', (_, schedule, from, times) => {
    expect(next(schedule, BERLIN, from, times.length)).toEqual(times);
  });
});

describe('the calendar', () => {
  test.each<[string, string, (string | null)[]]>([
    // Both days restricted: either is enough (Vixie).
    ['0 0 13 * FRI', '2026-11-01T00:00:00Z', ['2026-11-06T00:00Z', '2026-11-13T00:00Z', '2026-11-20T00:00Z']],
    ['0 0 1 * 1', '2026-11-25T00:00:00Z', ['2026-11-30T00:00Z', '2026-12-01T00:00Z', '2026-12-07T00:00Z']],
    ['0 0 1-31 * 1', '2026-11-25T00:00:00Z', ['2026-11-26T00:00Z', '2026-11-27T00:00Z']],
    ['0 0 */1 * 1', '2026-11-25T00:00:00Z', ['2026-11-30T00:00Z', '2026-12-07T00:00Z']],
    ['0 0 29 2 *', '2026-11-25T00:00:00Z', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['0 0 31 * *', '2026-11-25T00:00:00Z', ['2026-12-31T00:00Z', '2027-01-31T00:00Z', '2027-03-31T00:00Z']],
    ['*/20 * * * *', '2026-11-25T00:19:59.999Z', ['2026-11-25T00:20Z', '2026-11-25T00:40Z']],
    ['*/20 * * * *', '2026-11-25T00:20:00.001Z', ['2026-11-25T00:40Z']],
    ['0 0 30 2 *', '2026-11-25T00:00:00Z', [null]],
  ])('%s after %s', (schedule, from, times) => {
    expect(next(schedule, 'Etc/UTC', from, times.length)).toEqual(times);
  });

  test('a zone of half an hour', () => {
    expect(next('0 9 * * *', 'Asia/Kolkata', '2026-11-25T00:00:00Z', 1)).toEqual(['2026-11-25T03:30Z']);
  });

  test('without a zone: that of this process', () => {
    const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    expect(next('0 9 * * *', null, '2026-11-25T00:00:00Z', 2)).toEqual(
      next('0 9 * * *', own, '2026-11-25T00:00:00Z', 2),
    );
  });
});

describe('time zones', () => {
  test.each(['Etc/UTC', 'UTC', 'Europe/Berlin', 'America/Argentina/Ushuaia', 'Etc/GMT+3', 'EST5EDT'])(
    '%s is known',
    (name) => {
      expect(cronerCron.isTimeZone(name)).toBe(true);
    },
  );

  test.each(['', 'Local', 'Mars/Phobos', '+02:00', '+0200', '-05:00', '../etc/passwd', 'Europe/', 'Berlin'])(
    '"%s" is not',
    (name) => {
      expect(cronerCron.isTimeZone(name)).toBe(false);
    },
  );

  test('an unknown one is a fault of the caller', () => {
    const parsed = parseCronFields('0 * * * *');
    if (!parsed.ok) throw new Error(parsed.problem);
    expect(() => cronerCron.times(parsed.fields, 'Mars/Phobos')).toThrow('unknown time zone Mars/Phobos');
  });
});
