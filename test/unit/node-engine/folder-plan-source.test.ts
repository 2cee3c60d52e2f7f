import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CompileSettings } from '../../../src/domain/policy/compile.ts';
import type { LastGoodPlan } from '../../../src/node-engine/documents.ts';
import { combinePolicyFiles } from '../../../src/node-engine/folder-plan-source.ts';
import type { PolicyFile } from '../../../src/ports/policy-folder.ts';
import { aPlanPolicy, aPolicyDocument } from '../../builders/policies.ts';

const SETTINGS: CompileSettings = {
  maxGhostLimit: 2 ** 30,
  allowedCriuOptions: [],
  namespaces: null,
  ownersKnown: false,
};
const file = (name: string, ...documents: readonly unknown[]): PolicyFile => ({
  name,
  content: { documents },
});
const named = (name: string, spec: Record<string, unknown> = {}): unknown => aPolicyDocument(spec, { name });
const combine = (files: readonly PolicyFile[], before: LastGoodPlan = {}, settings = SETTINGS) =>
  combinePolicyFiles(files, before, settings);
const namesOf = (files: readonly PolicyFile[], before: LastGoodPlan = {}): string[] =>
  combine(files, before).policies.map(({ name }) => name);

describe('combinePolicyFiles', () => {
  test.each<[string, readonly PolicyFile[], string[]]>([
    ['no file', [], []],
    ['an empty file', [file('a.yaml')], []],
    ['several documents in a file', [file('a.yaml', named('x'), named('y'))], ['x', 'y']],
    [
      'a List',
      [file('a.yaml', { apiVersion: 'v1', kind: 'List', items: [named('x'), named('y')] })],
      ['x', 'y'],
    ],
    ['an empty List', [file('a.yaml', { kind: 'List' })], []],
    ['the order of the files', [file('a.yaml', named('y')), file('b.yaml', named('x'))], ['y', 'x']],
    [
      'one document that is wrong: the whole file does not count',
      [file('a.yaml', named('x'), named('y', { mode: 'z' }))],
      [],
    ],
  ])('%s', (_sentence, files, names) => {
    expect(namesOf(files)).toEqual(names);
  });

  test('two files with the same policy: the first counts, the other is told', () => {
    const result = combine([
      file('a.yaml', named('x')),
      file('b\n.yaml', named('x', { mode: 'Audit' }), named('y')),
    ]);
    expect(result.policies).toMatchObject([{ name: 'x', mode: 'Enforce' }, { name: 'y' }]);
    expect(result.problems).toEqual([
      {
        origin: 'b\n.yaml',
        reason: 'InvalidPolicy',
        message:
          'metadata.name: "default/x" is already defined in a.yaml: the one there counts; give this one another name',
        lastGoodInForce: false,
      },
    ]);
  });

  test('the same name in another namespace is another policy', () => {
    const other = aPolicyDocument({}, { name: 'x', namespace: 'shop' });
    expect(combine([file('a.yaml', named('x'), other)]).problems).toEqual([]);
  });

  test('the second comes into force when the first file goes', () => {
    const b = file('b.yaml', named('x', { mode: 'Audit' }));
    const { lastGood } = combine([file('a.yaml', named('x')), b]);
    expect(combine([b], lastGood).policies).toMatchObject([{ name: 'x', mode: 'Audit' }]);
  });

  test('what cannot be read keeps its last good state; what never was good has none', () => {
    const broken: PolicyFile = { name: 'a.yaml', content: { problem: 'is not valid YAML: x' } };
    expect(combine([broken])).toMatchObject({
      policies: [],
      problems: [{ lastGoodInForce: false }],
      lastGood: {},
    });
    expect(combine([broken], { 'a.yaml': [aPlanPolicy()] })).toMatchObject({
      policies: [{ name: 'p' }],
      problems: [
        { origin: 'a.yaml', reason: 'InvalidPolicy', message: 'is not valid YAML: x', lastGoodInForce: true },
      ],
      lastGood: { 'a.yaml': [{ name: 'p' }] },
    });
  });

  test('each refusal has its reason', () => {
    const { problems } = combine([
      file('a.yaml', named('x', { targets: [{ name: 't', selector: {}, ghostLimit: { fixed: '2Gi' } }] })),
      file('b.yaml', named('y', { criuOptions: ['FileLocks'] })),
    ]);
    expect(problems.map(({ reason }) => reason)).toEqual(['LimitOverCap', 'OptionNotAllowed']);
  });

  test.each(['constructor', 'toString', '__proto__'])('a file called %s is a file like others', (name) => {
    expect(combine([file(name, 5)]).policies).toEqual([]);
    expect(namesOf([file(name, named('x'))])).toEqual(['x']);
  });

  const anyDocument = fc.oneof(
    fc.constantFrom('x', 'y', 'z').map((name) => named(name)),
    fc.constantFrom('x', 'y').map((name) => named(name, { mode: 'Audit' })),
    fc.constantFrom<unknown>(5, {}, named('x', { mode: 'wrong' })),
  );
  const anyFiles = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('a.yaml', 'b.yaml', 'c.yaml'),
      documents: fc.array(anyDocument, { maxLength: 3 }),
    }),
    { selector: ({ name }) => name },
  );
  const toFiles = (files: readonly { name: string; documents: unknown[] }[]): PolicyFile[] =>
    files.map(({ name, documents }) => file(name, ...documents));

  test('each policy is in force once; a second look changes nothing; only files that are there are remembered', () => {
    fc.assert(
      fc.property(anyFiles, anyFiles, (earlier, now) => {
        const { lastGood: before } = combine(toFiles(earlier));
        const result = combine(toFiles(now), before);
        const keys = result.policies.map(({ namespace, name }) => `${namespace}/${name}`);
        expect(new Set(keys).size).toBe(keys.length);
        expect(combine(toFiles(now), result.lastGood)).toEqual(result);
        const names = new Set<string>(now.map(({ name }) => name));
        expect(Object.keys(result.lastGood).every((name) => names.has(name))).toBe(true);
      }),
    );
  });

  test('a valid file is in force whatever was remembered and whatever is wrong elsewhere', () => {
    fc.assert(
      fc.property(anyFiles, (files) => {
        const good = file('0.yaml', named('x', { scope: 'Checkpoint' }));
        const result = combine([good, ...toFiles(files)], { '0.yaml': [aPlanPolicy()] });
        expect(result.policies[0]).toMatchObject({ name: 'x', scope: 'Checkpoint' });
      }),
    );
  });
});
