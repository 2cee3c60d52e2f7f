import { expect, test } from '@jest/globals';
import { heldLease, microTime, readLease, releasedLease } from '../../../src/machinery/lease-record.ts';

const REF = { namespace: 'system', name: 'controller' };
const AT = Date.parse('2026-11-23T10:00:00.042Z');

function aLease(spec: Readonly<Record<string, unknown>>) {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...REF, resourceVersion: '7', labels: { l: '1' } },
    spec,
  };
}

test('MicroTime has six decimals', () => {
  expect(microTime(AT)).toBe('2026-11-23T10:00:00.042000Z');
});

test.each([
  [{}, { holder: '', durationSeconds: 0, transitions: 0 }],
  [
    { holderIdentity: 5, leaseDurationSeconds: 'x', leaseTransitions: null },
    { holder: '', durationSeconds: 0, transitions: 0 },
  ],
  [
    { holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 3 },
    { holder: 'one', durationSeconds: 15, transitions: 3 },
  ],
])('reads %j', (spec, record) => {
  expect(readLease(aLease(spec))).toEqual(record);
});

test('a lease without spec is nobody’s', () => {
  const { spec: _spec, ...bare } = aLease({});
  expect(readLease(bare).holder).toBe('');
  expect(heldLease(bare, REF, { holder: 'one', durationSeconds: 15, at: AT }).spec).toMatchObject({
    leaseTransitions: 1,
  });
});

test('a new holder counts as a transition; the same one only renews', () => {
  const before = aLease({
    holderIdentity: 'one',
    acquireTime: 'then',
    renewTime: 'then',
    leaseTransitions: 3,
  });
  const time = '2026-11-23T10:00:00.042000Z';
  expect(heldLease(before, REF, { holder: 'one', durationSeconds: 15, at: AT })).toEqual({
    ...before,
    spec: {
      holderIdentity: 'one',
      acquireTime: 'then',
      renewTime: time,
      leaseTransitions: 3,
      leaseDurationSeconds: 15,
    },
  });
  expect(heldLease(before, REF, { holder: 'two', durationSeconds: 15, at: AT }).spec).toEqual({
    holderIdentity: 'two',
    acquireTime: time,
    renewTime: time,
    leaseTransitions: 4,
    leaseDurationSeconds: 15,
  });
});

test('a released lease has no holder and keeps the rest', () => {
  const before = aLease({ holderIdentity: 'one', leaseTransitions: 3, strategy: 's' });
  expect(releasedLease(before, AT)).toEqual({
    ...before,
    spec: {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      leaseTransitions: 3,
      strategy: 's',
      acquireTime: '2026-11-23T10:00:00.042000Z',
      renewTime: '2026-11-23T10:00:00.042000Z',
    },
  });
});
