// Which round of a schedule is due. Pure; the rules are those of CronJob (Kubernetes 1.37 pkg/controller/cronjob/utils.go, mostRecentScheduleTime).

/** When the times of the schedule are; ports/cron.ts CronTimes has this shape. */
export interface ScheduleTimes {
  /** The first time after `afterMs`; null: none. */
  next(afterMs: number): number | null;
}

/** Missed times are counted up to this, as "many" means the same whatever their number. */
export const MISSED_SHOWN = 100;
/** Times of a schedule are whole minutes. */
const MINUTE_MS = 60_000;
/** A last time that lies further ahead was written by a clock that was wrong, and must not stop the schedule until then. */
const CLOCK_ERROR_MS = 3_600_000;

export interface DueQuestion {
  /** The last time that was started or skipped, else the time since when the schedule counts. */
  readonly sinceMs: number;
  readonly nowMs: number;
  /** null: a round may be as late as it comes. */
  readonly startingDeadlineSeconds: number | null;
}

export interface DueRound {
  /** The round to start now: the most recent of the times that passed; null: none. */
  readonly due: number | null;
  /** The most recent of the times that passed, when even that is later than its deadline; null: none. */
  readonly tooLate: number | null;
  /** Times before that one that passed without a round; 100: or more. */
  readonly missed: number;
  /** The first time after now; null: none. */
  readonly next: number | null;
}

/** Asks `times` some 150 times at most, however long ago `sinceMs` is. */
export function dueRound(times: ScheduleTimes, question: DueQuestion): DueRound {
  const { nowMs, startingDeadlineSeconds } = question;
  const sinceMs = question.sinceMs > nowMs + CLOCK_ERROR_MS ? nowMs : question.sinceMs;
  const first = times.next(sinceMs);
  if (first === null || first > nowMs) return { due: null, tooLate: null, missed: 0, next: first };
  const latest = mostRecent(times, sinceMs, nowMs);
  const isLate = startingDeadlineSeconds !== null && latest <= nowMs - startingDeadlineSeconds * 1000;
  return {
    due: isLate ? null : latest,
    tooLate: isLate ? latest : null,
    missed: countBefore(times, first, latest),
    next: times.next(nowMs),
  };
}

/** The last time in (sinceMs, nowMs], which has one. By halving: it may be years. */
function mostRecent(times: ScheduleTimes, sinceMs: number, nowMs: number): number {
  const after = (ms: number): number => times.next(ms) ?? Infinity;
  let low = sinceMs;
  let high = nowMs;
  // A time follows `low` until now, none follows `high`.
  while (high - low > MINUTE_MS) {
    const middle = low + Math.floor((high - low) / 2);
    if (after(middle) <= nowMs) low = middle;
    else high = middle;
  }
  return after(low);
}

function countBefore(times: ScheduleTimes, first: number, latest: number): number {
  let count = 0;
  for (let at: number | null = first; at !== null && at < latest && count < MISSED_SHOWN; count += 1)
    at = times.next(at);
  return count;
}
