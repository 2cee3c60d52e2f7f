import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LabelSelector } from '../../../../src/api/label-selector.ts';
import {
  matchesSelector,
  matchesWorkloadRef,
  matchingContainers,
  type MatchableWorkload,
} from '../../../../src/domain/policy/match-workload.ts';
import { aPlanTarget } from '../../../builders/policies.ts';

describe('matchesSelector', () => {
  const labels = { app: 'web', tier: 'front' };
  test.each<[string, LabelSelector, boolean]>([
    ['an empty selector matches', {}, true],
    ['empty matchLabels match', { matchLabels: {} }, true],
    ['one label', { matchLabels: { app: 'web' } }, true],
    ['all labels must be right', { matchLabels: { app: 'web', tier: 'back' } }, false],
    ['a label that is not there', { matchLabels: { zone: '' } }, false],
    ['In', { matchExpressions: [{ key: 'app', operator: 'In', values: ['api', 'web'] }] }, true],
    ['In, another value', { matchExpressions: [{ key: 'app', operator: 'In', values: ['api'] }] }, false],
    ['In, no label', { matchExpressions: [{ key: 'x', operator: 'In', values: ['web'] }] }, false],
    ['NotIn', { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['web'] }] }, false],
    ['NotIn, no label', { matchExpressions: [{ key: 'x', operator: 'NotIn', values: ['web'] }] }, true],
    ['Exists', { matchExpressions: [{ key: 'tier', operator: 'Exists' }] }, true],
    ['DoesNotExist', { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }, false],
    ['a name that every object has', { matchExpressions: [{ key: 'toString', operator: 'Exists' }] }, false],
    [
      'labels and expressions must both hold',
      {
        matchLabels: { app: 'web' },
        matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['front'] }],
      },
      false,
    ],
  ])('%s', (_sentence, selector, expected) => {
    expect(matchesSelector(selector, labels)).toBe(expected);
  });

  const key = fc.constantFrom('a', 'b', 'c');
  const value = fc.constantFrom('1', '2', '');
  const anyLabels = fc.dictionary(key, value);
  const anyValues = fc.uniqueArray(value, { minLength: 1 });

  test('NotIn is the opposite of In, DoesNotExist of Exists', () => {
    fc.assert(
      fc.property(anyLabels, key, anyValues, (given, name, values) => {
        const one = (operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', list?: string[]): boolean =>
          matchesSelector(
            { matchExpressions: [{ key: name, operator, ...(list !== undefined && { values: list }) }] },
            given,
          );
        expect(one('NotIn', values)).toBe(!one('In', values));
        expect(one('DoesNotExist')).toBe(!one('Exists'));
      }),
    );
  });

  test('matchLabels is In with one value each, and another term never makes it match more', () => {
    fc.assert(
      fc.property(anyLabels, anyLabels, key, anyValues, (given, matchLabels, name, values) => {
        const matchExpressions = Object.entries(matchLabels).map(([own, wanted]) => ({
          key: own,
          operator: 'In' as const,
          values: [wanted],
        }));
        const before = matchesSelector({ matchLabels }, given);
        expect(matchesSelector({ matchExpressions }, given)).toBe(before);
        const more = { key: name, operator: 'In' as const, values };
        const after = matchesSelector({ matchLabels, matchExpressions: [more] }, given);
        expect(after && !before).toBe(false);
      }),
    );
  });
});

describe('matchesWorkloadRef: a pod by what owns it', () => {
  const pod = (kind: string, name: string, apiGroup = 'apps', labels = {}) => ({
    owner: { kind, name, apiGroup },
    labels,
  });
  const hash = { 'pod-template-hash': '7d9c' };
  test.each<
    [string, Parameters<typeof matchesWorkloadRef>[0], Parameters<typeof matchesWorkloadRef>[1], boolean]
  >([
    [
      'a Deployment by its ReplicaSet and the hash',
      { kind: 'Deployment', name: 'web' },
      pod('ReplicaSet', 'web-7d9c', 'apps', hash),
      true,
    ],
    [
      'a Deployment whose name begins the same',
      { kind: 'Deployment', name: 'web' },
      pod('ReplicaSet', 'web-api-7d9c', 'apps', hash),
      false,
    ],
    ['a ReplicaSet of nobody', { kind: 'Deployment', name: 'web' }, pod('ReplicaSet', 'web-7d9c'), false],
    ['the ReplicaSet itself', { kind: 'ReplicaSet', name: 'web-7d9c' }, pod('ReplicaSet', 'web-7d9c'), true],
    ['a StatefulSet', { kind: 'StatefulSet', name: 'db' }, pod('StatefulSet', 'db'), true],
    [
      'a CronJob by its Job',
      { kind: 'CronJob', name: 'nightly' },
      pod('Job', 'nightly-29012345', 'batch'),
      true,
    ],
    [
      'a Job with letters is not of a CronJob',
      { kind: 'CronJob', name: 'nightly' },
      pod('Job', 'nightly-x1', 'batch'),
      false,
    ],
    ['a Job', { kind: 'Job', name: 'once' }, pod('Job', 'once', 'batch'), true],
    [
      'another group',
      { kind: 'StatefulSet', name: 'db', apiGroup: 'example.com' },
      pod('StatefulSet', 'db'),
      false,
    ],
    ['a pod of nobody', { kind: 'StatefulSet', name: 'db' }, { owner: null, labels: {} }, false],
  ])('%s', (_sentence, ref, workload, expected) => {
    expect(matchesWorkloadRef(ref, workload)).toBe(expected);
  });
});

describe('matchingContainers', () => {
  const workload: MatchableWorkload = {
    namespace: 'shop',
    labels: { app: 'web' },
    owner: null,
    containers: [
      { name: 'app', kind: 'Regular' },
      { name: 'proxy', kind: 'Sidecar' },
      { name: 'setup', kind: 'Init' },
      { name: 'debug', kind: 'Ephemeral' },
    ],
  };
  const names = (target: Parameters<typeof aPlanTarget>[0], namespace = 'shop'): string[] =>
    matchingContainers(aPlanTarget(target), namespace, workload).map(({ name }) => name);

  test.each<[string, string[], string[]]>([
    ['regular and sidecar ones without a name', names({}), ['app', 'proxy']],
    [
      'init and ephemeral ones by name',
      names({ containerNames: ['setup', 'debug', 'app'] }),
      ['app', 'setup', 'debug'],
    ],
    ['a name that is not there', names({ containerNames: ['db'] }), []],
    ['pods of another namespace never', names({}, 'default'), []],
    ['labels that do not match', names({ selector: { matchLabels: { app: 'api' } } }), []],
  ])('%s', (_sentence, found, expected) => {
    expect(found).toEqual(expected);
  });

  test('a target with neither selector nor workloadRef means nothing', () => {
    expect(matchingContainers({ name: 't' }, 'shop', workload)).toEqual([]);
  });
});
