import { describe, expect, test } from '@jest/globals';
import type { PolicyReport, TargetReport } from '../../../../src/api/checkpoint-node.ts';
import type { PolicyVerdict } from '../../../../src/domain/plan/plan-namespace.ts';
import {
  rollUpPolicy,
  type PolicyNode,
  type PolicyStatusInput,
} from '../../../../src/domain/rollup/policy-status.ts';
import { aPlanPolicy, aPlanTarget } from '../../../builders/policies.ts';

const MI = 2 ** 20;
const AT = '2026-01-02T00:00:00Z';

const planned = aPlanPolicy({ namespace: 'shop', name: 'checkout', generation: 3 });
const ACCEPTED: PolicyVerdict = {
  accepted: true,
  reason: 'Accepted',
  message: '1 target handed to the nodes',
  planned,
};

function aTargetReport(changes: Partial<TargetReport> = {}): TargetReport {
  return { name: 'all', matchedPods: 2, effectiveLimitBytes: 3 * MI, requiredBytes: 0, ...changes };
}

function aReport(changes: Partial<PolicyReport> = {}): PolicyReport {
  return {
    namespace: 'shop',
    name: 'checkout',
    observedGeneration: 3,
    state: 'InForce',
    reason: 'InSync',
    matchedPods: 2,
    targets: [aTargetReport()],
    ...changes,
  };
}

function aNode(nodeName: string, changes: Partial<PolicyNode> = {}): PolicyNode {
  const limit = { bytes: 3 * MI, decidedBy: 'shop/checkout all' };
  return { nodeName, ready: true, agentMissing: null, seenPlan: true, report: aReport(), limit, ...changes };
}

function rollUp(changes: Partial<PolicyStatusInput>) {
  return rollUpPolicy({
    policy: { namespace: 'shop', name: 'checkout', generation: 3, mode: 'Enforce' },
    verdict: ACCEPTED,
    planWritten: true,
    nodes: [],
    earlier: null,
    at: AT,
    ...changes,
  });
}

/** "Ready=True AllNodesInSync", sorted as they stand. */
function conditionsOf(status: ReturnType<typeof rollUp>): string[] {
  return status.conditions.map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
}

const pending = { report: null, seenPlan: false, limit: null };
const failing = aReport({ state: 'Failing', reason: 'ReadOnlyFileSystem', message: '/etc/criu: read-only' });

describe('conditions and counts', () => {
  test.each<[string, Partial<PolicyStatusInput>, string[], string]>([
    [
      'no pod matches',
      {},
      ['Ready=True NoMatchingPods', 'Accepted=True Accepted', 'NodesInSync=True NoMatchingPods'],
      '0/0',
    ],
    [
      'in force everywhere',
      { nodes: [aNode('n1'), aNode('n2')] },
      ['Ready=True AllNodesInSync', 'Accepted=True Accepted', 'NodesInSync=True AllNodesInSync'],
      '2/2',
    ],
    [
      'the plan is not written yet: what nodes say is about an older one',
      { nodes: [aNode('n1')], planWritten: false },
      [
        'Ready=False RollingOut',
        'Accepted=True Accepted',
        'NodesInSync=False RollingOut',
        'Reconciling=True RollingOut',
      ],
      '0/1',
    ],
    [
      'one node has not answered',
      { nodes: [aNode('n1'), aNode('n2', pending)] },
      [
        'Ready=False RollingOut',
        'Accepted=True Accepted',
        'NodesInSync=False RollingOut',
        'Reconciling=True RollingOut',
      ],
      '1/2',
    ],
    [
      'one node answers for an older generation',
      { nodes: [aNode('n1', { report: aReport({ observedGeneration: 2 }) })] },
      [
        'Ready=False RollingOut',
        'Accepted=True Accepted',
        'NodesInSync=False RollingOut',
        'Reconciling=True RollingOut',
      ],
      '0/1',
    ],
    [
      'one node fails: the worst wins over one that is still to answer',
      { nodes: [aNode('n1', { report: failing }), aNode('n2', pending)] },
      ['Ready=False NodesFailing', 'Accepted=True Accepted', 'NodesInSync=False NodesFailing'],
      '0/2',
    ],
    [
      'a node that is not Ready is unreachable, not failing',
      { nodes: [aNode('n1'), aNode('n2', { ready: false })] },
      ['Ready=True AllNodesInSync', 'Accepted=True Accepted', 'NodesInSync=True AllNodesInSync'],
      '1/2',
    ],
    [
      'a pod that was seen is gone: the agent has read the plan and names no pod',
      { nodes: [aNode('n1'), aNode('n2', { report: null, seenPlan: true })] },
      ['Ready=True AllNodesInSync', 'Accepted=True Accepted', 'NodesInSync=True AllNodesInSync'],
      '1/1',
    ],
    [
      'no agent on a node that should answer',
      { nodes: [aNode('n1', { ...pending, agentMissing: 'no ready agent pod on n1' })] },
      ['Ready=False NodesFailing', 'Accepted=True Accepted', 'NodesInSync=False NodesFailing'],
      '0/1',
    ],
    [
      'Audit',
      {
        policy: { namespace: 'shop', name: 'checkout', generation: 3, mode: 'Audit' },
        nodes: [aNode('n1', { report: aReport({ state: 'Audited', reason: 'Audited' }) })],
      },
      ['Ready=True Audited', 'Accepted=True Accepted', 'NodesInSync=True Audited'],
      '1/1',
    ],
    [
      'refused: Stalled, whatever the last good state does',
      {
        verdict: { accepted: false, reason: 'LimitOverCap', message: 'too much', planned },
        nodes: [aNode('n1')],
      },
      [
        'Ready=False LimitOverCap',
        'Accepted=False LimitOverCap',
        'NodesInSync=True AllNodesInSync',
        'Stalled=True LimitOverCap',
      ],
      '1/1',
    ],
  ])('%s', (_, changes, conditions, summary) => {
    const status = rollUp(changes);
    expect(conditionsOf(status)).toEqual(conditions);
    expect(status.summary).toBe(summary);
    expect(status.observedGeneration).toBe(3);
    expect(status.conditions.every(({ observedGeneration }) => observedGeneration === 3)).toBe(true);
  });

  test('messages name the first failing node and those that are away', () => {
    const nodes = [aNode('n1', { report: failing }), aNode('n2'), aNode('n3', { ready: false })];
    const status = rollUp({ nodes });
    expect(status.conditions[0]?.message).toBe(
      'not in force on 1 of 2 nodes; 1 node not ready: n1: /etc/criu: read-only',
    );
    expect(status.nodes).toEqual({ matched: 3, inSync: 1, failing: 1, unreachable: 1 });
    expect(status.problems).toEqual([
      { nodeName: 'n1', reason: 'ReadOnlyFileSystem', message: '/etc/criu: read-only' },
    ]);
  });

  test('a higher limit of somebody else is told, with whose it is', () => {
    const limit = { bytes: 64 * MI, decidedBy: 'batch/nightly api' };
    expect(rollUp({ nodes: [aNode('n1', { limit }), aNode('n2')] }).conditions[0]?.message).toBe(
      'in force on 2 nodes; a higher limit, 64Mi by batch/nightly api, holds on n1',
    );
  });

  test('the first ten problems, errors before warnings', () => {
    const warning = aReport({ state: 'Failing', reason: 'OverriddenByForeignLine', message: 'line 3' });
    const names = Array.from({ length: 12 }, (_, index) => `n${(index + 10).toString()}`);
    const nodes = names.map((name, index) => aNode(name, { report: index === 0 ? warning : failing }));
    const { problems } = rollUp({ nodes });
    expect(problems.map(({ nodeName }) => nodeName)).toEqual(names.slice(1, 11));
  });

  test('transition times move only when a status flips', () => {
    const earlier = rollUp({ nodes: [aNode('n1', pending)], at: '2026-01-01T00:00:00Z' });
    const later = rollUp({ nodes: [aNode('n1')], earlier });
    expect(later.conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime])).toEqual([
      ['Ready', AT],
      ['Accepted', '2026-01-01T00:00:00Z'],
      ['NodesInSync', AT],
    ]);
  });
});

describe('targets', () => {
  const auto = { minimumBytes: MI, maximumBytes: 64 * MI, headroomPercent: 25 };
  const { limitBytes: _, ...autoTarget } = aPlanTarget({ name: 'auto', auto });
  const both = { ...planned, targets: [aPlanTarget({ name: 'fixed', limitBytes: 3 * MI }), autoTarget] };

  test('sums, maxima and the largest file over all nodes', () => {
    const file = { path: '/tmp/libnetty.so', bytes: 2_797_568, nodeName: 'n2' };
    const report = (learnedLimitBytes: number, requiredBytes: number): PolicyReport =>
      aReport({
        targets: [
          aTargetReport({ name: 'fixed', matchedPods: 1 }),
          aTargetReport({
            name: 'auto',
            effectiveLimitBytes: learnedLimitBytes,
            learnedLimitBytes,
            requiredBytes,
            ...(requiredBytes > 0 && { largestGhostFile: file }),
          }),
        ],
      });
    const nodes = [
      aNode('n1', { report: report(MI, 0) }),
      aNode('n2', { report: report(4 * MI, 2_797_568) }),
    ];
    const status = rollUp({ verdict: { ...ACCEPTED, planned: both }, nodes });
    expect(status.targets).toEqual([
      { name: 'fixed', matchedPods: 2, effectiveLimitBytes: 3 * MI, requiredBytes: 0 },
      {
        name: 'auto',
        matchedPods: 4,
        effectiveLimitBytes: 4 * MI,
        requiredBytes: 2_797_568,
        learnedLimitBytes: 4 * MI,
        largestGhostFile: file,
      },
    ]);
    expect(status.limit).toBe('4Mi (Auto)');
  });

  test('before any node answers: what the plan asks for', () => {
    const status = rollUp({ verdict: { ...ACCEPTED, planned: both } });
    expect(status.targets.map(({ effectiveLimitBytes }) => effectiveLimitBytes)).toEqual([3 * MI, MI]);
    expect(status.limit).toBe('3Mi');
  });

  test('options only: no limit', () => {
    const { limitBytes: _left, ...target } = aPlanTarget();
    expect(rollUp({ verdict: { ...ACCEPTED, planned: { ...planned, targets: [target] } } }).limit).toBe('');
  });
});
