import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { letInByPolicy, rankWaiting, shownPosition } from '../../../../src/domain/requests/request-queue.ts';

/** "a1": of the namespace a, made at 1. */
const waiting = (words: string) =>
  words.split(' ').map((word) => ({
    uid: word,
    namespace: word.slice(0, 1),
    name: word,
    createdAtMs: Number(word.slice(1)),
  }));
const ranked = (words: string, ordered = ''): string =>
  rankWaiting(waiting(words), ordered === '' ? [] : ordered.split(' '))
    .map(({ uid }) => uid)
    .join(' ');

const requests = fc.uniqueArray(
  fc.record({
    uid: fc.uuid(),
    namespace: fc.constantFrom('a', 'b', 'c', 'd'),
    name: fc.stringMatching(/^[a-z]{1,3}$/),
    createdAtMs: fc.integer({ min: 0, max: 20 }),
  }),
  { selector: ({ uid }) => uid, maxLength: 60 },
);
const namespaces = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 32 });

describe('the turns', () => {
  test.each([
    ['a1 a2 a3', '', 'a1 a2 a3'],
    ['a3 a1 a2', '', 'a1 a2 a3'],
    ['a1 a2 a3 b9', '', 'a1 b9 a2 a3'],
    ['b1 a2 b3 a4', '', 'b1 a2 b3 a4'],
    ['a1 b2', 'a', 'b2 a1'],
    ['a1 a2 b3 b4', 'a a b', 'b3 a1 b4 a2'],
    ['c5 a1 a2 a3 b4', 'c c', 'a1 b4 a2 a3 c5'],
  ])('of %s beside the orders of [%s]: %s', (words, ordered, expected) => {
    expect(ranked(words, ordered)).toBe(expected);
  });

  test('everybody once, whatever the order in which they are told', () => {
    fc.assert(
      fc.property(requests, namespaces, (all, ordered) => {
        const one = rankWaiting(all, ordered).map(({ uid }) => uid);
        const other = rankWaiting(all.toReversed(), ordered.toReversed()).map(({ uid }) => uid);
        expect(one).toEqual(other);
        expect(new Set(one)).toEqual(new Set(all.map(({ uid }) => uid)));
        expect(one).toHaveLength(all.length);
      }),
    );
  });

  test('inside a namespace nobody passes an older one', () => {
    fc.assert(
      fc.property(requests, namespaces, (all, ordered) => {
        const order = rankWaiting(all, ordered);
        for (const namespace of ['a', 'b', 'c', 'd']) {
          const times = order.filter((one) => one.namespace === namespace).map((one) => one.createdAtMs);
          expect(times).toEqual(times.toSorted((one, other) => one - other));
        }
      }),
    );
  });

  test('nobody starves: with room for one at a time, whoever waits first in its namespace is in after at most one of each other namespace', () => {
    fc.assert(
      fc.property(requests, fc.array(requests, { maxLength: 8 }), (start, arrivals) => {
        let queue = [...start];
        const [mine] = rankWaiting(
          queue.filter(({ namespace }) => namespace === 'a'),
          [],
        );
        if (mine === undefined) return;
        let turns = 0;
        let last = '';
        for (;;) {
          const [next] = rankWaiting(queue, last === '' ? [] : [last]);
          if (next === undefined || next.uid === mine.uid) break;
          queue = queue.filter((one) => one !== next);
          // Those who come are younger than all that wait.
          const more = arrivals[turns] ?? [];
          queue.push(
            ...more.map((one) => ({ ...one, uid: `${turns} ${one.uid}`, createdAtMs: 100 + turns })),
          );
          last = next.namespace;
          turns += 1;
        }
        const older = start.filter(({ namespace }) => namespace !== 'a').length;
        expect(turns).toBeLessThanOrEqual(older);
      }),
    );
  });

  test('what was let in stays in, and the rest keeps its turns', () => {
    fc.assert(
      fc.property(requests, namespaces, fc.nat({ max: 10 }), (all, ordered, room) => {
        const order = rankWaiting(all, ordered);
        const now = order.slice(0, room);
        const rest = rankWaiting(order.slice(room), [...ordered, ...now.map(({ namespace }) => namespace)]);
        const perNamespace = (some: typeof order) => Map.groupBy(some, ({ namespace }) => namespace);
        expect([...perNamespace(rest)].map(([name, own]) => [name, own])).toEqual(
          [...perNamespace(rest)].map(([name]) => [
            name,
            order.slice(room).filter(({ namespace }) => namespace === name),
          ]),
        );
      }),
    );
  });
});

describe('a policy', () => {
  const queue = (words: string, full = '') =>
    waiting(words).map((request) => ({
      ...request,
      nodeName: `node-of-${request.uid}`,
      nodeHasRoom: !full.split(' ').includes(request.uid),
    }));
  const elsewhere = (count: number) => Array.from({ length: count }, (_, index) => `other-${index}`);

  test.each([
    ['a3 a1 a2', '', 0, 2, 'a1 a2'],
    ['a3 a1 a2', '', 1, 2, 'a1'],
    ['a3 a1 a2', '', 2, 2, ''],
    ['a3 a1 a2', '', 9, 2, ''],
    ['a3 a1 a2', 'a1', 0, 1, 'a2'],
  ])('of [%s], [%s] without room, with %i ordered of %i lets in [%s]', (...row) => {
    const [words, full, ordered, most, expected] = row;
    const letIn = letInByPolicy({
      waiting: queue(words, full),
      ordered: elsewhere(ordered),
      maxConcurrent: most,
    });
    expect([...letIn].sort().join(' ')).toBe(expected);
  });

  test.each([
    ['one of each node, the oldest first', 'x:a1 x:a2 x:a3 y:a4 z:a5', '', 3, 'a1 a4 a5'],
    ['then the second of a node', 'x:a1 x:a2 y:a3', '', 3, 'a1 a2 a3'],
    ['a node that has one already comes later', 'x:a1 y:a2', 'x', 2, 'a2'],
    ['as late as it has orders', 'x:a1 y:a2 y:a3 y:a4', 'x x x', 6, 'a2 a3 a4'],
    ['by age where all have as many', 'x:a1 y:a2', 'x y', 3, 'a1'],
  ])('lets in, in turns of the nodes: %s', (...row) => {
    const [, words, ordered, maxConcurrent, expected] = row;
    const placed = words.split(' ').map((word) => word.split(':') as [string, string]);
    const nodes = new Map(placed.map(([nodeName, uid]) => [uid, nodeName]));
    const requests = waiting(placed.map(([, uid]) => uid).join(' ')).map((request) => ({
      ...request,
      nodeName: nodes.get(request.uid) ?? '',
      nodeHasRoom: true,
    }));
    const letIn = letInByPolicy({
      waiting: requests,
      ordered: ordered.split(' ').filter((name) => name !== ''),
      maxConcurrent,
    });
    expect([...letIn].sort().join(' ')).toBe(expected);
  });
});

test.each([
  [1, 1],
  [10, 10],
  [11, 10],
  [15, 20],
  [99, 100],
  [149, 100],
  [150, 200],
  [1_000, 1_000],
  [1_600, 2_000],
])('the place %i is shown as %i', (position, shown) => {
  expect(shownPosition(position)).toBe(shown);
});
