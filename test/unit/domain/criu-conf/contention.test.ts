// When our lines are put back over a foreign change, and when a fight is broken off. All times written by hand, in minutes.
import { describe, expect, test } from '@jest/globals';
import {
  decideWriteBack,
  NO_CONTENTION,
  noteStanding,
  type Contention,
} from '../../../../src/domain/criu-conf/contention.ts';

const MINUTE = 60_000;

/** Puts the file through foreign changes at these minutes; tells which of them were undone. */
function play(
  changes: readonly (readonly [minute: number, content: string])[],
  from: Contention = NO_CONTENTION,
): { undone: boolean[]; end: Contention } {
  let end = from;
  const undone = changes.map(([minute, content]) => {
    const { mayWrite, next } = decideWriteBack(end, content, minute * MINUTE);
    end = next;
    return mayWrite;
  });
  return { undone, end };
}

describe('a foreign change is undone', () => {
  test.each<[string, readonly (readonly [number, string])[], boolean[]]>([
    [
      'three times within ten minutes, then no more',
      [
        [0, 'a'],
        [1, 'a'],
        [2, 'a'],
        [3, 'a'],
      ],
      [true, true, true, false],
    ],
    [
      'each time when there are ten minutes between',
      [
        [0, 'a'],
        [10, 'a'],
        [20, 'a'],
        [30, 'a'],
        [40, 'a'],
      ],
      [true, true, true, true, true],
    ],
    [
      'each time when it is always another',
      [
        [0, 'a'],
        [1, 'b'],
        [2, 'c'],
        [3, 'd'],
        [4, 'e'],
      ],
      [true, true, true, true, true],
    ],
    [
      'again when two programs take turns, until one of them has had its three',
      [
        [0, 'a'],
        [1, 'b'],
        [2, 'a'],
        [3, 'b'],
        [4, 'a'],
        [5, 'b'],
        [6, 'a'],
      ],
      [true, true, true, true, true, true, false],
    ],
  ])('%s', (_, changes, undone) => {
    expect(play(changes).undone).toEqual(undone);
  });

  test('in a fight after 1, 2, 4 … minutes, at most once an hour', () => {
    const { end } = play([
      [0, 'a'],
      [0, 'a'],
      [0, 'a'],
      [0, 'a'],
    ]);
    expect(end.fight).toEqual({ retryAtMs: MINUTE, delayMs: MINUTE });
    const minutes = Array.from({ length: 600 }, (_, minute) => [minute, 'a'] as const);
    const tried = play(minutes, end).undone.flatMap((mayWrite, minute) => (mayWrite ? [minute] : []));
    // 1, then 2, 4, 8, 16, 32 minutes on, then 60 each time.
    expect(tried).toEqual([1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363, 423, 483, 543]);
  });
});

describe('a fight is over', () => {
  const fight = play([
    [0, 'a'],
    [0, 'a'],
    [0, 'a'],
    [0, 'a'],
    [1, 'a'],
  ]).end;

  test('when our lines stood for ten minutes', () => {
    expect(noteStanding(fight, 10 * MINUTE)).toBe(fight);
    expect(noteStanding(fight, 11 * MINUTE)).toBe(NO_CONTENTION);
  });

  test('and twice the delay where that is longer, so that a slow program does not start it anew', () => {
    const slow: Contention = {
      undone: [{ content: 'a', atMs: 0 }],
      fight: { retryAtMs: 0, delayMs: 60 * MINUTE },
    };
    expect(noteStanding(slow, 119 * MINUTE)).toBe(slow);
    expect(noteStanding(slow, 120 * MINUTE)).toBe(NO_CONTENTION);
  });
});
