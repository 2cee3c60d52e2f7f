import { expect, test } from '@jest/globals';
import { carryTransitionTimes } from '../../../src/api/condition.ts';

const EARLIER = '2026-01-01T00:00:00Z';
const NOW = '2026-01-02T00:00:00Z';
const condition = (type: string, status: 'True' | 'False', reason = 'InSync') => ({
  type,
  status,
  reason,
  message: '',
});

test('the time moves only when the status flips, and conditions that are gone stay gone', () => {
  const before = [
    { ...condition('Ready', 'True'), lastTransitionTime: EARLIER },
    { ...condition('ConfigInSync', 'True'), lastTransitionTime: EARLIER },
    { ...condition('Old', 'True'), lastTransitionTime: EARLIER },
  ];
  const wanted = [
    condition('Ready', 'True', 'ForeignLimitSuffices'),
    condition('ConfigInSync', 'False'),
    condition('New', 'True'),
  ];
  expect(
    carryTransitionTimes(before, wanted, NOW).map(({ type, lastTransitionTime }) => [
      type,
      lastTransitionTime,
    ]),
  ).toEqual([
    ['Ready', EARLIER],
    ['ConfigInSync', NOW],
    ['New', NOW],
  ]);
});
