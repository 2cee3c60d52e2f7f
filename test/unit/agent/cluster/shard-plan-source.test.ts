import { afterEach, expect, test } from '@jest/globals';
import { CHECKPOINT_PLANS } from '../../../../src/api/kube-resources.ts';
import { createShardPlanSource, planShard } from '../../../../src/agent/cluster/shard-plan-source.ts';
import { aPlanPolicy } from '../../../builders/policies.ts';
import { AgentFixture } from './agent-fixture.ts';

let fixture: AgentFixture;
afterEach(() => fixture.end());

function aSource() {
  fixture = new AgentFixture();
  const source = createShardPlanSource(fixture.reflect(CHECKPOINT_PLANS, planShard));
  return { fixture, source };
}

function plan(name: string, spec: Record<string, unknown>): void {
  const before = fixture.kube.find(CHECKPOINT_PLANS, { name })?.metadata.generation ?? 0;
  fixture.kube.seed(CHECKPOINT_PLANS, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointPlan',
    metadata: { name, generation: before + 1 },
    spec,
  });
}

test('before the first list there is no plan, and what the API server said is told', async () => {
  const { source } = aSource();
  fixture.kube.goDown();
  await expect(source.read()).rejects.toThrow(/^the plan was not read from the API server yet$/);
  expect(source.seen()).toEqual([]);
  await fixture.time.advance(1);
  await expect(source.read()).rejects.toThrow(
    'the plan was not read from the API server yet: the API server is down',
  );
});

test('an empty cluster has a plan without policies', async () => {
  const { source } = aSource();
  await fixture.time.advance(1);
  expect(await source.read()).toEqual({ policies: [], problems: [], baseGhostLimitBytes: null });
  expect(source.nodeSettings()).toEqual({ checkpointsPaused: false, reportSpreadSeconds: 0 });
});

test('all shards are one plan, in the order of their names; the settings come from the one that has them', async () => {
  const { source } = aSource();
  plan('plan-09', { policies: [aPlanPolicy({ namespace: 'shop', name: 'a' })] });
  plan('plan-00', {
    policies: [],
    nodeSettings: { baseGhostLimitBytes: 2_097_152, checkpointsPaused: true, reportSpreadSeconds: 5 },
  });
  plan('plan-02', { policies: [aPlanPolicy({ namespace: 'x', name: 'b' })] });
  await fixture.time.advance(1);
  const { policies, baseGhostLimitBytes } = await source.read();
  expect(policies.map(({ name }) => name)).toEqual(['b', 'a']);
  expect(baseGhostLimitBytes).toBe(2_097_152);
  expect(source.nodeSettings()).toMatchObject({ checkpointsPaused: true, reportSpreadSeconds: 5 });
});

test('seen are the plans of the last read, not those that came since', async () => {
  const { source } = aSource();
  plan('plan-09', { policies: [] });
  await fixture.time.advance(1);
  expect(source.seen()).toEqual([]);
  await source.read();
  plan('plan-09', { policies: [aPlanPolicy()] });
  await fixture.time.advance(1);
  expect(source.seen()).toEqual([{ name: 'plan-09', generation: 1 }]);
  await source.read();
  expect(source.seen()).toEqual([{ name: 'plan-09', generation: 2 }]);
});

test('a policy of a shape that this version does not know is left out, and the others count', async () => {
  const { source } = aSource();
  plan('plan-09', {
    policies: [{ ...aPlanPolicy({ name: 'new' }), mode: 'Dream' }, aPlanPolicy({ name: 'a' })],
  });
  await fixture.time.advance(1);
  expect((await source.read()).policies.map(({ name }) => name)).toEqual(['a']);
});

test('what was read stays while the API server is away', async () => {
  const { source } = aSource();
  plan('plan-09', { policies: [aPlanPolicy({ name: 'a' })] });
  await fixture.time.advance(1);
  fixture.kube.goDown();
  await fixture.time.advance(3_600_000);
  expect((await source.read()).policies).toHaveLength(1);
});

test('tells of each change until it is stopped', async () => {
  const { source } = aSource();
  await fixture.time.advance(1);
  const stop = new AbortController();
  let changes = 0;
  source.watch(() => {
    changes += 1;
  }, stop.signal);
  plan('plan-09', { policies: [] });
  await fixture.time.advance(1);
  expect(changes).toBe(1);
  stop.abort();
  plan('plan-09', { policies: [aPlanPolicy()] });
  await fixture.time.advance(1);
  expect(changes).toBe(1);
});
