import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { spreadOverNodes } from '../../../../src/domain/schedule/spread-over-nodes.ts';

/** "node/pod". */
const spread = (words: readonly string[]): string[] =>
  spreadOverNodes(words, (word) => {
    const [nodeName = '', podName = ''] = word.split('/');
    return { nodeName, podName };
  });

describe('the pods of a round', () => {
  test.each([
    ['', ''],
    ['x/b x/a', 'x/a x/b'],
    ['x/a x/b x/c y/d z/e', 'x/a y/d z/e x/b x/c'],
    ['y/1 y/2 x/3 x/4', 'x/3 y/1 x/4 y/2'],
  ])('[%s] are asked for as [%s]', (words, expected) => {
    expect(spread(words.split(' ').filter(Boolean)).join(' ')).toBe(expected);
  });

  test('come each once, in the same order however they are listed, and none of them a turn early', () => {
    const pods = fc.uniqueArray(fc.tuple(fc.constantFrom('x', 'y', 'z'), fc.nat({ max: 30 })), {
      selector: ([node, pod]) => `${node}/${pod}`,
    });
    fc.assert(
      fc.property(pods, (some) => {
        const words = some.map(([node, pod]) => `${node}/${pod}`);
        const order = spread(words);
        expect(order.toSorted()).toEqual(words.toSorted());
        expect(spread(words.toReversed())).toEqual(order);
        const seen = new Map<string, number>();
        const turns = order.map((word) => {
          const node = word.charAt(0);
          const turn = seen.get(node) ?? 0;
          seen.set(node, turn + 1);
          return turn;
        });
        expect(turns).toEqual(turns.toSorted((one, other) => one - other));
      }),
    );
  });
});
