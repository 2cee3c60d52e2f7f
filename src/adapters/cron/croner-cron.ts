// The times of a schedule, by croner: its calendar and its time zones only. It parses no text of a user and starts no timer.
import { Cron as Croner } from 'croner';
import type { Cron, CronTimes, CronTimesWanted } from '../../ports/cron.ts';

/** Source: Kubernetes 1.37 pkg/apis/batch/validation/validation.go, validTimeZoneCharacters. A sign in front would be an offset, which Intl takes too. */
const ZONE_PART = /^[A-Za-z._0-9][A-Za-z._0-9+-]{0,13}$/;

export const cronerCron: Cron = {
  isTimeZone: (name) => name.split('/').every((part) => ZONE_PART.test(part)) && isKnown(name),
  times: (wanted, timeZone) => {
    const zone = timeZone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!isKnown(zone)) throw new Error(`unknown time zone ${zone}`);
    return timesOf(new Croner(pattern(wanted), { timezone: zone, mode: '5-part' }));
  },
};

function isKnown(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function timesOf(croner: Croner): CronTimes {
  return { next: (afterMs) => croner.nextRun(new Date(afterMs))?.getTime() ?? null };
}

function pattern({ minutes, hours, daysOfMonth, months, daysOfWeek }: CronTimesWanted): string {
  const [first = 0, ...others] = hours;
  // A step tells croner that the schedule repeats. Without one a single time of the day is kept once a day: moved out of the hour that the clocks leave
  // out, and left out of the second of two, which is Vixie's way and not CronJob's.
  const hour = [`${first.toString()}-${first.toString()}/1`, ...others].join(',');
  return [minutes.join(','), hour, list(daysOfMonth), months.join(','), list(daysOfWeek)].join(' ');
}

function list(values: readonly number[] | null): string {
  return values === null ? '*' : values.join(',');
}
