import { expect, test } from '@jest/globals';
import { parseDuration } from '../../../../src/cli/plugin/parse-duration.ts';

test.each<[string, number | null]>([
  ['0', 0],
  ['90', 90_000],
  ['90s', 90_000],
  ['2m', 120_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['250ms', 250],
  ['1m0.5s', 60_500],
  ['0.1s', 100],
  ['', null],
  ['s', null],
  ['-5s', null],
  ['5 s', null],
  ['1.5', null],
  ['5d', null],
  ['2m5', null],
  ['1e3', null],
  ['1234567890', null],
  [`${'1'.repeat(32)}s`, null],
])('%j is %j ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});
