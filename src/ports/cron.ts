// The port to cron: when the times of a schedule are, in a time zone with its summer time. What a user's text means is domain/schedule.

/** A schedule, field by field; every list ascending, without doubles, never empty. */
export interface CronTimesWanted {
  /** 0 to 59. */
  readonly minutes: readonly number[];
  /** 0 to 23. */
  readonly hours: readonly number[];
  /** 1 to 31; null: not restricted. Where both days are restricted, either is enough (Vixie's rule). */
  readonly daysOfMonth: readonly number[] | null;
  /** 1 to 12. */
  readonly months: readonly number[];
  /** 0 (Sunday) to 6; null: not restricted. */
  readonly daysOfWeek: readonly number[] | null;
}

export interface CronTimes {
  /**
   * The first time after `afterMs`, milliseconds since 1970, a whole minute; null: none. Every minute at which the clocks of the zone show a time of the
   * schedule: what they leave out is left out, what they show twice comes twice, as with CronJob.
   */
  next(afterMs: number): number | null;
}

export interface Cron {
  /** An IANA name such as Europe/Berlin that this machine knows. */
  isTimeZone(name: string): boolean;
  /** `timeZone`: null: that of this process. Throws for one that isTimeZone denies. */
  times(wanted: CronTimesWanted, timeZone: string | null): CronTimes;
}
