import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dueRound, type DueRound, type ScheduleTimes } from '../../../../src/domain/schedule/due-round.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const YEAR = 365 * 24 * HOUR;
const at = (time: string): number => Date.parse(`2026-11-23T${time}:00Z`);

/** Counts what it is asked. */
class Every implements ScheduleTimes {
  asked = 0;
  readonly #everyMs: number;
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }
  next(afterMs: number): number {
    this.asked += 1;
    return (Math.floor(afterMs / this.#everyMs) + 1) * this.#everyMs;
  }
}

const listed = (times: readonly number[]): ScheduleTimes => ({
  next: (afterMs) => times.find((time) => time > afterMs) ?? null,
});

function ask(sinceMs: number, nowMs: number, startingDeadlineSeconds: number | null = null): DueRound {
  return dueRound(new Every(10 * MINUTE), { sinceMs, nowMs, startingDeadlineSeconds });
}

const none = { due: null, tooLate: null, missed: 0 };

describe('every ten minutes', () => {
  test.each<[string, DueRound, DueRound]>([
    ['not yet', ask(at('10:10'), at('10:20') - 1), { ...none, next: at('10:20') }],
    ['to the millisecond', ask(at('10:10'), at('10:20')), { ...none, due: at('10:20'), next: at('10:30') }],
    ['late', ask(at('10:10'), at('10:29')), { ...none, due: at('10:20'), next: at('10:30') }],
    [
      'several missed: only the latest',
      ask(at('10:10'), at('10:55')),
      { ...none, due: at('10:50'), missed: 3, next: at('11:00') },
    ],
    [
      'just within its deadline',
      ask(at('10:10'), at('10:21') - 1, 60),
      { ...none, due: at('10:20'), next: at('10:30') },
    ],
    [
      'later than its deadline, as for CronJob at that very moment',
      ask(at('10:10'), at('10:21'), 60),
      { ...none, tooLate: at('10:20'), next: at('10:30') },
    ],
    [
      'a deadline of 0 never starts one',
      ask(at('10:10'), at('10:20'), 0),
      { ...none, tooLate: at('10:20'), next: at('10:30') },
    ],
    [
      'the clock went back: nothing until it is past the last round again',
      ask(at('10:20'), at('10:05')),
      { ...none, next: at('10:30') },
    ],
    [
      'the last round was written by a clock that was days ahead',
      ask(at('10:20') + 72 * HOUR, at('10:05')),
      { ...none, next: at('10:10') },
    ],
    [
      'the clock jumped forth: one round, not all between',
      ask(at('10:10'), at('10:05') + YEAR),
      { ...none, due: at('10:00') + YEAR, missed: 100, next: at('10:10') + YEAR },
    ],
  ])('%s', (_, got, expected) => {
    expect(got).toEqual(expected);
  });

  test('ten years of missed minutes are not walked through', () => {
    const times = new Every(MINUTE);
    const nowMs = at('10:00');
    expect(dueRound(times, { sinceMs: nowMs - 10 * YEAR, nowMs, startingDeadlineSeconds: null })).toEqual({
      ...none,
      due: nowMs,
      missed: 100,
      next: nowMs + MINUTE,
    });
    expect(times.asked).toBeLessThan(150);
  });
});

test('a schedule without any further time', () => {
  const question = { sinceMs: at('10:00'), nowMs: at('12:00'), startingDeadlineSeconds: null };
  expect(dueRound(listed([]), question)).toEqual({ ...none, next: null });
  expect(dueRound(listed([at('11:00')]), question)).toEqual({ ...none, due: at('11:00'), next: null });
});

test('whatever the times: the latest that passed, how many before it, the first to come', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 5000 }), { maxLength: 60 }),
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 0, max: 5000 * MINUTE }),
      fc.option(fc.integer({ min: 0, max: 100_000 })),
      (minutes, sinceMinute, elapsedMs, startingDeadlineSeconds) => {
        const times = minutes.sort((one, other) => one - other).map((minute) => minute * MINUTE);
        const sinceMs = sinceMinute * MINUTE;
        const nowMs = sinceMs + elapsedMs;
        const passed = times.filter((time) => time > sinceMs && time <= nowMs);
        const latest = passed.at(-1) ?? null;
        const isLate =
          latest !== null &&
          startingDeadlineSeconds !== null &&
          nowMs - latest >= startingDeadlineSeconds * 1000;
        expect(dueRound(listed(times), { sinceMs, nowMs, startingDeadlineSeconds })).toEqual({
          due: isLate ? null : latest,
          tooLate: isLate ? latest : null,
          missed: Math.max(0, passed.length - 1),
          next: times.find((time) => time > nowMs) ?? null,
        });
      },
    ),
  );
});

test('asked again and again while time goes on, no time is started twice, and none is left out that was asked for in time', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 25 * MINUTE }), { maxLength: 40 }), (stepsMs) => {
      const times = new Every(10 * MINUTE);
      const started: number[] = [];
      let nowMs = at('10:00');
      let sinceMs = nowMs;
      for (const stepMs of stepsMs) {
        nowMs += stepMs;
        const { due, next } = dueRound(times, { sinceMs, nowMs, startingDeadlineSeconds: null });
        if (due === null) continue;
        expect(due).toBeLessThanOrEqual(nowMs);
        expect(next).toBeGreaterThan(nowMs);
        started.push(due);
        sinceMs = due;
      }
      expect(started).toEqual([...new Set(started)].sort((one, other) => one - other));
      const last = Math.floor(nowMs / (10 * MINUTE)) * 10 * MINUTE;
      expect(started.at(-1) ?? at('10:00')).toBe(last);
    }),
  );
});
