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
    return timesOf(
      new Croner(pattern(wanted), { timezone: zone, mode: '5-part', fixedTimeRule: 'no-wildcard' }),
    );
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
  return {
    next: (afterMs) => {
      let at = croner.nextRun(new Date(afterMs));
      // For a fixed time that the clocks leave out croner gives the moment after the gap instead.
      while (at !== null && !croner.match(at)) at = croner.nextRun(at);
      return at?.getTime() ?? null;
    },
  };
}

function pattern({ minutes, hours, daysOfMonth, months, daysOfWeek, repeats }: CronTimesWanted): string {
  const [first = 0, ...others] = hours;
  // A step tells croner that the schedule repeats; without one it is a fixed time to it.
  const hour = repeats ? [`${first.toString()}-${first.toString()}/1`, ...others].join(',') : hours.join(',');
  return [minutes.join(','), hour, list(daysOfMonth), months.join(','), list(daysOfWeek)].join(' ');
}

function list(values: readonly number[] | null): string {
  return values === null ? '*' : values.join(',');
}
