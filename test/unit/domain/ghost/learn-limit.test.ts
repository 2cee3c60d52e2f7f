import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { learningStepBytes, learnLimit } from '../../../../src/domain/ghost/learn-limit.ts';

const MI = 2 ** 20;
const BOUNDS = { minimumBytes: MI, maximumBytes: 64 * MI, headroomPercent: 25 };

describe('learnLimit, by hand', () => {
  test.each([
    ['nothing seen: the minimum', BOUNDS, 0, MI],
    ['2797568 bytes and a quarter more are 3.34 MiB: 4 MiB', BOUNDS, 2_797_568, 4 * MI],
    ['4 MiB and a quarter more: exactly 5 MiB', BOUNDS, 4 * MI, 5 * MI],
    ['one byte more: 6 MiB', BOUNDS, 4 * MI + 1, 6 * MI],
    ['no headroom', { ...BOUNDS, headroomPercent: 0 }, 3 * MI, 3 * MI],
    ['five times as much', { ...BOUNDS, headroomPercent: 400 }, 2 * MI, 10 * MI],
    ['not over the maximum', BOUNDS, 60 * MI, 64 * MI],
    ['a requirement over the maximum: the maximum', BOUNDS, 100 * MI, 64 * MI],
    ['what other nodes learned is a floor', { ...BOUNDS, learnedLimitBytes: 8 * MI }, 2 * MI, 8 * MI],
    ['but not over the maximum', { ...BOUNDS, learnedLimitBytes: 99 * MI }, 2 * MI, 64 * MI],
    ['a minimum that is no whole step stays as it is', { ...BOUNDS, minimumBytes: 5_000_000 }, 0, 5_000_000],
    [
      'over 128 MiB the step is 2 MiB',
      { ...BOUNDS, maximumBytes: 1024 * MI, headroomPercent: 0 },
      129 * MI,
      130 * MI,
    ],
  ])('%s', (_sentence, auto, requiredBytes, expected) => {
    expect(learnLimit(auto, requiredBytes)).toBe(expected);
  });

  test.each([
    [0, MI],
    [1, MI],
    [64 * MI, MI],
    [128 * MI - 1, MI],
    [128 * MI, 2 * MI],
    [1024 * MI, 16 * MI],
  ])('learningStepBytes(%d) is %d', (bytes, expected) => {
    expect(learningStepBytes(bytes)).toBe(expected);
  });
});

describe('learnLimit, any', () => {
  const bytes = fc.integer({ min: 0, max: 2 ** 40 });
  const bounds = fc
    .tuple(
      fc.integer({ min: MI, max: 2 ** 40 }),
      fc.integer({ min: MI, max: 2 ** 40 }),
      fc.integer({ min: 0, max: 400 }),
    )
    .map(([one, other, headroomPercent]) => ({
      minimumBytes: Math.min(one, other),
      maximumBytes: Math.max(one, other),
      headroomPercent,
    }));

  test('a whole number inside the bounds, and never under the requirement unless at the maximum', () => {
    fc.assert(
      fc.property(bounds, bytes, (auto, required) => {
        const limit = learnLimit(auto, required);
        expect(Number.isSafeInteger(limit)).toBe(true);
        expect(limit).toBeGreaterThanOrEqual(auto.minimumBytes);
        expect(limit).toBeLessThanOrEqual(auto.maximumBytes);
        if (limit < auto.maximumBytes) expect(limit).toBeGreaterThanOrEqual(required);
      }),
      { numRuns: 1000 },
    );
  });

  test('more required never gives less', () => {
    fc.assert(
      fc.property(bounds, bytes, bytes, (auto, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect(learnLimit(auto, less)).toBeLessThanOrEqual(learnLimit(auto, more));
      }),
      { numRuns: 1000 },
    );
  });

  test('near a power of two, where the step changes, too', () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 39 }), fc.integer({ min: -3, max: 3 }), (power, around) => {
        const auto = { minimumBytes: MI, maximumBytes: 2 ** 40, headroomPercent: 0 };
        const at = 2 ** power + around;
        expect(learnLimit(auto, at)).toBeLessThanOrEqual(learnLimit(auto, at + 1));
        expect(learnLimit(auto, at)).toBeGreaterThanOrEqual(at);
      }),
    );
  });
});
