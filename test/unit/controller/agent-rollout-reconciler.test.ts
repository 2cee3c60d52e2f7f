import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { DAEMON_SETS, DEPLOYMENTS } from '../../../src/api/kube-resources.ts';
import { createAgentRolloutReconciler } from '../../../src/controller/agent-rollout-reconciler.ts';
import { agentDaemonSet } from '../../../src/domain/rollout/agent-daemonset.ts';
import { ControllerFixture, NEVER } from './controller-fixture.ts';

const NAMESPACE = 'ghostlimit-system';
const REF = { namespace: NAMESPACE, name: 'ghostlimit-agent' };

function aWorld(settings: Record<string, unknown> = {}, deploymentName: string | null = null) {
  const fixture = new ControllerFixture(settings);
  fixture.kube.addKind({
    resource: DEPLOYMENTS,
    hasStatus: true,
    hasGeneration: true,
    updatesUnconditionally: true,
    lists: {},
    selectableFields: [],
  });
  const wanted = agentDaemonSet({ namespace: NAMESPACE, image: 'ghostlimit:1' });
  const reconcile = createAgentRolloutReconciler({
    ...fixture.parts,
    wanted,
    namespace: NAMESPACE,
    deploymentName,
  });
  const run = () => reconcile('cluster', NEVER);
  const find = (): KubeObject | null => fixture.kube.find(DAEMON_SETS, REF);
  const patch = (manager: string, spec: Record<string, unknown>) =>
    fixture.kube.direct.mergePatch(DAEMON_SETS, REF, { spec }, { fieldManager: manager });
  return { fixture, run, find, patch };
}

const specOf = (object: KubeObject | null) =>
  object?.['spec'] as {
    readonly minReadySeconds?: number;
    readonly updateStrategy: unknown;
    readonly template: {
      readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly { readonly image: string }[] };
    };
  };

describe('the DaemonSet', () => {
  test('is made as the settings want it, and follows them', async () => {
    const { fixture, run, find } = aWorld();
    await run();
    expect(specOf(find()).template.spec.containers[0]?.image).toBe('ghostlimit:1');
    fixture.set({ agent: { image: 'ghostlimit:2', maxUnavailable: 3 } });
    await run();
    expect(specOf(find()).template.spec.containers[0]?.image).toBe('ghostlimit:2');
    expect(specOf(find()).updateStrategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: 3 },
    });
  });

  test('is not changed when nothing is to be changed', async () => {
    const { fixture, run } = aWorld();
    await run();
    const before = fixture.kube.revision;
    await run();
    expect(fixture.kube.revision).toBe(before);
  });

  test('is made again after it was deleted', async () => {
    const { fixture, run, find } = aWorld();
    await run();
    await fixture.kube.direct.delete(DAEMON_SETS, REF);
    await run();
    expect(find()).not.toBeNull();
  });

  test('gets back what others change in it', async () => {
    const { run, find, patch } = aWorld();
    await run();
    await patch('kubectl-edit', { updateStrategy: { type: 'OnDelete', rollingUpdate: null } });
    await run();
    expect(specOf(find()).updateStrategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: '10%' },
    });
  });

  test('loses what others add to it', async () => {
    const { fixture, run, find, patch } = aWorld();
    await run();
    await patch('kubectl-edit', { minReadySeconds: 7 });
    await run();
    expect(specOf(find()).minReadySeconds).toBeUndefined();
    expect(fixture.log.messages('warn')).toEqual(['daemon set edited by others, put back']);
    const before = fixture.kube.revision;
    await run();
    expect(fixture.kube.revision).toBe(before);
  });

  test('keeps the annotation of kubectl rollout restart', async () => {
    const { fixture, run, find, patch } = aWorld();
    await run();
    const annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-11-23T10:00:00Z' };
    await patch('kubectl-rollout', { template: { metadata: { annotations } } });
    await run();
    expect(specOf(find()).template.metadata.annotations).toMatchObject(annotations);
    expect(fixture.log.messages('warn')).toEqual([]);
  });

  test('is left as it is while everything is taken back', async () => {
    const { fixture, run, find } = aWorld();
    await run();
    fixture.set({ removal: true, agent: { image: 'ghostlimit:2' } });
    await run();
    expect(specOf(find()).template.spec.containers[0]?.image).toBe('ghostlimit:1');
    await fixture.kube.direct.delete(DAEMON_SETS, REF);
    await run();
    expect(find()).toBeNull();
  });
});

describe('its owner', () => {
  test('is the Deployment of the controller', async () => {
    const { fixture, run, find } = aWorld({}, 'ghostlimit-controller');
    const { metadata } = fixture.kube.seed(DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'ghostlimit-controller', namespace: NAMESPACE },
    });
    await run();
    expect(find()?.metadata.ownerReferences).toEqual([
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        name: 'ghostlimit-controller',
        uid: metadata.uid,
        blockOwnerDeletion: false,
      },
    ]);
  });

  test.each([
    ['none is named', null],
    ['it is not there', 'ghostlimit-controller'],
  ])('is nobody when %s', async (_why, name) => {
    const { run, find } = aWorld({}, name);
    await run();
    expect(find()?.metadata.ownerReferences).toBeUndefined();
  });
});
