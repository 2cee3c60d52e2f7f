import { expect, test } from '@jest/globals';
import { createLatePods } from '../../../../src/agent/cluster/late-pods.ts';
import { viewPod } from '../../../../src/api/core-views.ts';
import { PODS } from '../../../../src/api/kube-resources.ts';
import { RuntimeUnavailable } from '../../../../src/ports/container-runtime.ts';
import { AgentFixture } from './agent-fixture.ts';

const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop' },
  spec: { nodeName: 'node1' },
});

test('nothing is known before the cache was read; then its pods are, and who watched before hears of changes', async () => {
  const cluster = new AgentFixture();
  const late = createLatePods();
  const watching = new AbortController();
  let changes = 0;
  late.watch(() => {
    changes += 1;
  }, watching.signal);
  expect(() => late.pods()).toThrow(RuntimeUnavailable);
  await cluster.kube.create(PODS, pod('one'));
  late.connect(cluster.reflect(PODS, viewPod));
  expect(() => late.pods()).toThrow(RuntimeUnavailable);
  await cluster.time.advance(1000);
  expect(late.pods().map(({ metadata }) => metadata.name)).toEqual(['one']);
  expect(changes).toBeGreaterThan(0);
  const before = changes;
  watching.abort();
  await cluster.kube.create(PODS, pod('two'));
  await cluster.time.advance(1000);
  expect(late.pods()).toHaveLength(2);
  expect(changes).toBe(before);
  await cluster.end();
});
