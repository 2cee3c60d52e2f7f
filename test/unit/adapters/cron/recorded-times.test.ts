// Times of schedules around changes of the clocks, held to what robfig/cron v3, the library behind CronJob, gave for them (hack/cron-times).
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { cronerCron } from '../../../../src/adapters/cron/croner-cron.ts';
import { parseCronFields, type CronFields } from '../../../../src/domain/schedule/cron-fields.ts';

interface RecordedRow {
  readonly zone: string;
  readonly schedule: string;
  readonly from: string;
  readonly next: readonly string[];
}

const FIXTURE = new URL('../../../fixtures/cron/next-times.json', import.meta.url);
const { rows } = JSON.parse(readFileSync(FIXTURE, 'utf8')) as { readonly rows: readonly RecordedRow[] };

/**
 * Where robfig/cron loses count: it walks by whole hours, which half-hour changes put out of step ("0 3" of that day is passed over, "30 1" comes at
 * 02:30), and it begins days at a midnight that the clocks leave out ("every second day" comes on two running). We give what the schedule says.
 */
const SLIPS = new Map<string, readonly string[]>([
  [
    'Australia/Lord_Howe',
    [
      '0 2 * * *',
      '0 3 * * *',
      '30 1 * * *',
      '45 1 * * *',
      '0 0 * * *',
      '15 2,3 * * *',
      '0 */2 * * *',
      '0-10/5 0-3/3 * * *',
      '0 2 * * SUN',
      '0 0 1-7 * 0',
      '0 3 */2 * MON',
    ],
  ],
  ['America/Santiago', ['15 1 */2 * *', '0 3 */2 * MON']],
  ['America/Havana', ['15 1 */2 * *', '0 3 */2 * MON']],
]);

function isSlip({ zone, schedule }: RecordedRow): boolean {
  return SLIPS.get(zone)?.includes(schedule) === true;
}

function fieldsOf(schedule: string): CronFields {
  const parsed = parseCronFields(schedule);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.fields;
}

/** As many as were recorded. */
function timesOf({ zone, schedule, from, next }: RecordedRow): string[] {
  const times = cronerCron.times(fieldsOf(schedule), zone);
  const found: string[] = [];
  for (let at = times.next(Date.parse(from)); at !== null && found.length < next.length; at = times.next(at))
    found.push(timestamp(at));
  return found;
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** Vixie's rule: where both days are restricted, either is enough. */
function isDay({ daysOfMonth, daysOfWeek }: CronFields, day: number, weekday: number): boolean {
  if (daysOfMonth === null) return daysOfWeek?.includes(weekday) ?? true;
  return daysOfMonth.includes(day) || daysOfWeek?.includes(weekday) === true;
}

/** Minute by minute, by what the clocks show; for some days. */
function everyMinuteShown({ zone, schedule, from }: RecordedRow, until: string): string[] {
  const fields = fieldsOf(schedule);
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    ...({ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const),
  });
  const isShown = (ms: number): boolean => {
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0] = clock
      .formatToParts(ms)
      .flatMap(({ type, value }) => (type === 'literal' ? [] : [Number(value)]));
    return (
      isDay(fields, day, new Date(Date.UTC(year, month - 1, day)).getUTCDay()) &&
      [fields.months.includes(month), fields.hours.includes(hour), fields.minutes.includes(minute)].every(
        Boolean,
      )
    );
  };
  const found: string[] = [];
  for (let at = Date.parse(from) + 60_000; at <= Date.parse(until); at += 60_000)
    if (isShown(at)) found.push(timestamp(at));
  return found;
}

describe('next times around changes of the clocks', () => {
  const changes = [...new Set(rows.map(({ zone }) => zone))];

  test('were recorded for changes by an hour, by half an hour, at midnight, and none', () => {
    expect(changes).toEqual([
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'America/Santiago',
      'America/Havana',
      'Asia/Kolkata',
      'Etc/UTC',
    ]);
    expect(rows).toHaveLength(1560);
  });

  test.each(changes)('%s: those of CronJob', (zone) => {
    const held = rows.filter((row) => row.zone === zone && !isSlip(row));
    expect(held.length).toBeGreaterThan(100);
    expect(held.map((row) => ({ ...row, next: timesOf(row) }))).toEqual(held);
  });

  test('the slips of robfig/cron are eleven schedules of Lord Howe and two at midnight, and no others', () => {
    const differing = rows.filter((row) => timesOf(row).join() !== row.next.join());
    const named = differing.map(({ zone, schedule }) => `${zone} ${schedule}`);
    expect(new Set(named)).toEqual(
      new Set([...SLIPS].flatMap(([zone, schedules]) => schedules.map((schedule) => `${zone} ${schedule}`))),
    );
  });

  test('where it slips, ours are the minutes that the clocks show', () => {
    const days = 4 * 24 * 3_600_000;
    const slips = rows.filter((row) => isSlip(row));
    for (const row of slips) {
      const until = timestamp(Date.parse(row.from) + days);
      const ours = timesOf(row).filter((time) => time <= until);
      expect({ row, times: ours }).toEqual({
        row,
        times: everyMinuteShown(row, ours.length < row.next.length ? until : (ours.at(-1) ?? until)),
      });
    }
  });
});
