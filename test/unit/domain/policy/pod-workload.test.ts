import { expect, test } from '@jest/globals';
import { PodViewSchema, podCounts } from '../../../../src/api/core-views.ts';
import { podWorkload, tolerablePauseSeconds } from '../../../../src/domain/policy/pod-workload.ts';

const pod = (changes: Record<string, unknown> = {}): unknown => ({
  metadata: {
    name: 'checkout-7d9c-abcde',
    namespace: 'shop',
    uid: 'u1',
    labels: { app: 'checkout' },
    ownerReferences: [
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'bystander', uid: 'x' },
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'checkout-7d9c', uid: 'y', controller: true },
    ],
    managedFields: [{}],
  },
  spec: {
    nodeName: 'n1',
    containers: [{ name: 'app', image: 'x' }],
    initContainers: [{ name: 'setup' }, { name: 'proxy', restartPolicy: 'Always' }],
    ephemeralContainers: [{ name: 'debug' }],
  },
  status: {
    phase: 'Running',
    containerStatuses: [{ name: 'app', containerID: 'containerd://abc' }],
    initContainerStatuses: [{ name: 'proxy', containerID: 'containerd://def' }],
  },
  ...changes,
});

test('a pod as a workload: containers by kind, ids without scheme, the controlling owner', () => {
  expect(podWorkload(PodViewSchema.parse(pod()))).toEqual({
    namespace: 'shop',
    podName: 'checkout-7d9c-abcde',
    podUID: 'u1',
    labels: { app: 'checkout' },
    owner: { apiGroup: 'apps', kind: 'ReplicaSet', name: 'checkout-7d9c' },
    containers: [
      { name: 'app', kind: 'Regular', id: 'abc' },
      { name: 'setup', kind: 'Init', id: null },
      { name: 'proxy', kind: 'Sidecar', id: 'def' },
      { name: 'debug', kind: 'Ephemeral', id: null },
    ],
  });
});

test.each([
  ['running', {}, true],
  ['not scheduled', { spec: {} }, false],
  ['scheduled, no status yet', { status: {} }, true],
  ['succeeded', { status: { phase: 'Succeeded' } }, false],
  ['failed', { status: { phase: 'Failed' } }, false],
])('%s counts: %j', (_, changes, counts) => {
  expect(podCounts(PodViewSchema.parse(pod(changes)))).toBe(counts);
});

test.each([
  ['app', 40],
  ['web', 30],
  ['plain', null],
  ['setup', 6],
  ['nobody', null],
])('%s may stand still for %j seconds', (name, seconds) => {
  const spec = {
    containers: [
      { name: 'app', livenessProbe: { periodSeconds: 20, failureThreshold: 2, httpGet: {} } },
      { name: 'web', livenessProbe: { exec: {} } },
      { name: 'plain' },
    ],
    initContainers: [{ name: 'setup', livenessProbe: { periodSeconds: 2 } }],
  };
  expect(tolerablePauseSeconds(PodViewSchema.parse(pod({ spec })), name)).toBe(seconds);
});
