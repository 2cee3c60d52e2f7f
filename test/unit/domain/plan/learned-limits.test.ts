import { expect, test } from '@jest/globals';
import {
  foldLearned,
  LEARNED_HOLD_MS,
  type LearnedInput,
} from '../../../../src/domain/plan/learned-limits.ts';

const MI = 2 ** 20;
const input = (changes: Partial<LearnedInput>): LearnedInput => ({
  auto: { minimumBytes: MI, maximumBytes: 64 * MI, headroomPercent: 25 },
  requiredBytes: 2_797_568,
  currentBytes: null,
  lowerForMs: 0,
  ...changes,
});

test.each<[string, Partial<LearnedInput>, number | null]>([
  ['nothing was ever seen', { requiredBytes: 0 }, null],
  ['the first requirement, with headroom, in whole MiB', {}, 4 * MI],
  ['a higher one lifts at once', { currentBytes: 2 * MI }, 4 * MI],
  ['a lower one is held', { currentBytes: 32 * MI, lowerForMs: LEARNED_HOLD_MS - 1 }, 32 * MI],
  ['and followed after the hold time', { currentBytes: 32 * MI, lowerForMs: LEARNED_HOLD_MS }, 4 * MI],
  [
    'nobody needs anything any more',
    { currentBytes: 32 * MI, lowerForMs: LEARNED_HOLD_MS, requiredBytes: 0 },
    null,
  ],
  ['never over the maximum', { requiredBytes: 100 * MI }, 64 * MI],
  [
    'a maximum that was lowered holds at once',
    { currentBytes: 128 * MI, requiredBytes: MI, lowerForMs: 0 },
    64 * MI,
  ],
])('%s', (_, changes, learned) => {
  expect(foldLearned(input(changes))).toBe(learned);
});
