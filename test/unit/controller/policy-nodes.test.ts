import { describe, expect, test } from '@jest/globals';
import type { PlanPolicy } from '../../../src/api/checkpoint-plan.ts';
import { CHECKPOINT_PLANS, NODES, PODS } from '../../../src/api/kube-resources.ts';
import {
  AGENT_GRACE_MS,
  createPolicyNodes,
  RELIST_MS,
  SILENT_RELIST_MS,
} from '../../../src/controller/policy-nodes.ts';
import type { PolicyNode } from '../../../src/domain/rollup/policy-status.ts';
import { aPlanPolicy, aPlanTarget } from '../../builders/policies.ts';
import { aPolicyReport, ControllerFixture, MI, NEVER } from './controller-fixture.ts';

const PLANNED = aPlanPolicy({ namespace: 'shop', uid: 'u', generation: 1 });

class Watched {
  readonly fixture = new ControllerFixture();
  readonly #nodes = createPolicyNodes(this.fixture.parts);

  gather(planned: PlanPolicy | null = PLANNED): Promise<readonly PolicyNode[]> {
    this.fixture.sync();
    return this.#nodes.gather('shop/p', planned, NEVER);
  }

  async names(planned: PlanPolicy | null = PLANNED): Promise<string[]> {
    return (await this.gather(planned)).map(({ nodeName }) => nodeName);
  }

  expecting(nodeName: string): readonly string[] {
    return this.#nodes.expecting(nodeName);
  }

  /** Of pods. */
  get lists(): number {
    return this.fixture.kube.callsOf({ verb: 'list', resource: 'pods' }).length;
  }

  answers(nodeName: string): void {
    this.fixture.report(nodeName, { policies: [aPolicyReport()] });
  }
}

describe('the nodes that should answer', () => {
  test('are those with a pod that counts; a finished one, or one of another app, does not', async () => {
    const world = new Watched();
    for (const name of ['n1', 'n2', 'n3', 'n4']) world.fixture.node(name);
    world.fixture.pod('a', 'n1');
    world.fixture.pod('b', 'n1');
    world.fixture.pod('c', 'n2', { phase: 'Succeeded' });
    world.fixture.pod('d', 'n3', { app: 'batch' });
    world.fixture.pod('e', 'n4', { phase: 'Pending' });
    const selector = { matchLabels: { app: 'web' } };
    expect(
      await world.names(aPlanPolicy({ namespace: 'shop', targets: [aPlanTarget({ selector })] })),
    ).toEqual(['n1', 'n4']);
    expect(world.expecting('n4')).toEqual(['shop/p']);
    expect(world.expecting('n2')).toEqual([]);
  });

  test('by workloadRef are those of its pods, of all in the namespace', async () => {
    const world = new Watched();
    for (const name of ['n1', 'n2']) world.fixture.node(name);
    world.fixture.pod('a', 'n1', { owner: 'web-abc' });
    world.fixture.pod('b', 'n2', { owner: 'web-old-abc' });
    const { selector: _none, ...target } = aPlanTarget({ workloadRef: { kind: 'Deployment', name: 'web' } });
    expect(await world.names(aPlanPolicy({ namespace: 'shop', targets: [target] }))).toEqual(['n1']);
  });

  test('are those that report on it, too: pods that came later are known from there', async () => {
    const world = new Watched();
    for (const name of ['n1', 'n2']) world.fixture.node(name);
    world.fixture.pod('a', 'n1');
    world.answers('n2');
    expect(await world.names()).toEqual(['n1', 'n2']);
  });

  test('are not those whose Node is gone', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    world.fixture.pod('b', 'n9');
    expect(await world.names()).toEqual(['n1']);
    await world.fixture.kube.direct.delete(NODES, { name: 'n1' });
    expect(await world.names()).toEqual([]);
  });

  test('are none where nothing is planned, and nothing is listed', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    expect(await world.names(null)).toEqual([]);
    expect(world.lists).toBe(0);
  });
});

describe('pods are listed', () => {
  test('once for a generation, as long as the nodes answer', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    world.answers('n1');
    await world.gather();
    await world.fixture.time.advance(10 * SILENT_RELIST_MS);
    await world.gather();
    expect(world.lists).toBe(1);
    await world.gather({ ...PLANNED, generation: 2 });
    expect(world.lists).toBe(2);
  });

  test.each([
    ['a Ready node', true, RELIST_MS],
    ['a silent one', false, SILENT_RELIST_MS],
  ])('anew when %s has not answered for long', async (_what, ready, periodMs) => {
    const world = new Watched();
    world.fixture.node('n1', { ready });
    world.fixture.pod('a', 'n1');
    // A plan that it has not read.
    world.fixture.kube.seed(CHECKPOINT_PLANS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointPlan',
      metadata: { name: 'plan-09' },
    });
    await world.gather();
    await world.fixture.time.advance(periodMs - 1);
    await world.gather();
    expect(world.lists).toBe(1);
    await world.fixture.time.advance(1);
    await world.fixture.kube.direct.delete(PODS, { namespace: 'shop', name: 'a' });
    expect(await world.names()).toEqual([]);
    expect(world.lists).toBe(2);
  });

  test('not for a node that read the plan and says nothing of the policy: its pod is gone', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    world.fixture.report('n1');
    await world.gather();
    await world.fixture.time.advance(10 * RELIST_MS);
    const [node] = await world.gather();
    expect(node).toMatchObject({ nodeName: 'n1', seenPlan: true, report: null });
    expect(world.lists).toBe(1);
  });

  test('once for targets with the same selector', async () => {
    const world = new Watched();
    const targets = [
      aPlanTarget({ name: 'a' }),
      aPlanTarget({ name: 'b' }),
      aPlanTarget({ name: 'c', selector: { matchLabels: { app: 'x' } } }),
    ];
    await world.gather(aPlanPolicy({ namespace: 'shop', targets }));
    expect(world.lists).toBe(2);
  });
});

describe('a node', () => {
  test('without an agent is no news for 30 seconds', async () => {
    const world = new Watched();
    world.fixture.node('n1', { agent: false });
    world.fixture.pod('a', 'n1');
    const missing = async (): Promise<string | null | undefined> => (await world.gather())[0]?.agentMissing;
    expect(await missing()).toBeNull();
    await world.fixture.time.advance(AGENT_GRACE_MS - 1);
    expect(await missing()).toBeNull();
    await world.fixture.time.advance(1);
    expect(await missing()).toBe('no ready agent pod on n1, and none ever reported (checkpointnodes/n1)');
    world.fixture.node('n1');
    expect(await missing()).toBeNull();
  });

  test('shows its highest limit and who asks for it', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    const file = { state: 'InSync', effectiveLimitBytes: 8 * MI, managed: true, findings: [] };
    const files = [
      { ...file, path: '/etc/criu/runc.conf', desiredLimitBytes: 8 * MI, decidedBy: 'shop/q big' },
      { ...file, path: '/etc/criu/default.conf', desiredLimitBytes: 0 },
    ];
    world.fixture.report('n1', { files, policies: [aPolicyReport()] });
    expect((await world.gather())[0]?.limit).toEqual({ bytes: 8 * MI, decidedBy: 'shop/q big' });
  });

  test('has seen the plan when it read this generation of it, or a later one', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    world.fixture.kube.seed(CHECKPOINT_PLANS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointPlan',
      metadata: { name: 'plan-09', generation: 4 },
    });
    const seen: (boolean | undefined)[] = [];
    for (const generation of [3, 4, 5]) {
      world.fixture.report('n1', { plans: [{ name: 'plan-09', generation }] });
      seen.push((await world.gather())[0]?.seenPlan);
    }
    expect(seen).toEqual([false, true, true]);
  });
});
