import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PlanPolicy } from '../../../../src/api/checkpoint-plan.ts';
import { CRIU_OPTION_NAMES } from '../../../../src/api/criu-option.ts';
import { matchingContainers } from '../../../../src/domain/policy/match-workload.ts';
import {
  combineLines,
  combineOptions,
  linesForDump,
  resolveNode,
  targetKey,
  type NodeWorkload,
  type ResolveInput,
} from '../../../../src/domain/policy/resolve.ts';
import { aPlanPolicy, aPlanTarget } from '../../../builders/policies.ts';

const MI = 2 ** 20;
const AUTO = { minimumBytes: MI, maximumBytes: 64 * MI, headroomPercent: 25 };

const aWorkload = (name: string, app = name): NodeWorkload => ({
  namespace: 'default',
  podName: name,
  labels: { app },
  owner: null,
  containers: [{ name, kind: 'Regular', id: `id-${name}`, pid: 1 }],
});

const resolve = (changes: Partial<ResolveInput>) =>
  resolveNode({
    policies: [],
    workloads: [aWorkload('web'), aWorkload('db')],
    observations: new Map(),
    peaks: new Map(),
    baseGhostLimitBytes: null,
    ...changes,
  });

const forApp = (app: string, limitMi: number, changes: Partial<PlanPolicy> = {}): PlanPolicy =>
  aPlanPolicy({
    name: app,
    targets: [aPlanTarget({ name: 't', selector: { matchLabels: { app } }, limitBytes: limitMi * MI })],
    ...changes,
  });

describe('resolveNode', () => {
  test.each<[string, Partial<ResolveInput>, number | null, string | null]>([
    ['no policy: no line', {}, null, null],
    ['the base without a policy', { baseGhostLimitBytes: 2 * MI }, 2 * MI, 'baseGhostLimit'],
    [
      'the highest of the matching targets',
      { policies: [forApp('web', 3), forApp('db', 5)] },
      5 * MI,
      'default/db t',
    ],
    [
      'one that matches nothing does not count',
      { policies: [forApp('web', 3), forApp('x', 50)] },
      3 * MI,
      'default/web t',
    ],
    [
      'the base is a floor',
      { policies: [forApp('web', 3)], baseGhostLimitBytes: 4 * MI },
      4 * MI,
      'baseGhostLimit',
    ],
    [
      'and no ceiling',
      { policies: [forApp('web', 5)], baseGhostLimitBytes: 4 * MI },
      5 * MI,
      'default/web t',
    ],
    ['Audit does not count', { policies: [forApp('web', 3, { mode: 'Audit' })] }, null, null],
    ['nor does the scope Checkpoint', { policies: [forApp('web', 3, { scope: 'Checkpoint' })] }, null, null],
    ['nor another namespace', { policies: [forApp('web', 3, { namespace: 'shop' })] }, null, null],
    [
      'options only: no limit',
      { policies: [aPlanPolicy({ targets: [{ name: 't', selector: {} }], options: ['FileLocks'] })] },
      null,
      null,
    ],
  ])('%s', (_sentence, input, ghostLimitBytes, decidedBy) => {
    expect(resolve(input)).toMatchObject({ ghostLimitBytes, decidedBy });
  });

  test('auto: the larger of what is held now and of the peak; reported is what is held now', () => {
    const policy = aPlanPolicy({ targets: [{ name: 't', selector: {}, auto: AUTO }] });
    const largest = { path: '/tmp/a', bytes: 2 * MI };
    const observations = new Map([
      ['id-web', { requiredBytes: 2 * MI, largest, blindness: null }],
      ['id-db', { requiredBytes: 0, largest: null, blindness: null }],
    ]);
    expect(resolve({ policies: [policy], observations }).ghostLimitBytes).toBe(3 * MI);
    const peaks = new Map([[targetKey(policy, 't'), 8 * MI]]);
    const desired = resolve({ policies: [policy], observations, peaks });
    expect(desired.ghostLimitBytes).toBe(10 * MI);
    expect(desired.policies[0]).toMatchObject({
      matchedPods: 2,
      targets: [
        {
          matchedPods: 2,
          limitBytes: 10 * MI,
          requiredBytes: 2 * MI,
          learned: true,
          largestGhostFile: { path: '/tmp/a', bytes: 2 * MI, podName: 'web', containerName: 'web' },
        },
      ],
    });
  });

  test('opposites of two policies: neither is written, and it is told', () => {
    const policies = [
      forApp('web', 3, { options: ['TcpEstablished', 'FileLocks'] }),
      forApp('db', 3, { options: ['TcpClose'] }),
    ];
    expect(resolve({ policies })).toMatchObject({
      options: ['FileLocks'],
      conflicts: [['TcpEstablished', 'TcpClose']],
    });
  });

  const anyPolicy: fc.Arbitrary<PlanPolicy> = fc.record({
    namespace: fc.constantFrom('default', 'shop'),
    name: fc.constantFrom('a', 'b', 'c'),
    uid: fc.constant(''),
    generation: fc.constant(0),
    mode: fc.constantFrom('Enforce', 'Audit'),
    scope: fc.constantFrom('Node', 'Checkpoint'),
    options: fc.subarray([...CRIU_OPTION_NAMES]),
    targets: fc.array(
      fc
        .record({
          name: fc.constantFrom('t', 'u'),
          selector: fc.constantFrom({}, { matchLabels: { app: 'web' } }, { matchLabels: { app: 'x' } }),
        })
        .chain((target) =>
          fc.oneof(
            fc.constant(target),
            fc.integer({ min: MI, max: 99 * MI }).map((limitBytes) => ({ ...target, limitBytes })),
            fc.constant({ ...target, auto: AUTO }),
          ),
        ),
      { minLength: 1, maxLength: 3 },
    ),
  });
  const anyInput = fc.record({
    policies: fc.array(anyPolicy, { maxLength: 5 }),
    observations: fc
      .integer({ min: 0, max: 99 * MI })
      .map((requiredBytes) => new Map([['id-web', { requiredBytes, largest: null, blindness: null }]])),
    baseGhostLimitBytes: fc.option(fc.integer({ min: MI, max: 99 * MI })),
  });

  test('the limit is the highest of the base and of every matching target that is enforced on the node', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const desired = resolve(input);
        const asked = desired.policies
          .filter(({ policy }) => policy.mode === 'Enforce' && policy.scope === 'Node')
          .flatMap(({ targets }) => targets.map(({ limitBytes }) => limitBytes));
        const highest = Math.max(0, input.baseGhostLimitBytes ?? 0, ...asked);
        expect(desired.ghostLimitBytes).toBe(highest === 0 ? null : highest);
        expect(desired.decidedBy === null).toBe(highest === 0);
        // Not by the code under test: every fixed target that means a container is among those asked.
        for (const policy of input.policies.filter(
          ({ mode, scope }) => mode === 'Enforce' && scope === 'Node',
        ))
          for (const target of policy.targets)
            if (matchingContainers(target, policy.namespace, aWorkload('web')).length > 0)
              expect(desired.ghostLimitBytes ?? 0).toBeGreaterThanOrEqual(target.limitBytes ?? 0);
      }),
    );
  });

  test('one policy more never lowers the limit', () => {
    fc.assert(
      fc.property(anyInput, anyPolicy, (input, more) => {
        const before = resolve(input).ghostLimitBytes ?? 0;
        const after = resolve({ ...input, policies: [...input.policies, more] }).ghostLimitBytes ?? 0;
        expect(after).toBeGreaterThanOrEqual(before);
      }),
    );
  });
});

describe('lines that stand together', () => {
  test('the options of several policies: sorted, each once, without opposites', () => {
    expect(combineOptions([['ShellJob', 'FileLocks'], ['FileLocks']])).toEqual({
      options: ['FileLocks', 'ShellJob'],
      conflicts: [],
    });
  });

  test.each([
    [
      'no dump',
      { ghostLimitBytes: 3, options: ['FileLocks' as const] },
      null,
      { ghostLimitBytes: 3, options: ['FileLocks'] },
    ],
    [
      'the higher limit',
      { ghostLimitBytes: 3, options: [] },
      { ghostLimitBytes: 8, options: [] },
      { ghostLimitBytes: 8, options: [] },
    ],
    [
      'the dump never lowers',
      { ghostLimitBytes: 8, options: [] },
      { ghostLimitBytes: 3, options: [] },
      { ghostLimitBytes: 8, options: [] },
    ],
    [
      'nobody asks',
      { ghostLimitBytes: null, options: [] },
      { ghostLimitBytes: null, options: [] },
      { ghostLimitBytes: null, options: [] },
    ],
    [
      'of opposites that of the dump stays',
      { ghostLimitBytes: null, options: ['TcpEstablished' as const, 'ShellJob' as const] },
      { ghostLimitBytes: null, options: ['TcpClose' as const] },
      { ghostLimitBytes: null, options: ['ShellJob', 'TcpClose'] },
    ],
    [
      'opposites in one go: neither',
      { ghostLimitBytes: null, options: ['TcpEstablished' as const, 'TcpClose' as const] },
      null,
      { ghostLimitBytes: null, options: [] },
    ],
  ])('%s', (_sentence, node, dump, expected) => {
    expect(combineLines(node, dump)).toEqual(expected);
  });
});

test("what a dump's own policies do not agree on stands for nobody meanwhile", () => {
  const node = { ghostLimitBytes: 2 * MI, options: ['FileLocks', 'TcpEstablished'] as const };
  const withheld = ['TcpEstablished', 'TcpClose'] as const;
  expect(combineLines(node, { ghostLimitBytes: null, options: ['LinkRemap'], withheld })).toEqual({
    ghostLimitBytes: 2 * MI,
    options: ['FileLocks', 'LinkRemap'],
  });
});

describe('options that policies of one container ask for and that exclude each other', () => {
  const keep = forApp('web', 3, { name: 'keep', scope: 'Checkpoint', options: ['TcpEstablished'] });
  const drop = forApp('web', 3, { name: 'drop', scope: 'Checkpoint', options: ['TcpClose'] });
  const conflicts = (...policies: PlanPolicy[]) =>
    resolve({ policies }).policies.map(({ dumpConflict }) => dumpConflict);
  const conflict = { containerName: 'web', pair: ['TcpEstablished', 'TcpClose'] };

  test.each<[string, PlanPolicy[], unknown[]]>([
    ['two of scope Checkpoint', [keep, drop], [conflict, conflict]],
    [
      'with one of the node: that one stands for the others',
      [keep, { ...drop, scope: 'Node' }],
      [conflict, undefined],
    ],
    ['one of them audits', [keep, { ...drop, mode: 'Audit' }], [undefined, undefined]],
    [
      'of other containers',
      [keep, forApp('db', 3, { scope: 'Checkpoint', options: ['TcpClose'] })],
      [undefined, undefined],
    ],
    [
      'a policy with other options is not touched',
      [keep, drop, forApp('web', 3, { options: ['FileLocks'] })],
      [conflict, conflict, undefined],
    ],
  ])('%s', (_sentence, policies, expected) => {
    expect(conflicts(...policies)).toEqual(expected);
  });
});

describe('linesForDump: what the dump of one container needs', () => {
  const workload = aWorkload('web');
  const [container] = workload.containers;
  if (container === undefined) throw new Error('a workload has a container');
  const lines = (policies: readonly PlanPolicy[], requiredBytes = 0) =>
    linesForDump({ policies, peaks: new Map() }, { workload, container }, requiredBytes);

  test.each<[string, readonly PlanPolicy[], number, object]>([
    ['no policy', [], 0, { ghostLimitBytes: null, options: [], autoMatched: false }],
    [
      'both scopes count',
      [forApp('web', 3), forApp('web', 9, { scope: 'Checkpoint', options: ['TcpClose'] })],
      0,
      { ghostLimitBytes: 9 * MI, options: ['TcpClose'], withheld: [], decidedBy: 'default/web t' },
    ],
    [
      'of opposites neither',
      [
        forApp('web', 3, { options: ['FileLocks', 'TcpClose'] }),
        forApp('web', 3, { options: ['TcpEstablished'] }),
      ],
      0,
      { options: ['FileLocks'], withheld: ['TcpEstablished', 'TcpClose'] },
    ],
    [
      'policies of other containers do not',
      [forApp('db', 9, { options: ['TcpClose'] })],
      0,
      { ghostLimitBytes: null, options: [] },
    ],
    [
      'nor does Audit',
      [forApp('web', 9, { mode: 'Audit', options: ['TcpClose'] })],
      0,
      { ghostLimitBytes: null, options: [] },
    ],
    [
      'auto takes the scan of now',
      [aPlanPolicy({ targets: [{ name: 't', selector: {}, auto: AUTO }] })],
      8 * MI,
      { ghostLimitBytes: 10 * MI, autoMatched: true },
    ],
    [
      'inside its bounds',
      [aPlanPolicy({ targets: [{ name: 't', selector: {}, auto: AUTO }] })],
      99 * MI,
      { ghostLimitBytes: 64 * MI },
    ],
  ])('%s', (_sentence, policies, requiredBytes, expected) => {
    expect(lines(policies, requiredBytes)).toMatchObject(expected);
  });
});
