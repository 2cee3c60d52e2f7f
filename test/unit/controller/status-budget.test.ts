import { expect, test } from '@jest/globals';
import { createStatusBudget } from '../../../src/controller/status-budget.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';

test('three writes of a policy at once, then one in 10 s', async () => {
  const time = new VirtualTime();
  const budget = createStatusBudget(time);
  expect([1, 2, 3, 4].map(() => budget.take('a'))).toEqual([0, 0, 0, 10_000]);
  await time.advance(9_999);
  expect(budget.take('a')).toBe(1);
  await time.advance(1);
  expect([budget.take('a'), budget.take('a')]).toEqual([0, 10_000]);
});

test('never more than three are saved up', async () => {
  const time = new VirtualTime();
  const budget = createStatusBudget(time);
  await time.advance(3_600_000);
  expect([1, 2, 3, 4].map(() => budget.take('a'))).toEqual([0, 0, 0, 10_000]);
});

test('ten writes of all policies at once, then ten a second; who has to wait takes nothing', async () => {
  const time = new VirtualTime();
  const budget = createStatusBudget(time);
  const keys = Array.from({ length: 12 }, (_, index) => `p${index.toString()}`);
  expect(keys.map((key) => budget.take(key))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 100]);
  await time.advance(100);
  expect([budget.take('p10'), budget.take('p11')]).toEqual([0, 100]);
  await time.advance(1_000);
  // Its own three are all still there.
  expect([1, 2, 3, 4].map(() => budget.take('p11'))).toEqual([0, 0, 0, 10_000]);
});

test('a policy that was forgotten begins anew', () => {
  const budget = createStatusBudget(new VirtualTime());
  for (let write = 0; write < 3; write += 1) budget.take('a');
  budget.forget('a');
  expect(budget.take('a')).toBe(0);
});
