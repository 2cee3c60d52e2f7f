import { afterEach, expect, test } from '@jest/globals';
import { createOwnOrderSource, createPodDirectory } from '../../../../src/agent/cluster/order-source.ts';
import { viewPod } from '../../../../src/api/core-views.ts';
import { CHECKPOINT_NODES, PODS } from '../../../../src/api/kube-resources.ts';
import { AgentFixture } from './agent-fixture.ts';
import { anOrder } from './order-world.ts';

let fixture: AgentFixture;
afterEach(() => fixture.end());

function aSource() {
  fixture = new AgentFixture();
  const own = fixture.reflect(CHECKPOINT_NODES, (object) => object);
  return createOwnOrderSource({ nodeName: 'n1', own, log: fixture.log });
}

async function node(spec: Record<string, unknown>): Promise<void> {
  fixture.kube.seed(CHECKPOINT_NODES, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointNode',
    metadata: { name: 'n1' },
    spec,
  });
  await fixture.time.advance(1);
}

test('before the object was read, and without one, nobody can tell', async () => {
  const source = aSource();
  expect(source.read()).toBeNull();
  await fixture.time.advance(1);
  expect(source.read()).toBeNull();
  await node({});
  expect(source.read()).toEqual({ orders: [], deletions: [], acknowledgedTriggers: [] });
});

test('an order of a shape that this version does not know is left out, and the others count', async () => {
  const source = aSource();
  const strange = { ...anOrder({ requestUID: 'r1' }), onGhostLimit: 'Dream' };
  await node({ orders: [strange, anOrder({ requestUID: 'r2' })], deletions: [{ requestUID: 'r3' }] });
  expect(source.read()?.orders.map(({ requestUID }) => requestUID)).toEqual(['r2']);
  expect(source.read()?.deletions).toEqual([{ requestUID: 'r3' }]);
  expect(fixture.log.messages('warn')).toEqual(['orders of an unknown shape, left out']);
});

test('pods by namespace and UID, with what their probes bear', async () => {
  fixture = new AgentFixture();
  const pods = createPodDirectory(fixture.reflect(PODS, viewPod));
  expect(pods.find('shop', 'u1')).toBe('Unread');
  fixture.kube.seed(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'shop', uid: 'u1' },
    spec: { nodeName: 'n1', containers: [{ name: 'app', livenessProbe: { periodSeconds: 5 } }] },
    status: { phase: 'Running', containerStatuses: [{ name: 'app', containerID: 'containerd://c1' }] },
  });
  await fixture.time.advance(1);
  expect(pods.find('shop', 'u1')).toMatchObject({
    podName: 'a',
    containers: [{ name: 'app', id: 'c1', tolerablePauseSeconds: 15 }],
  });
  expect(pods.find('shop', 'u2')).toBeNull();
  expect(pods.find('elsewhere', 'u1')).toBeNull();
});
