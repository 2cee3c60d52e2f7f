import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeOrder, OrderReport } from '../../../../src/api/checkpoint-node.ts';
import {
  asksForDeletion,
  isOrderable,
  planNodeOrders,
  type NodeOrdersInput,
} from '../../../../src/domain/requests/plan-node-orders.ts';
import type { RequestFacts } from '../../../../src/domain/requests/request-facts.ts';
import { aNodeWord, aRequest, CREATED_MS } from './a-request.ts';

const anOrder = (requestUID: string): NodeOrder => ({
  requestUID,
  requestNamespace: 'shop',
  requestName: requestUID,
  podName: 'web-1',
  podUID: 'pod-1',
  timeoutSeconds: 120,
});
const orders = (uids: string): NodeOrder[] => (uids === '' ? [] : uids.split(' ').map(anOrder));
const at = (seconds: number, halted = false) => ({ nowMs: CREATED_MS + seconds * 1000, halted });

function anInput(changes: Partial<NodeOrdersInput> = {}): NodeOrdersInput {
  return {
    ...at(9),
    spec: { orders: [], deletions: [], acknowledgedTriggers: [] },
    status: null,
    request: (uid) => aRequest('Waiting', {}, { uid }),
    lost: [],
    next: [],
    deletions: [],
    isHeard: () => false,
    ...changes,
  };
}
const ordered = (uids: string) => ({ orders: orders(uids), deletions: [], acknowledgedTriggers: [] });
const uidsOf = (input: NodeOrdersInput): string =>
  planNodeOrders(input)
    .orders.map(({ requestUID }) => requestUID)
    .join(' ');

describe('an order of the spec', () => {
  type Case = [
    string,
    RequestFacts | null,
    OrderReport['state'] | null,
    ReturnType<typeof at>,
    'kept' | 'gone',
  ];
  test.each<Case>([
    ['waits', aRequest('Waiting'), null, at(9), 'kept'],
    ['waits on the node', aRequest('Waiting'), 'Waiting', at(9), 'kept'],
    ['waits just after its deadline', aRequest('Waiting'), null, at(605), 'kept'],
    ['was not started by its deadline', aRequest('Waiting'), 'Waiting', at(610), 'gone'],
    ['was started', aRequest('Waiting'), 'Running', at(610), 'kept'],
    ['ended, and nobody has taken that over', aRequest('Running'), 'Finished', at(9_999), 'kept'],
    ['ended, and that was taken over', aRequest('Complete'), 'Finished', at(9), 'gone'],
    ['was given up', aRequest('Failed'), 'Running', at(9), 'gone'],
    ['is deleted', aRequest('Waiting', {}, { deleting: true }), 'Waiting', at(9), 'gone'],
    ['is deleted while it runs', aRequest('Waiting', {}, { deleting: true }), 'Running', at(9), 'kept'],
    ['is paused', aRequest('Waiting'), null, at(9, true), 'gone'],
    ['is paused while it runs', aRequest('Running'), null, at(9, true), 'kept'],
    ['was made for a request that is gone', null, null, at(9), 'gone'],
    ['the same, and runs', null, 'Running', at(9), 'kept'],
    ['the same, and has ended', null, 'Finished', at(9), 'gone'],
  ])('%s', (...row) => {
    const [, facts, state, moment, expected] = row;
    const report = state === null ? [] : [aNodeWord(state)];
    const input = anInput({
      ...moment,
      spec: ordered('uid-1'),
      status: { orders: report },
      request: () => facts,
    });
    expect(uidsOf(input) === 'uid-1' ? 'kept' : 'gone').toBe(expected);
  });
});

describe('the list', () => {
  test('those that are there keep their places, what was lost comes before what is new', () => {
    const input = anInput({ spec: ordered('c a'), lost: orders('z'), next: orders('b d') });
    expect(uidsOf(input)).toBe('c a z b d');
  });

  test('has 32 at most, and nobody twice', () => {
    const uid = fc.integer({ min: 0, max: 60 }).map((number) => `u${number.toString()}`);
    const lists = fc.uniqueArray(uid, { maxLength: 40 });
    fc.assert(
      fc.property(fc.uniqueArray(uid, { maxLength: 32 }), lists, lists, (there, lost, next) => {
        const input = anInput({
          spec: ordered(there.join(' ')),
          lost: lost.map(anOrder),
          next: next.map(anOrder),
        });
        const uids = planNodeOrders(input).orders.map(({ requestUID }) => requestUID);
        expect(uids.length).toBeLessThanOrEqual(32);
        expect(new Set(uids).size).toBe(uids.length);
        expect(uids.slice(0, there.length)).toEqual(there);
      }),
    );
  });

  test('an order that stays is the same, word for word', () => {
    const order = { ...anOrder('a'), timeoutSeconds: 7, policyName: 'p' };
    const spec = { ...ordered(''), orders: [order] };
    expect(planNodeOrders(anInput({ spec, next: [anOrder('a')] })).orders).toEqual([order]);
  });
});

test.each<[string, RequestFacts, ReturnType<typeof at>, boolean]>([
  ['one that waits', aRequest('Waiting'), at(9), true],
  ['at its deadline', aRequest('Waiting'), at(600), false],
  ['paused', aRequest('Waiting'), at(9, true), false],
  ['deleted', aRequest('Waiting', {}, { deleting: true }), at(9), false],
  ['without the finalizer that its archives need', aRequest('Waiting', {}, { finalizers: [] }), at(9), false],
  [
    'with Retain it needs none',
    aRequest('Waiting', { archivePolicy: 'Retain' }, { finalizers: [] }),
    at(9),
    true,
  ],
  ['new', aRequest('New'), at(9), false],
  ['running', aRequest('Running'), at(9), false],
])('may be ordered: %s', (_name, facts, moment, expected) => {
  expect(isOrderable(facts, moment)).toBe(expected);
});

describe('deletions', () => {
  test.each<[string, RequestFacts, boolean]>([
    ['deleted', aRequest('Complete', {}, { deleting: true }), true],
    ['not deleted', aRequest('Complete'), false],
    ['never started', aRequest('Failed', {}, { deleting: true }), false],
    ['still running', aRequest('Running', {}, { deleting: true }), false],
    ['Retain', aRequest('Complete', { archivePolicy: 'Retain' }, { deleting: true }), false],
    ['let go', aRequest('Complete', {}, { deleting: true, finalizers: [] }), false],
  ])('are asked for by a request that is %s', (_name, facts, expected) => {
    expect(asksForDeletion(facts)).toBe(expected);
  });

  const plan = (there: string, wanted: string, busy = ''): string => {
    const spec = { ...ordered(busy), deletions: orders(there).map(({ requestUID }) => ({ requestUID })) };
    const deletions = wanted === '' ? [] : wanted.split(' ');
    return planNodeOrders(anInput({ spec, deletions }))
      .deletions.map(({ requestUID }) => requestUID)
      .join(' ');
  };

  test.each([
    ['', 'a b', '', 'a b'],
    ['b', 'a b c', '', 'b a c'],
    ['b', 'a', '', 'a'],
    ['', 'a b', 'a', 'b'],
  ])('[%s], wanted [%s], ordered [%s]: [%s]', (there, wanted, busy, expected) => {
    expect(plan(there, wanted, busy)).toBe(expected);
  });

  test('are 256 at most', () => {
    const wanted = Array.from({ length: 300 }, (_, index) => `u${index.toString()}`);
    expect(planNodeOrders(anInput({ deletions: wanted })).deletions).toHaveLength(256);
  });
});

describe('triggers', () => {
  const aTrigger = (podUID: string) => ({ podUID, podName: podUID, namespace: 'shop', tokenHash: 'h' });
  const heard = (there: string, reported: string | null, known: string): string => {
    const list = (uids: string) => orders(uids).map(({ requestUID }) => aTrigger(requestUID));
    return planNodeOrders(
      anInput({
        spec: { ...ordered(''), acknowledgedTriggers: list(there) },
        status: reported === null ? null : { triggers: list(reported) },
        isHeard: ({ podUID }) => known.split(' ').includes(podUID),
      }),
    )
      .acknowledgedTriggers.map(({ podUID }) => podUID)
      .join(' ');
  };

  test.each([
    ['', 'a b', 'a', 'a'],
    ['a', 'a b', '', 'a'],
    ['a', 'b', 'b', 'b'],
    ['a', '', 'a', ''],
    ['a', null, '', 'a'],
  ])('heard before [%s], reported [%s], with requests for [%s]: [%s]', (there, reported, known, expected) => {
    expect(heard(there, reported, known)).toBe(expected);
  });
});
