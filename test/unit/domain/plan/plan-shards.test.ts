import { describe, expect, test } from '@jest/globals';
import { fnv1a, PLAN_NAMES, planNameOf, shardOf } from '../../../../src/domain/plan/plan-shards.ts';

describe('fnv1a', () => {
  // The first three are published test vectors of FNV-1a 32; the last shows that bytes count, not characters (computed by a second implementation in Python).
  test.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
    ['straße', 0x2626f818],
  ])('%j', (text, hash) => {
    expect(fnv1a(text)).toBe(hash);
  });
});

test('namespaces keep their shard for good', () => {
  expect([shardOf('default'), shardOf('shop'), shardOf('kube-system')]).toEqual([14, 9, 14]);
  expect(planNameOf('shop')).toBe('plan-09');
  expect(PLAN_NAMES).toHaveLength(16);
  expect([PLAN_NAMES[0], PLAN_NAMES[15]]).toEqual(['plan-00', 'plan-15']);
});
