import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createStore } from '../../../src/machinery/store.ts';

interface Pod {
  readonly node: string;
  readonly labels: readonly string[];
}

function aStore() {
  return createStore<Pod>({ node: ({ node }) => [node], label: ({ labels }) => labels });
}

describe('store', () => {
  test('tells what changed, and nothing where the version is the same', () => {
    const store = aStore();
    const one = { node: 'x', labels: [] };
    const two = { node: 'y', labels: [] };
    expect(store.put('a', one, '1')).toEqual({ key: 'a', before: null, after: one });
    expect(store.put('a', { ...one }, '1')).toBeNull();
    expect(store.get('a')).toBe(one);
    expect(store.put('a', two, '2')).toEqual({ key: 'a', before: one, after: two });
    expect(store.resourceVersionOf('a')).toBe('2');
    expect(store.remove('a')).toEqual({ key: 'a', before: two, after: null });
    expect(store.remove('a')).toBeNull();
    expect([store.get('a'), store.resourceVersionOf('a'), store.size]).toEqual([null, null, 0]);
  });

  test('finds by any of the values of an index, and follows changes', () => {
    const store = aStore();
    store.put('a', { node: 'x', labels: ['web', 'blue'] }, '1');
    store.put('b', { node: 'x', labels: ['web'] }, '2');
    store.put('c', { node: 'y', labels: [] }, '3');
    expect(store.keysBy('node', 'x')).toEqual(['a', 'b']);
    expect(store.keysBy('label', 'blue')).toEqual(['a']);
    store.put('a', { node: 'y', labels: ['web'] }, '4');
    store.remove('b');
    expect(store.keysBy('node', 'x')).toEqual([]);
    expect(store.keysBy('node', 'y')).toEqual(['c', 'a']);
    expect(store.by('label', 'web')).toEqual([{ node: 'y', labels: ['web'] }]);
    expect(store.keysBy('label', 'blue')).toEqual([]);
  });

  test('an index that nobody defined is a mistake, not an empty answer', () => {
    expect(() => aStore().keysBy('colour', 'red')).toThrow('no index colour');
  });

  test('an index function that throws leaves all as it was', () => {
    const store = createStore<Pod>({
      node: ({ node }) => {
        if (node === '') throw new Error('no node');
        return [node];
      },
    });
    store.put('a', { node: 'x', labels: [] }, '1');
    expect(() => store.put('a', { node: '', labels: [] }, '2')).toThrow('no node');
    expect([store.resourceVersionOf('a'), store.keysBy('node', 'x')]).toEqual(['1', ['a']]);
  });

  test('what is in it can no longer be changed, however deep', () => {
    const store = createStore<{ spec: { sizes: number[] } }>();
    store.put('a', { spec: { sizes: [1] } }, '1');
    expect(() => store.get('a')?.spec.sizes.push(2)).toThrow(TypeError);
  });

  test('indexes agree with a look at each object, after any row of changes', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const value = fc.record({
      node: fc.constantFrom('x', 'y'),
      labels: fc.uniqueArray(fc.constantFrom('p', 'q', 'r')),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.option(value))), (changes) => {
        const store = aStore();
        changes.forEach(([name, pod], index) => {
          if (pod === null) store.remove(name);
          else store.put(name, pod, String(index));
        });
        for (const node of ['x', 'y']) {
          const plain = store.keys().filter((name) => store.get(name)?.node === node);
          expect([...store.keysBy('node', node)].toSorted()).toEqual(plain.toSorted());
        }
        for (const label of ['p', 'q', 'r']) {
          const plain = store.keys().filter((name) => store.get(name)?.labels.includes(label));
          expect([...store.keysBy('label', label)].toSorted()).toEqual(plain.toSorted());
        }
        expect(store.values()).toHaveLength(store.size);
      }),
      { seed: 5 },
    );
  });
});
