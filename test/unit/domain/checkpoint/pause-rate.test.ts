import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { learnPause, pauseRate, predictPause } from '../../../../src/domain/checkpoint/pause-rate.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

describe('the rate before anything is measured', () => {
  test.each([
    ['runc', 1],
    ['docker', 1],
    ['podman', 1],
    ['containerd', 5],
    ['kubelet', 5],
  ])('%s: %d s/GiB', (runtime, rate) => {
    expect(pauseRate(runtime, [])).toBe(rate);
  });
});

describe('the rate', () => {
  test.each([
    ['one measurement that is off moves nothing', [60], 1],
    ['nor do two', [60, 60], 1],
    ['three that agree decide', [3, 3, 3], 3],
    ['the middle of five', [9, 2, 7, 3, 4], 4],
    ['only the last five count', [90, 90, 90, 2, 2, 2, 2, 2], 2],
    ['never below 0.05 s/GiB', [0, 0, 0], 0.05],
    ['never above 120 s/GiB', [500, 500, 500], 120],
  ])('%s', (_sentence, measured, rate) => {
    expect(pauseRate('runc', measured)).toBe(rate);
  });
});

describe('a measurement', () => {
  test.each([
    ['2 GiB in 4.01 s are 2 s/GiB: an empty container has 10 ms', 2 * GIB, 4.01, [2]],
    ['512 MiB in 2.51 s are 5 s/GiB', 512 * MIB, 2.51, [5]],
    ['below 64 MiB nothing is learned', 64 * MIB - 1, 3, []],
    ['a clock that went back teaches nothing', GIB, -1, []],
    ['no time at all', GIB, Number.NaN, []],
  ])('%s', (_sentence, residentBytes, seconds, rates) => {
    expect(learnPause([], residentBytes, seconds)).toEqual(rates.map((rate) => expect.closeTo(rate, 9)));
  });

  test('five are kept, the oldest goes', () => {
    expect(learnPause([1, 2, 3, 4, 5], GIB, 6.01)).toEqual([2, 3, 4, 5, expect.closeTo(6, 9)]);
  });
});

test.each([
  [0, 5, 0.01],
  [GIB, 5, 5.01],
  [512 * MIB, 1, 0.51],
])('%d bytes at %d s/GiB: %d s', (residentBytes, rate, seconds) => {
  expect(predictPause(residentBytes, rate)).toBeCloseTo(seconds, 9);
});

test('whatever is measured, the rate stays in its bounds, and what is kept can be kept', () => {
  const measurement = fc.tuple(fc.nat({ max: 2 ** 40 }), fc.double({ min: 0, max: 1e6, noNaN: true }));
  fc.assert(
    fc.property(fc.array(measurement, { maxLength: 20 }), (measurements) => {
      const learned = measurements.reduce<readonly number[]>(
        (rates, [bytes, seconds]) => learnPause(rates, bytes, seconds),
        [],
      );
      expect(learned.length).toBeLessThanOrEqual(5);
      const rate = pauseRate('containerd', learned);
      expect(rate).toBeGreaterThanOrEqual(0.05);
      expect(rate).toBeLessThanOrEqual(120);
    }),
  );
});
