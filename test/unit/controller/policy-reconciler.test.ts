import { describe, expect, test } from '@jest/globals';
import type { CheckpointPolicyStatus } from '../../../src/api/checkpoint-policy.ts';
import { CHECKPOINT_POLICIES, EVENTS } from '../../../src/api/kube-resources.ts';
import { createEventRecorder } from '../../../src/controller/event-recorder.ts';
import { createPlanReconciler } from '../../../src/controller/plan-reconciler.ts';
import { createPolicyNodes, SILENT_RELIST_MS } from '../../../src/controller/policy-nodes.ts';
import { createPolicyReconciler, type Requeue } from '../../../src/controller/policy-reconciler.ts';
import { createStatusBudget } from '../../../src/controller/status-budget.ts';
import { aPolicyReport, aSpec, ControllerFixture, NEVER } from './controller-fixture.ts';

const FINALIZER = 'ghostlimit.dev/cleanup';

class Watched {
  readonly fixture: ControllerFixture;
  readonly #plan;
  readonly #policy;

  constructor(settings: Record<string, unknown> = {}) {
    this.fixture = new ControllerFixture(settings);
    const { parts, time } = this.fixture;
    const learned = { current: () => new Map<string, number>(), fold: () => Promise.resolve(false) };
    const place = { namespace: 'ghostlimit-system', instance: 'c-1' };
    this.#plan = createPlanReconciler({ ...parts, learned });
    this.#policy = createPolicyReconciler({
      ...parts,
      learned,
      nodes: createPolicyNodes(parts),
      budget: createStatusBudget(time),
      events: createEventRecorder({ ...parts, ...place }),
    });
  }

  async plan(): Promise<void> {
    this.fixture.sync();
    await this.#plan('plan-09', NEVER);
  }

  /** With caches that are not newer than `sync` made them. */
  reconcileStale(): Promise<Requeue> {
    return this.#policy('shop/p', NEVER);
  }

  reconcile(): Promise<Requeue> {
    this.fixture.sync();
    return this.reconcileStale();
  }

  /** As after a few turns of the loops. */
  async settle(): Promise<void> {
    await this.plan();
    await this.reconcile();
    await this.reconcile();
  }

  answers(nodeName: string, changes: Parameters<typeof aPolicyReport>[0] = {}): void {
    const { metadata } = this.fixture.find('p') ?? { metadata: { generation: 1 } };
    const generation = this.fixture.caches.plans.get('plan-09')?.generation ?? 0;
    this.fixture.report(nodeName, {
      plans: [{ name: 'plan-09', generation }],
      policies: [aPolicyReport({ observedGeneration: metadata.generation ?? 1, ...changes })],
    });
  }

  get status(): CheckpointPolicyStatus {
    return this.fixture.find('p')?.['status'] as CheckpointPolicyStatus;
  }

  get finalizers(): readonly string[] | undefined {
    return this.fixture.find('p')?.metadata.finalizers;
  }

  condition(type: string): string {
    const found = this.status.conditions.find((condition) => condition.type === type);
    return found === undefined ? 'absent' : `${found.status} ${found.reason}`;
  }

  events(): string[] {
    return this.fixture.kube
      .all(EVENTS)
      .map((event) => `${String(event['type'])} ${String(event['reason'])}: ${String(event['note'])}`);
  }

  async delete(): Promise<void> {
    await this.fixture.kube.direct.delete(CHECKPOINT_POLICIES, { namespace: 'shop', name: 'p' });
  }
}

const writesOf = ({ fixture }: Watched, verb: 'apply' | 'patch'): number =>
  fixture.kube.callsOf({ verb, resource: 'checkpointpolicies' }).length;

describe('the finalizer', () => {
  test('is added once, beside those of others', async () => {
    const world = new Watched();
    const policy = await world.fixture.policy('p');
    world.fixture.kube.seed(CHECKPOINT_POLICIES, {
      ...policy,
      metadata: { ...policy.metadata, finalizers: ['team/hold'] },
    });
    await world.reconcile();
    await world.reconcile();
    expect(world.finalizers).toEqual(['team/hold', FINALIZER]);
    expect(writesOf(world, 'patch')).toBe(1);
  });

  test('is not added while everything is taken back', async () => {
    const world = new Watched({ removal: true });
    await world.fixture.policy('p');
    await world.reconcile();
    expect(world.finalizers).toBeUndefined();
  });

  test('of somebody else that came in between is not lost: the write is refused', async () => {
    const world = new Watched();
    const policy = await world.fixture.policy('p');
    world.fixture.sync();
    world.fixture.kube.seed(CHECKPOINT_POLICIES, {
      ...policy,
      metadata: { ...policy.metadata, finalizers: ['team/hold'] },
    });
    await expect(world.reconcileStale()).rejects.toMatchObject({ status: 409 });
    expect(world.finalizers).toEqual(['team/hold']);
  });
});

describe('a deletion', () => {
  test('waits until the plan is without the policy and no Ready node names it', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    await world.fixture.policy('p');
    await world.settle();
    world.answers('n1');
    await world.delete();
    expect(await world.reconcile()).toEqual({ requeueAfterMs: 5_000 });
    await world.plan();
    expect(await world.reconcile()).toEqual({ requeueAfterMs: 5_000 });
    world.fixture.report('n1');
    expect(await world.reconcile()).toEqual({});
    expect(world.fixture.find('p')).toBeNull();
    expect(world.events().filter((event) => event.includes('AgentMissing'))).toEqual([]);
  });

  test('does not wait for a node that is not Ready, and says so', async () => {
    const world = new Watched();
    world.fixture.node('n1', { ready: false });
    await world.fixture.policy('p');
    await world.settle();
    world.answers('n1');
    await world.delete();
    await world.plan();
    await world.reconcile();
    expect(world.fixture.find('p')).toBeNull();
    expect(world.events()).toContain(
      'Warning AgentMissing: deleted; nodes that have not answered take their lines back later: n1',
    );
  });

  test('waits 60 s for a Ready node that is silent, from when it was seen', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    await world.fixture.policy('p');
    await world.settle();
    world.answers('n1');
    await world.delete();
    await world.plan();
    await world.reconcile();
    await world.fixture.time.advance(59_999);
    await world.reconcile();
    expect(world.finalizers).toEqual([FINALIZER]);
    await world.fixture.time.advance(1);
    await world.reconcile();
    expect(world.fixture.find('p')).toBeNull();
  });

  test('of a policy that is held by others goes on without us', async () => {
    const world = new Watched();
    const policy = await world.fixture.policy('p');
    world.fixture.kube.seed(CHECKPOINT_POLICIES, {
      ...policy,
      metadata: { ...policy.metadata, finalizers: ['team/hold', FINALIZER] },
    });
    await world.delete();
    await world.reconcile();
    expect(world.finalizers).toEqual(['team/hold']);
    expect(await world.reconcile()).toEqual({});
    expect(writesOf(world, 'patch')).toBe(1);
  });
});

describe('the status', () => {
  test('goes from RollingOut to AllNodesInSync as plan and node follow', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    await world.fixture.policy('p');
    const seen: string[] = [];
    const look = async (): Promise<void> => {
      await world.fixture.time.advance(10_000);
      await world.reconcile();
      seen.push(
        `${world.condition('Ready')}, ${world.status.summary}, Reconciling ${world.condition('Reconciling')}`,
      );
    };
    await look();
    await world.plan();
    await look();
    world.answers('n1');
    await look();
    expect(seen).toEqual([
      'False RollingOut, 0/1, Reconciling True RollingOut',
      'False RollingOut, 0/1, Reconciling True RollingOut',
      'True AllNodesInSync, 1/1, Reconciling absent',
    ]);
    expect(world.status).toMatchObject({
      observedGeneration: 1,
      nodes: { matched: 1, inSync: 1, failing: 0, unreachable: 0 },
      limit: '3Mi',
    });
  });

  test('is not written again while it says the same', async () => {
    const world = new Watched();
    await world.fixture.policy('p');
    await world.settle();
    const before = writesOf(world, 'apply');
    await world.fixture.time.advance(60_000);
    expect(await world.reconcile()).toEqual({});
    expect(writesOf(world, 'apply')).toBe(before);
  });

  test('without targets, as server-side apply leaves it, still counts as written', async () => {
    const world = new Watched();
    await world.fixture.policy('p');
    await world.settle();
    await world.fixture.policy('p', aSpec('2Gi'));
    await world.fixture.policy('p', aSpec('2Gi'));
    world.fixture.set({ maxGhostLimit: '2Mi' });
    await world.settle();
    await world.fixture.time.advance(60_000);
    await world.settle();
    expect(world.condition('Accepted')).toBe('False LimitOverCap');
    expect(world.condition('Stalled')).toBe('True LimitOverCap');
    expect(world.status.targets).toBeUndefined();
    const before = writesOf(world, 'apply');
    await world.fixture.time.advance(60_000);
    await world.reconcile();
    expect(writesOf(world, 'apply')).toBe(before);
  });

  test('waits for its turn: three at once, then one in 10 s', async () => {
    const world = new Watched();
    await world.fixture.policy('p');
    await world.plan();
    const waits: (number | undefined)[] = [];
    for (const limit of ['4Mi', '5Mi', '6Mi', '7Mi']) {
      await world.fixture.policy('p', aSpec(limit));
      waits.push((await world.reconcile()).requeueAfterMs);
    }
    expect(waits).toEqual([5_000, 5_000, 5_000, 10_000]);
    expect(writesOf(world, 'apply')).toBe(3);
    expect(world.status.observedGeneration).toBe(4);
    await world.fixture.time.advance(10_000);
    await world.reconcile();
    expect(world.status.observedGeneration).toBe(5);
  });

  test('is looked at again while a silent node counts by its pod alone', async () => {
    const world = new Watched();
    world.fixture.node('n1', { ready: false });
    world.fixture.pod('a', 'n1');
    await world.fixture.policy('p');
    await world.settle();
    expect(world.status.nodes).toEqual({ matched: 1, inSync: 0, failing: 0, unreachable: 1 });
    expect(await world.reconcile()).toEqual({ requeueAfterMs: SILENT_RELIST_MS });
  });

  test('says that everything is taken back', async () => {
    const world = new Watched({ removal: true });
    await world.fixture.policy('p');
    await world.settle();
    expect([world.condition('Ready'), world.condition('Stalled'), world.condition('Reconciling')]).toEqual([
      'False TakenBack',
      'True TakenBack',
      'absent',
    ]);
  });
});

describe('events', () => {
  test('tell of Ready when its reason changes, and of each problem once', async () => {
    const world = new Watched();
    world.fixture.node('n1');
    world.fixture.pod('a', 'n1');
    await world.fixture.policy('p');
    await world.settle();
    const failing = {
      state: 'Failing',
      reason: 'ReadOnlyFileSystem',
      message: '/etc/criu is read-only',
    } as const;
    world.answers('n1', failing);
    for (let turn = 0; turn < 3; turn += 1) {
      await world.fixture.time.advance(10_000);
      await world.reconcile();
    }
    world.answers('n1');
    await world.fixture.time.advance(10_000);
    await world.reconcile();
    expect(world.events().sort()).toEqual([
      'Normal AllNodesInSync: in force on 1 node',
      'Normal RollingOut: in force on 0 of 1 node so far',
      'Warning NodesFailing: not in force on 1 of 1 node: n1: /etc/criu is read-only',
      'Warning ReadOnlyFileSystem: node n1: /etc/criu is read-only',
    ]);
  });

  test('are about the policy', async () => {
    const world = new Watched();
    const { metadata } = await world.fixture.policy('p');
    await world.settle();
    const [event] = world.fixture.kube.all(EVENTS);
    expect(event).toMatchObject({
      metadata: { namespace: 'shop' },
      regarding: { kind: 'CheckpointPolicy', namespace: 'shop', name: 'p', uid: metadata.uid },
      reportingController: 'ghostlimit.dev/controller',
    });
  });
});

test('a policy that is gone is forgotten', async () => {
  const world = new Watched();
  expect(await world.reconcile()).toEqual({});
  expect(world.fixture.kube.calls).toEqual([]);
});
