import { describe, expect, test } from '@jest/globals';
import { parseRetryAfter } from '../../../../src/adapters/kube/retry-after.ts';

const NOW = Date.parse('2026-11-23T10:00:00.000Z');

describe('parseRetryAfter', () => {
  test.each([
    ['0', 0],
    ['1', 1000],
    [' 120 ', 120_000],
    ['Mon, 23 Nov 2026 10:00:30 GMT', 30_000],
    ['Mon, 23 Nov 2026 09:59:00 GMT', 0],
    ['Monday, 23-Nov-26 10:00:05 GMT', 5000],
    ['Mon Nov 23 10:00:07 2026 GMT', 7000],
  ])('%j is %d ms', (text, expected) => {
    expect(parseRetryAfter(text, NOW)).toBe(expected);
  });

  test.each([
    [undefined],
    [''],
    ['soon'],
    ['-1'],
    ['1.5'],
    ['1e3'],
    ['12345678901'],
    ['2026-11-23'],
    ['Mon, 99 Foo'],
    ['March'],
  ])('%j says nothing', (text) => {
    expect(parseRetryAfter(text, NOW)).toBeNull();
  });
});
