import { describe, expect, test } from '@jest/globals';
import { breakingChanges } from './breaking-changes.ts';
import { crdFiles, schemaOf, type Schema } from './crd-files.ts';

/** What users have. When a field was added, copy crds/ there: this test has shown then that nothing else changed. */
const BASELINE = 'test/fixtures/crds/v1alpha1';

describe('the CRDs take every object that those of the baseline took', () => {
  test.each(crdFiles(BASELINE).map((file) => [file.plural, file] as const))('%s', (plural, before) => {
    const after = crdFiles().find((file) => file.plural === plural);
    if (after === undefined) throw new Error(`crds/${plural}.yaml is gone`);
    expect(breakingChanges(schemaOf(before), schemaOf(after))).toEqual([]);
    const [earlier, now] = [before.object.spec.versions[0], after.object.spec.versions[0]];
    expect(now?.selectableFields ?? []).toEqual(
      expect.arrayContaining([...(earlier?.selectableFields ?? [])]),
    );
    expect(now?.additionalPrinterColumns.map(({ name }) => name)).toEqual(
      expect.arrayContaining((earlier?.additionalPrinterColumns ?? []).map(({ name }) => name)),
    );
  });

  test('of every kind', () => {
    expect(crdFiles(BASELINE).map(({ plural }) => plural)).toEqual(crdFiles().map(({ plural }) => plural));
  });
});

describe('what counts as breaking', () => {
  const field = (changes: Schema): Schema => ({
    type: 'object',
    properties: { a: { type: 'string', ...changes } },
  });

  test.each<[string, Schema, Schema, string[]]>([
    ['nothing changed', field({ maxLength: 9 }), field({ maxLength: 9 }), []],
    ['a field is gone', field({}), { type: 'object', properties: {} }, ['a: is gone']],
    [
      'a field came',
      field({}),
      { ...field({}), properties: { a: { type: 'string' }, b: { type: 'string' } } },
      [],
    ],
    ['a field became required', field({}), { ...field({}), required: ['a'] }, [': a became required']],
    ['a field became optional', { ...field({}), required: ['a'] }, field({}), []],
    ['another type', field({}), field({ type: 'integer' }), ['a: type changed']],
    ['a shorter text', field({ maxLength: 9 }), field({ maxLength: 8 }), ['a: maxLength was lowered']],
    ['a longer text', field({ maxLength: 9 }), field({ maxLength: 10 }), []],
    ['a bound that came', field({}), field({ maxLength: 10 }), ['a: maxLength was lowered']],
    ['a bound that went', field({ maxLength: 9 }), field({}), []],
    ['a higher minimum', field({ minimum: 0 }), field({ minimum: 1 }), ['a: minimum was raised']],
    ['a lower minimum', field({ minimum: 1 }), field({ minimum: 0 }), []],
    ['a minimum that came', field({}), field({ minimum: 1 }), ['a: minimum was raised']],
    ['a value is gone', field({ enum: ['A', 'B'] }), field({ enum: ['A'] }), ['a: the value B is gone']],
    ['a value came', field({ enum: ['A'] }), field({ enum: ['A', 'B'] }), []],
    ['another default', field({ default: 'A' }), field({ default: 'B' }), ['a: default changed']],
    ['another pattern', field({ pattern: '^a' }), field({ pattern: '^b' }), ['a: pattern changed']],
    [
      'a rule came',
      field({}),
      field({ 'x-kubernetes-validations': [{ rule: 'self != ""' }] }),
      ['a: a new rule: self != ""'],
    ],
    [
      'in a list',
      { type: 'array', items: field({ maxLength: 9 }) },
      { type: 'array', items: field({ maxLength: 8 }) },
      ['[].a: maxLength was lowered'],
    ],
    [
      'other keys of a list',
      { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['a'] },
      { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['b'] },
      [': x-kubernetes-list-map-keys changed'],
    ],
  ])('%s', (_sentence, before, after, changes) => {
    expect(breakingChanges(before, after)).toEqual(changes);
  });
});
