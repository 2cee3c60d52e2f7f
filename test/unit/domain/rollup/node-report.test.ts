import { describe, expect, test } from '@jest/globals';
import { CheckpointNodeStatusSchema, type FileReport } from '../../../../src/api/checkpoint-node.ts';
import type { PlanPolicy } from '../../../../src/api/checkpoint-plan.ts';
import type { DesiredNode, ResolvedTarget } from '../../../../src/domain/policy/resolve.ts';
import { isInForce, rollUpNode, type NodeReportInput } from '../../../../src/domain/rollup/node-report.ts';
import { aPlanPolicy } from '../../../builders/policies.ts';

const MI = 2 ** 20;
const aFile = (changes: Partial<FileReport> = {}): FileReport => ({
  path: '/etc/criu/runc.conf',
  state: 'InSync',
  verdict: 'Accepted',
  effectiveLimitBytes: 3 * MI,
  desiredLimitBytes: 3 * MI,
  managed: true,
  message: '/etc/criu/runc.conf: a message',
  findings: [],
  ...changes,
});
const aResolvedTarget = (changes: Partial<ResolvedTarget> = {}): ResolvedTarget => ({
  name: 't',
  matched: [],
  matchedPods: 1,
  limitBytes: 3 * MI,
  requiredBytes: 0,
  learned: false,
  blindness: null,
  largestGhostFile: null,
  ...changes,
});
const desiredOf = (policy: PlanPolicy, target = aResolvedTarget()): DesiredNode => ({
  ghostLimitBytes: 3 * MI,
  options: [],
  decidedBy: null,
  conflicts: [],
  policies: [{ policy, matchedPods: 1, targets: [target] }],
});
const rollUp = (changes: Partial<NodeReportInput>) =>
  rollUpNode({
    earlier: null,
    agentVersion: '1',
    nodeName: 'n1',
    runtime: { containerRuntime: '', ociRuntime: '', criuVersion: '', kernelVersion: '' },
    desired: desiredOf(aPlanPolicy()),
    files: [aFile()],
    problems: [],
    obstacle: null,
    at: '2026-01-02T00:00:00Z',
    ...changes,
  });
const conditionsOf = (changes: Partial<NodeReportInput>) =>
  rollUp(changes).conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);

describe('conditions: the worst wins', () => {
  const obstacle = { reason: 'CriuMissing', message: 'no criu' };
  test.each<[string, Partial<NodeReportInput>, string[]]>([
    ['all well', {}, ['Ready True InSync', 'ConfigInSync True InSync', 'CheckpointReady True InSync']],
    [
      'a foreign limit suffices',
      { files: [aFile({ state: 'ForeignLimitSuffices' })] },
      ['Ready True InSync', 'ConfigInSync True InSync', 'CheckpointReady True InSync'],
    ],
    [
      'a write that failed',
      { files: [aFile({ state: 'FileSystemFull' })] },
      ['Ready False FileSystemFull', 'ConfigInSync False FileSystemFull', 'CheckpointReady True InSync'],
    ],
    [
      'overridden',
      { files: [aFile({ state: 'OverriddenByForeignLine' })] },
      [
        'Ready False OverriddenByForeignLine',
        'ConfigInSync False OverriddenByForeignLine',
        'CheckpointReady True InSync',
      ],
    ],
    [
      'a file that CRIU refuses',
      { files: [aFile({ state: 'ForeignLineInvalid', verdict: 'Refused' })] },
      [
        'Ready False ForeignLineInvalid',
        'ConfigInSync False ForeignLineInvalid',
        'CheckpointReady False ConfigInvalid',
      ],
    ],
    [
      'a file that CRIU takes in part',
      { files: [aFile({ state: 'ForeignLineInvalid' })] },
      [
        'Ready False ForeignLineInvalid',
        'ConfigInSync False ForeignLineInvalid',
        'CheckpointReady True InSync',
      ],
    ],
    [
      'a second file that CRIU refuses, beside a lesser trouble',
      {
        files: [
          aFile({ state: 'Contended' }),
          aFile({ path: '/etc/criu/default.conf', state: 'ForeignLineInvalid', verdict: 'Refused' }),
        ],
      },
      ['Ready False Contended', 'ConfigInSync False Contended', 'CheckpointReady False ConfigInvalid'],
    ],
    [
      'no CRIU',
      { obstacle },
      ['Ready False CriuMissing', 'ConfigInSync True InSync', 'CheckpointReady False CriuMissing'],
    ],
  ])('%s', (_sentence, changes, conditions) => {
    expect(conditionsOf(changes)).toEqual(conditions);
  });

  test('the time of a condition stays while its status does', () => {
    const earlier = rollUp({ at: '2026-01-01T00:00:00Z' });
    const now = rollUp({ earlier, files: [aFile({ state: 'FileSystemFull' })] });
    expect(now.conditions.map(({ lastTransitionTime }) => lastTransitionTime.slice(0, 10))).toEqual([
      '2026-01-02',
      '2026-01-02',
      '2026-01-01',
    ]);
  });
});

describe('policies', () => {
  const stateOf = (
    policy: Partial<PlanPolicy>,
    changes: Partial<NodeReportInput> = {},
    target: Partial<ResolvedTarget> = {},
  ) => {
    const desired = { ...desiredOf(aPlanPolicy(policy), aResolvedTarget(target)), ...changes.desired };
    const [report] = rollUp({ ...changes, desired }).policies;
    return `${report?.state ?? ''} ${report?.reason ?? ''}`;
  };
  test.each<[string, string, string]>([
    ['in force', stateOf({}), 'InForce InSync'],
    ['Audit', stateOf({ mode: 'Audit' }), 'Audited Audited'],
    [
      'Audit says so also when the file is in trouble',
      stateOf({ mode: 'Audit' }, { files: [aFile({ state: 'FileSystemFull' })] }),
      'Audited Audited',
    ],
    ['scope Checkpoint', stateOf({ scope: 'Checkpoint' }), 'Held InSync'],
    [
      'a file that could not be written',
      stateOf({}, { files: [aFile({ state: 'FileSystemFull' })] }),
      'Failing FileSystemFull',
    ],
    ['more held than allowed', stateOf({}, {}, { requiredBytes: 4 * MI }), 'Failing GhostLimitExceeded'],
    [
      'more held than its own limit, but not than that of the node',
      stateOf({}, { files: [aFile({ effectiveLimitBytes: 8 * MI })] }, { requiredBytes: 4 * MI }),
      'InForce InSync',
    ],
    [
      'options that exclude each other',
      stateOf(
        { options: ['TcpClose'] },
        {
          desired: {
            ...desiredOf(aPlanPolicy({ options: ['TcpClose'] })),
            conflicts: [['TcpEstablished', 'TcpClose']],
          },
        },
      ),
      'Failing OptionConflict',
    ],
    [
      'options that exclude each other in the dump of a container',
      stateOf({}, { desired: withDumpConflict(desiredOf(aPlanPolicy({ scope: 'Checkpoint' }))) }),
      'Failing OptionConflict',
    ],
  ])('%s', (_sentence, found, expected) => {
    expect(found).toBe(expected);
  });
});

test('the report is bounded and fits its schema, whatever comes', () => {
  const long = '\u001b'.repeat(3_000);
  const target = aResolvedTarget({
    requiredBytes: 4 * MI,
    learned: true,
    largestGhostFile: { path: long, bytes: 4 * MI, podName: long, containerName: long },
  });
  const policies = Array.from({ length: 80 }, () => ({
    policy: aPlanPolicy(),
    matchedPods: 1,
    targets: [target],
  }));
  const report = rollUp({
    desired: { ...desiredOf(aPlanPolicy()), policies },
    problems: Array.from({ length: 50 }, () => ({
      origin: 'a',
      reason: 'InvalidPolicy',
      message: 'x'.repeat(5_000),
    })),
    obstacle: { reason: 'CriuMissing', message: 'y'.repeat(5_000) },
    files: [aFile({ state: 'FileSystemFull', message: 'z'.repeat(5_000).slice(0, 1024) })],
  });
  expect(CheckpointNodeStatusSchema.safeParse(report).error).toBeUndefined();
  expect(report.policies.length).toBe(64);
  expect(report.problems.length).toBe(32);
  expect(JSON.stringify(report)).not.toContain('\\u001b');
});

test.each([
  ['InSync', true],
  ['ForeignLimitSuffices', true],
  ['OverriddenByForeignLine', false],
  ['WriteFailed', false],
])('isInForce(%s) is %s', (state, expected) => {
  expect(isInForce(state)).toBe(expected);
});

function withDumpConflict(desired: DesiredNode): DesiredNode {
  const dumpConflict = { containerName: 'web', pair: ['TcpEstablished', 'TcpClose'] as const };
  return { ...desired, policies: desired.policies.map((resolved) => ({ ...resolved, dumpConflict })) };
}
