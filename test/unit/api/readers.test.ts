import { describe, expect, test } from '@jest/globals';
import { readCheckpointNodeSpec, readCheckpointNodeStatus } from '../../../src/api/checkpoint-node.ts';
import { readCheckpointPlan, readPlanNodeSettings } from '../../../src/api/checkpoint-plan.ts';
import {
  CheckpointPolicySpecSchema,
  readCheckpointPolicy,
  readCheckpointPolicyStatus,
} from '../../../src/api/checkpoint-policy.ts';
import {
  readCheckpointRequestSpec,
  readCheckpointRequestStatus,
} from '../../../src/api/checkpoint-request.ts';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { readLeniently } from '../../../src/api/lenient.ts';
import { judgedKinds } from '../../builders/judged-kinds.ts';
import { aPlanPolicy, aPolicyDocument } from '../../builders/policies.ts';

const anObject = (parts: Readonly<Record<string, unknown>>): KubeObject => ({
  apiVersion: 'ghostlimit.dev/v1alpha1',
  kind: 'Any',
  metadata: { name: 'x' },
  ...parts,
});
const NEW = { observedGeneration: -1 };
const statusOf = (kind: string): Readonly<Record<string, unknown>> =>
  judgedKinds().find(({ definition }) => definition.resource.kind === kind)?.status ?? {};

describe('readLeniently', () => {
  const target = (more: object) => ({ name: 'a', selector: {}, ...more });

  test('leaves unknown fields out, however deep, and the input as it was', () => {
    const input = { targets: [target({ colour: 'red', selector: { matchLabels: {}, x: 1 } })], later: {} };
    const copy = structuredClone(input);
    expect(readLeniently(CheckpointPolicySpecSchema, input)).toEqual({
      ok: true,
      value: { mode: 'Enforce', scope: 'Node', targets: [{ name: 'a', selector: { matchLabels: {} } }] },
    });
    expect(input).toEqual(copy);
  });

  test('what is wrong besides stays wrong, also what is seen only without the unknown field', () => {
    expect(
      readLeniently(CheckpointPolicySpecSchema, { targets: [{ name: 'a', colour: 'red' }] }),
    ).toMatchObject({
      ok: false,
      problems: [{ field: 'targets[0]' }],
    });
  });

  test('a cycle is a problem', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(readLeniently(CheckpointPolicySpecSchema, loop).ok).toBe(false);
  });
});

describe('plans', () => {
  test('policies of a shape that this version does not know are left out, unknown fields ignored', () => {
    const policies = [
      aPlanPolicy({ name: 'a' }),
      { ...aPlanPolicy({ name: 'b' }), later: 1 },
      { name: 'c' },
      7,
    ];
    expect(readCheckpointPlan(anObject({ spec: { policies } }))).toEqual([
      aPlanPolicy({ name: 'a' }),
      aPlanPolicy({ name: 'b' }),
    ]);
  });

  test.each([undefined, {}, { policies: {} }])('no policies: %j', (spec) => {
    expect(readCheckpointPlan(anObject({ spec }))).toEqual([]);
  });

  test.each<[unknown, unknown]>([
    [undefined, null],
    [{ nodeSettings: { checkpointsPaused: 'yes' } }, null],
    [{ nodeSettings: {} }, { checkpointsPaused: false, reportSpreadSeconds: 0 }],
    [
      { nodeSettings: { baseGhostLimitBytes: 2_097_152, checkpointsPaused: true, later: 1 } },
      { baseGhostLimitBytes: 2_097_152, checkpointsPaused: true, reportSpreadSeconds: 0 },
    ],
  ])('settings for every node: %j', (spec, settings) => {
    expect(readPlanNodeSettings(anObject({ spec }))).toEqual(settings);
  });
});

describe('status', () => {
  test('of a new object: none', () => {
    expect(readCheckpointPolicyStatus(anObject({ status: NEW }))).toBeNull();
    expect(readCheckpointNodeStatus(anObject({ status: NEW }))).toBeNull();
    expect(readCheckpointRequestStatus(anObject({ status: NEW }))).toEqual(NEW);
    expect(readCheckpointRequestStatus(anObject({}))).toEqual({});
  });

  test('with every field filled in, and one of a later version', () => {
    const [policy, node, request] = ['CheckpointPolicy', 'CheckpointNode', 'CheckpointRequest'].map(statusOf);
    const later = (status: object | undefined) => anObject({ status: { ...status, later: true } });
    expect(readCheckpointPolicyStatus(later(policy))).toEqual(policy);
    expect(readCheckpointNodeStatus(later(node))).toEqual(node);
    expect(readCheckpointRequestStatus(later(request))).toEqual(request);
  });

  test('of another shape: none', () => {
    expect(
      readCheckpointNodeStatus(anObject({ status: { ...statusOf('CheckpointNode'), files: 3 } })),
    ).toBeNull();
    expect(readCheckpointRequestStatus(anObject({ status: { containers: 3 } }))).toEqual({});
  });
});

describe('spec', () => {
  test('of a policy of a later version', () => {
    const document = aPolicyDocument({ later: 1 });
    expect(readCheckpointPolicy(document)).toMatchObject({ ok: true, policy: { metadata: { name: 'p' } } });
    expect(readCheckpointPolicy(aPolicyDocument({ later: 1, mode: 'x' }))).toMatchObject({
      ok: false,
      problems: [{ field: 'spec.mode' }],
    });
  });

  test('of a request, with its defaults', () => {
    expect(readCheckpointRequestSpec(anObject({ spec: { podName: 'web-0', later: 1 } }))).toEqual({
      ok: true,
      value: {
        podName: 'web-0',
        timeoutSeconds: 120,
        startDeadlineSeconds: 600,
        ttlSecondsAfterFinished: 604_800,
        archivePolicy: 'Delete',
      },
    });
  });

  test.each<[unknown, unknown]>([
    [undefined, { orders: [], deletions: [], acknowledgedTriggers: [] }],
    [
      { deletions: [{ requestUID: 'a' }] },
      { orders: [], deletions: [{ requestUID: 'a' }], acknowledgedTriggers: [] },
    ],
    [{ orders: [{ requestUID: 'a' }] }, null],
  ])('of a node: %j', (spec, wanted) => {
    expect(readCheckpointNodeSpec(anObject({ spec }))).toEqual(wanted);
  });
});
