import { expect, test } from '@jest/globals';
import { createBackoff } from '../../../src/machinery/backoff.ts';

test.each([
  [0, [400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]],
  [0.5, [600, 1200, 2400, 4800, 9600, 19_200, 22_500, 22_500]],
])('with chance %p: half of the doubled wait and a share of the other half, at most 30 s', (chance, row) => {
  const backoff = createBackoff({ firstMs: 800, lastMs: 30_000 }, () => chance);
  expect(row.map(() => backoff.nextMs())).toEqual(row);
  backoff.reset();
  expect(backoff.nextMs()).toBe(row[0]);
});

test('after more failures than a number can double', () => {
  const backoff = createBackoff({ firstMs: 800, lastMs: 30_000 }, () => 0);
  for (let failure = 0; failure < 3_000; failure += 1) backoff.nextMs();
  expect(backoff.nextMs()).toBe(15_000);
});
