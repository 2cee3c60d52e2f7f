// How close to each other the times of a schedule come. Pure; by the clock on the wall, without what summer time takes or adds.
import type { CronFields } from './cron-fields.ts';

const DAY_MINUTES = 24 * 60;
/** After 28 years the calendar of 2001 to 2099 repeats, weekdays too. */
const YEARS = { first: 2001, count: 28 };
const MONDAY = 1;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The shortest time between two rounds, seconds; null: there is no such day, as February 30. */
export function shortestGapSeconds(fields: CronFields): number | null {
  const days = shortestDayGap(fields);
  if (days === null) return null;
  const times = fields.hours.flatMap((hour) => fields.minutes.map((minute) => hour * 60 + minute));
  let shortest = days * DAY_MINUTES - (times.at(-1) ?? 0) + (times[0] ?? 0);
  for (const [index, time] of times.entries())
    if (index > 0) shortest = Math.min(shortest, time - (times[index - 1] ?? 0));
  return shortest * 60;
}

/** Days from one day with rounds to the next, at least 1. No Date: every compile of a policy comes by here. */
function shortestDayGap(fields: CronFields): number | null {
  const { daysOfMonth, months, daysOfWeek } = fields;
  if (daysOfMonth === null && months.length === 12) return shortestInWeek(daysOfWeek ?? [0, 1]);
  let shortest: number | null = null;
  let before: number | null = null;
  for (const day of matchingDays(fields)) {
    if (before !== null) shortest = Math.min(shortest ?? Infinity, day - before);
    if (shortest === 1) return 1;
    before = day;
  }
  return shortest;
}

function shortestInWeek(weekdays: readonly number[]): number {
  const gaps = weekdays.map((day, index) => (weekdays[index + 1] ?? (weekdays[0] ?? 0) + 7) - day);
  return Math.min(...gaps);
}

/** Counted from January 1, 2001, a Monday. */
function* matchingDays(fields: CronFields): Generator<number> {
  let firstDay = 0;
  for (let year = 0; year < YEARS.count; year += 1)
    for (const [month, length] of MONTH_DAYS.entries()) {
      const isLeap = month === 1 && (YEARS.first + year) % 4 === 0;
      const days = isLeap ? length + 1 : length;
      if (fields.months.includes(month + 1)) yield* daysIn(fields, firstDay, days);
      firstDay += days;
    }
}

function* daysIn(fields: CronFields, firstDay: number, count: number): Generator<number> {
  for (let day = 0; day < count; day += 1)
    if (isMeant(fields, day + 1, (firstDay + day + MONDAY) % 7)) yield firstDay + day;
}

/** Vixie's rule: where both days are restricted, either is enough. */
function isMeant({ daysOfMonth, daysOfWeek }: CronFields, dayOfMonth: number, weekday: number): boolean {
  if (daysOfMonth === null) return daysOfWeek?.includes(weekday) ?? true;
  return daysOfMonth.includes(dayOfMonth) || daysOfWeek?.includes(weekday) === true;
}
