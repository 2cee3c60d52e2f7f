import { afterEach, expect, test } from '@jest/globals';
import { viewPod } from '../../../../src/api/core-views.ts';
import { PODS } from '../../../../src/api/kube-resources.ts';
import { createPodWorkloadSource } from '../../../../src/agent/cluster/pod-workload-source.ts';
import { FakeContainerRuntime } from '../../../fakes/fake-container-runtime.ts';
import { AgentFixture } from './agent-fixture.ts';

let fixture: AgentFixture;
afterEach(() => fixture.end());

function aSource(runtimes = [new FakeContainerRuntime('containerd')]) {
  fixture = new AgentFixture();
  const pods = fixture.reflect(PODS, viewPod, { fieldSelector: 'spec.nodeName=n1' });
  return { source: createPodWorkloadSource({ pods, runtimes, log: fixture.log }), runtime: runtimes[0] };
}

function pod(name: string, status: Record<string, unknown>, spec: Record<string, unknown> = {}): void {
  fixture.kube.seed(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: { nodeName: 'n1', containers: [{ name: 'app' }], ...spec },
    status,
  });
}

const running = (id: string) => ({
  phase: 'Running',
  containerStatuses: [{ name: 'app', containerID: `containerd://${id}` }],
});

test('before the first list nobody can tell', async () => {
  const { source } = aSource();
  await expect(source.read()).rejects.toThrow(
    'the list of pods of this node was not read from the API server yet',
  );
});

test('pods of this node, with the processes that the runtime knows', async () => {
  const { source, runtime } = aSource();
  runtime?.add({ id: 'c1', pid: 77, criuConfigAnnotation: '/etc/own.conf' });
  pod('a', running('c1'));
  pod('b', running('c2'));
  pod('other', running('c3'), { nodeName: 'n2' });
  await fixture.time.advance(1);
  const workloads = await source.read();
  expect(workloads.map(({ podName, containers }) => [podName, containers])).toEqual([
    ['a', [{ name: 'app', kind: 'Regular', id: 'c1', pid: 77, criuConfigAnnotation: '/etc/own.conf' }]],
    ['b', [{ name: 'app', kind: 'Regular', id: 'c2', pid: null }]],
  ]);
});

test('a pod counts from scheduling on, and not after it has finished', async () => {
  const { source } = aSource();
  pod('a', { phase: 'Pending' });
  pod('b', { phase: 'Succeeded' });
  pod('c', { phase: 'Failed' });
  await fixture.time.advance(1);
  expect((await source.read()).map(({ podName, containers }) => [podName, containers[0]?.id])).toEqual([
    ['a', null],
  ]);
});

test('a silent runtime costs the processes, not the pods', async () => {
  const runtime = new FakeContainerRuntime('containerd');
  runtime.available = false;
  const { source } = aSource([runtime]);
  pod('a', running('c1'));
  await fixture.time.advance(1);
  expect((await source.read())[0]?.containers[0]).toMatchObject({ id: 'c1', pid: null });
  expect(fixture.log.messages('debug')).toEqual(['no container runtime answers, processes are not known']);
});

test('without a runtime at all pods count all the same', async () => {
  const { source } = aSource([]);
  pod('a', running('c1'));
  await fixture.time.advance(1);
  expect(await source.read()).toHaveLength(1);
});

test('tells of each change of a pod until it is stopped', async () => {
  const { source } = aSource();
  await fixture.time.advance(1);
  const stop = new AbortController();
  let changes = 0;
  source.watch(() => {
    changes += 1;
  }, stop.signal);
  pod('a', { phase: 'Pending' });
  await fixture.time.advance(1);
  stop.abort();
  pod('a', running('c1'));
  await fixture.time.advance(1);
  expect(changes).toBe(1);
});
