import { describe, expect, test } from '@jest/globals';
import type { CheckpointPolicyStatus } from '../../../src/api/checkpoint-policy.ts';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { CHECKPOINT_POLICIES, CHECKPOINT_REQUESTS, EVENTS, PODS } from '../../../src/api/kube-resources.ts';
import { createEventRecorder } from '../../../src/controller/event-recorder.ts';
import { createPlanReconciler } from '../../../src/controller/plan-reconciler.ts';
import { createPolicyNodes } from '../../../src/controller/policy-nodes.ts';
import { createPolicyReconciler } from '../../../src/controller/policy-reconciler.ts';
import { createScheduleReconciler } from '../../../src/controller/schedule-reconciler.ts';
import { createStatusBudget } from '../../../src/controller/status-budget.ts';
import { aSpec, ControllerFixture, NEVER } from './controller-fixture.ts';

const MINUTE_MS = 60_000;
const KEY = 'shop/p';
const POLICY = { namespace: 'shop', name: 'p' };

function scheduled(checkpoint: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) {
  return {
    ...aSpec('3Mi'),
    ...spec,
    checkpoint: { schedule: '*/10 * * * *', timeZone: 'Etc/UTC', ...checkpoint },
  };
}

/** The clock begins at 10:00:00 on November 23, 2026. */
class Scheduled {
  readonly fixture: ControllerFixture;
  readonly #plan;
  readonly #policy;
  #schedule;
  #term = new AbortController();

  constructor(settings: Record<string, unknown> = {}) {
    this.fixture = new ControllerFixture(settings);
    const { parts } = this.fixture;
    const learned = { current: () => new Map<string, number>(), fold: () => Promise.resolve(false) };
    this.#plan = createPlanReconciler({ ...parts, learned });
    const events = this.#events();
    const budget = createStatusBudget(parts.clock);
    this.#policy = createPolicyReconciler({
      ...parts,
      learned,
      nodes: createPolicyNodes(parts),
      budget,
      events,
    });
    this.#schedule = this.#newProcess();
  }

  #events() {
    return createEventRecorder({ ...this.fixture.parts, namespace: 'ghostlimit-system', instance: 'c-1' });
  }

  #newProcess() {
    const { parts } = this.fixture;
    return createScheduleReconciler({
      ...parts,
      events: this.#events(),
      budget: createStatusBudget(parts.clock),
    });
  }

  static async with(
    spec: Record<string, unknown>,
    settings: Record<string, unknown> = {},
  ): Promise<Scheduled> {
    const world = new Scheduled(settings);
    await world.set(spec);
    await world.turn();
    return world;
  }

  async set(spec: Record<string, unknown>): Promise<void> {
    await this.fixture.policy('p', spec);
    await this.plan();
  }

  async plan(): Promise<void> {
    this.fixture.sync();
    await this.#plan('plan-09', NEVER);
    this.fixture.sync();
  }

  async policyLoop(): Promise<void> {
    this.fixture.sync();
    await this.#policy(KEY, NEVER);
  }

  /** With caches that are not newer than they were. */
  turnStale(): ReturnType<ReturnType<typeof createScheduleReconciler>> {
    return this.#schedule(KEY, this.#term.signal);
  }

  turn(): ReturnType<ReturnType<typeof createScheduleReconciler>> {
    this.fixture.sync();
    return this.turnStale();
  }

  /** Everything that the process knew is lost. */
  crash(): void {
    this.#schedule = this.#newProcess();
    this.#term = new AbortController();
  }

  loseLease(): void {
    this.#term = new AbortController();
  }

  async pass(minutes: number): Promise<void> {
    await this.fixture.time.advance(minutes * MINUTE_MS);
  }

  get requests(): KubeObject[] {
    return [...this.fixture.kube.all(CHECKPOINT_REQUESTS)];
  }

  /** "pod hh:mm", of all requests. */
  get asked(): string[] {
    return this.requests
      .map(({ metadata, spec }) => {
        const { podName } = spec as { readonly podName: string };
        return `${podName} ${metadata.annotations?.['ghostlimit.dev/schedule-time']?.slice(11, 16) ?? ''}`;
      })
      .sort();
  }

  finish(failing: readonly string[] = []): void {
    for (const request of this.requests) {
      if (request['status'] !== undefined && 'conditions' in (request['status'] as object)) continue;
      const { podName } = request['spec'] as { readonly podName: string };
      this.finishOne(request, !failing.includes(podName));
    }
  }

  finishOne(request: KubeObject, succeeds = true): void {
    const at = new Date(this.fixture.time.now()).toISOString();
    const result = succeeds
      ? { name: 'app', result: 'Succeeded', attempts: 1 }
      : { name: 'app', result: 'Failed', reason: 'NoSpace', message: 'disk full', attempts: 1 };
    const condition = {
      type: succeeds ? 'Complete' : 'Failed',
      status: 'True',
      reason: succeeds ? 'Checkpointed' : 'NoSpace',
      message: '',
      lastTransitionTime: at,
    };
    this.fixture.kube.seed(CHECKPOINT_REQUESTS, {
      ...request,
      status: { observedGeneration: 1, conditions: [condition], completionTime: at, containers: [result] },
    });
  }

  get status(): Partial<CheckpointPolicyStatus> {
    return this.fixture.find('p')?.['status'] ?? {};
  }

  get times(): Record<string, unknown> {
    const { lastScheduleTime, nextScheduleTime, activeRound } = this.status;
    return { last: lastScheduleTime, next: nextScheduleTime, active: activeRound?.scheduleTime };
  }

  events(): string[] {
    return this.fixture.kube
      .all(EVENTS)
      .map((event) => `${String(event['type'])} ${String(event['reason'])}: ${String(event['note'])}`)
      .sort();
  }

  get health(): string {
    const found = this.status.conditions?.find(({ type }) => type === 'CheckpointsHealthy');
    return found === undefined ? 'absent' : `${found.status} ${found.reason}: ${found.message}`;
  }
}

const at = (time: string): string => `2026-11-23T${time}:00Z`;

describe('a round', () => {
  test('starts when it is due: one request for each running pod that matches', async () => {
    const world = await Scheduled.with(scheduled({ timeoutSeconds: 300, historyLimit: 1 }));
    const { fixture } = world;
    fixture.pod('a', 'n1');
    fixture.pod('b', 'n2');
    fixture.pod('pending', 'n2', { phase: 'Pending' });
    fixture.pod('done', 'n2', { phase: 'Succeeded' });
    expect(world.times).toEqual({ last: undefined, next: at('10:10'), active: undefined });
    await world.pass(9);
    expect(await world.turn()).toEqual({ requeueAfterMs: 60_000 });
    expect(world.asked).toEqual([]);
    await world.pass(1);
    await world.turn();
    expect(world.asked).toEqual(['a 10:10', 'b 10:10']);
    expect(world.times).toEqual({ last: at('10:10'), next: at('10:20'), active: at('10:10') });
    const podUID = fixture.kube.find(PODS, { namespace: 'shop', name: 'a' })?.metadata.uid;
    const [request] = world.requests.filter(({ spec }) => (spec as { podName: string }).podName === 'a');
    expect(request).toMatchObject({
      metadata: {
        namespace: 'shop',
        labels: { 'ghostlimit.dev/policy': 'p', 'ghostlimit.dev/trigger': 'schedule' },
        annotations: { 'ghostlimit.dev/schedule-time': at('10:10') },
      },
      spec: {
        podName: 'a',
        podUID,
        timeoutSeconds: 300,
        startDeadlineSeconds: 86_400,
        ttlSecondsAfterFinished: 604_800,
        archivePolicy: 'Retain',
      },
    });
    expect(request?.metadata.ownerReferences).toBeUndefined();
    expect(request?.metadata.finalizers).toBeUndefined();
    expect(request?.spec).not.toHaveProperty('containerNames');
  });

  test('larger than what is asked for at a time begins on all nodes', async () => {
    const world = await Scheduled.with(scheduled());
    for (let index = 0; index < 100; index += 1) world.fixture.pod(`a-${index}`, 'n1');
    for (let index = 0; index < 10; index += 1) world.fixture.pod(`b-${index}`, 'n2');
    for (let index = 0; index < 20; index += 1) world.fixture.pod(`c-${index}`, 'n3');
    await world.pass(10);
    await world.turn();
    // The fake counts UIDs up.
    const made = world.requests
      .toSorted((one, other) => ((one.metadata.uid ?? '') < (other.metadata.uid ?? '') ? -1 : 1))
      .map(({ spec }) => (spec as { readonly podName: string }).podName);
    expect(made.slice(0, 6)).toEqual(['a-0', 'b-0', 'c-0', 'a-1', 'b-1', 'c-1']);
    const counts = ['a', 'b', 'c'].map((start) => made.filter((name) => name.startsWith(start)).length);
    expect(counts).toEqual([70, 10, 20]);
  });

  test('takes the containers that the targets name, of pods by selector and by workload', async () => {
    const targets = [
      { name: 'db', selector: { matchLabels: { app: 'db' } }, containerNames: ['app'] },
      { name: 'web', workloadRef: { kind: 'Deployment', name: 'web' } },
    ];
    const world = await Scheduled.with(scheduled({}, { targets }));
    world.fixture.pod('db-0', 'n1', { app: 'db' });
    world.fixture.pod('web-abc-1', 'n1', { owner: 'web-abc' });
    world.fixture.pod('other', 'n1', { app: 'other' });
    await world.pass(10);
    await world.turn();
    expect(world.asked).toEqual(['db-0 10:10', 'web-abc-1 10:10']);
  });

  test('of a pod with two containers of which one is meant names that one', async () => {
    const targets = [{ name: 'app', selector: {}, containerNames: ['app'] }];
    const world = await Scheduled.with(scheduled({}, { targets }));
    world.fixture.kube.seed(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a', namespace: 'shop' },
      spec: { nodeName: 'n1', containers: [{ name: 'app' }, { name: 'proxy' }] },
      status: { phase: 'Running' },
    });
    await world.pass(10);
    await world.turn();
    expect(world.requests[0]?.spec).toMatchObject({ containerNames: ['app'] });
  });

  test('ends with its outcome in the status and its event; the rest of the status stays', async () => {
    const world = await Scheduled.with(scheduled());
    world.fixture.pod('a', 'n1');
    world.fixture.pod('b', 'n2');
    await world.policyLoop();
    await world.pass(10);
    await world.turn();
    await world.pass(1);
    world.finish(['b']);
    await world.turn();
    expect(world.status.lastCheckpoint).toEqual({
      time: '2026-11-23T10:11:00.000Z',
      succeeded: 1,
      failed: 1,
    });
    expect(world.health).toBe(
      'False CheckpointsFailing: 1 of 2 containers not checkpointed: b/app: NoSpace: disk full',
    );
    expect(world.times).toEqual({ last: at('10:10'), next: at('10:20'), active: undefined });
    expect(world.events()).toContain(
      'Warning CheckpointsFailing: round of 2026-11-23T10:10:00Z: 1 of 2 containers not checkpointed: b/app: NoSpace: disk full',
    );
    await world.pass(9);
    await world.turn();
    await world.policyLoop();
    world.finish();
    await world.turn();
    expect(world.health).toBe('True CheckpointsSucceeded: 2 containers checkpointed');
    expect(world.status.conditions?.map(({ type }) => type).sort()).toEqual([
      'Accepted',
      'CheckpointsHealthy',
      'NodesInSync',
      'Ready',
    ]);
    const before = world.fixture.kube.callsOf({ verb: 'apply', resource: 'checkpointpolicies' }).length;
    await world.pass(1);
    await world.turn();
    await world.policyLoop();
    await world.policyLoop();
    const after = world.fixture.kube.callsOf({ verb: 'apply', resource: 'checkpointpolicies' }).length;
    expect(after - before).toBeLessThanOrEqual(1);
  });

  test('without pods is over at once, and is no checkpoint', async () => {
    const world = await Scheduled.with(scheduled());
    await world.pass(10);
    expect(await world.turn()).toEqual({ requeueAfterMs: 1 });
    await world.turn();
    expect(world.times).toEqual({ last: at('10:10'), next: at('10:20'), active: undefined });
    expect([world.health, world.status.lastCheckpoint]).toEqual(['absent', undefined]);
  });

  test('that still runs when the next is due: that one is skipped with an event', async () => {
    const world = await Scheduled.with(scheduled());
    world.fixture.pod('a', 'n1');
    await world.pass(10);
    await world.turn();
    await world.pass(10);
    await world.turn();
    expect(world.asked).toEqual(['a 10:10']);
    expect(world.times).toEqual({ last: at('10:20'), next: at('10:30'), active: at('10:10') });
    expect(world.events()).toEqual([
      'Warning RoundSkipped: the round of 2026-11-23T10:20:00Z is due while that of 2026-11-23T10:10:00Z still runs, with 1 unfinished',
    ]);
    world.finish();
    await world.turn();
    await world.pass(10);
    await world.turn();
    expect(world.asked).toEqual(['a 10:10', 'a 10:30']);
  });

  test('keeps at most 100 unfinished requests, and asks for the others as they finish', async () => {
    const world = await Scheduled.with(scheduled());
    for (let pod = 0; pod < 250; pod += 1) world.fixture.pod(`p${pod.toString().padStart(3, '0')}`, 'n1');
    await world.pass(10);
    await world.turn();
    expect(world.requests.length).toBe(100);
    await world.turnStale();
    expect(world.requests.length).toBe(100);
    for (const request of world.requests.slice(0, 40)) world.finishOne(request);
    await world.turn();
    expect(world.requests.length).toBe(100);
    world.finish();
    await world.turn();
    expect(world.requests.length).toBe(200);
    world.finish();
    await world.turn();
    expect(world.requests.length).toBe(250);
    expect(world.times['active']).toBe(at('10:10'));
    world.finish();
    await world.turn();
    expect(world.status.lastCheckpoint).toMatchObject({ succeeded: 250, failed: 0 });
    expect(new Set(world.asked).size).toBe(250);
  });

  test('leaves out pods that came after it began', async () => {
    const world = await Scheduled.with(scheduled());
    for (let pod = 0; pod < 101; pod += 1) world.fixture.pod(`p${pod.toString()}`, 'n1');
    await world.pass(10);
    await world.turn();
    await world.pass(1);
    world.fixture.pod('late', 'n1');
    world.finish();
    await world.turn();
    expect(world.requests.length).toBe(101);
    expect(world.asked).not.toContain('late 10:10');
  });

  test('does not ask again for a pod whose request a user deleted', async () => {
    const world = await Scheduled.with(scheduled());
    for (let pod = 0; pod < 120; pod += 1) world.fixture.pod(`p${pod.toString()}`, 'n1');
    await world.pass(10);
    await world.turn();
    await world.turn();
    const [first] = world.requests;
    await world.fixture.kube.direct.delete(CHECKPOINT_REQUESTS, first?.metadata ?? { name: '' });
    world.finish();
    await world.turn();
    expect(world.requests.length).toBe(119);
  });
});

describe('when nothing may start', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['Audit', scheduled({}, { mode: 'Audit' }), {}],
    ['suspended', scheduled({ suspend: true }), {}],
    ['paused', scheduled(), { checkpointsPaused: true }],
    ['taken back', scheduled(), { removal: true }],
    ['too often for the settings', scheduled(), { minimumScheduleIntervalSeconds: 3600 }],
    ['over the cap', scheduled({}, aSpec('4Mi')), { maxGhostLimit: '3Mi' }],
    ['another namespace', scheduled(), { namespaces: ['other'] }],
    ['no schedule', aSpec('3Mi'), {}],
  ])('%s', async (_, spec, settings) => {
    const world = await Scheduled.with(spec, settings);
    world.fixture.pod('a', 'n1');
    await world.pass(10);
    await world.turn();
    await world.turn();
    expect(world.asked).toEqual([]);
    expect(world.times).toEqual({ last: undefined, next: undefined, active: undefined });
  });

  test('before the nodes are told of the policy as it is now', async () => {
    const world = new Scheduled();
    await world.fixture.policy('p', scheduled());
    world.fixture.pod('a', 'n1');
    await world.pass(10);
    await world.turn();
    expect(world.asked).toEqual([]);
    await world.plan();
    await world.turn();
    expect(world.asked).toEqual(['a 10:10']);
  });

  test('a suspended schedule starts the latest missed round when it goes on, as a CronJob', async () => {
    const world = await Scheduled.with(scheduled());
    world.fixture.pod('a', 'n1');
    await world.pass(10);
    await world.turn();
    world.finish();
    await world.turn();
    await world.set(scheduled({ suspend: true }));
    await world.pass(35);
    await world.turn();
    expect(world.times).toEqual({ last: at('10:10'), next: undefined, active: undefined });
    await world.set(scheduled());
    await world.turn();
    expect(world.asked).toEqual(['a 10:10', 'a 10:40']);
    expect(world.events()).toContain(
      'Warning RoundSkipped: 2 rounds before that of 2026-11-23T10:40:00Z were missed',
    );
  });

  test('a pause holds the rest of a round back', async () => {
    const world = await Scheduled.with(scheduled());
    for (let pod = 0; pod < 110; pod += 1) world.fixture.pod(`p${pod.toString()}`, 'n1');
    await world.pass(10);
    await world.turn();
    world.finish();
    world.fixture.set({ checkpointsPaused: true });
    await world.turn();
    expect(world.requests.length).toBe(100);
    world.fixture.set({});
    await world.turn();
    expect(world.requests.length).toBe(110);
  });

  test('a schedule that is taken away leaves the outcome of its last round', async () => {
    const world = await Scheduled.with(scheduled());
    world.fixture.pod('a', 'n1');
    await world.pass(10);
    await world.turn();
    world.finish();
    await world.turn();
    await world.set(aSpec('3Mi'));
    await world.pass(1);
    await world.turn();
    expect(world.times).toEqual({ last: undefined, next: undefined, active: undefined });
    expect([world.health, world.status.lastCheckpoint?.succeeded]).toEqual(['absent', 1]);
  });
});

describe('time', () => {
  test('a schedule in an older policy does not start what was due before it', async () => {
    const world = await Scheduled.with(aSpec('3Mi'));
    world.fixture.pod('a', 'n1');
    await world.pass(25);
    await world.set(scheduled());
    await world.turn();
    expect(world.asked).toEqual([]);
    expect(world.times).toEqual({ last: undefined, next: at('10:30'), active: undefined });
    world.crash();
    await world.pass(6);
    await world.turn();
    expect(world.asked).toEqual(['a 10:30']);
  });

  test('a round later than startingDeadlineSeconds is skipped with an event', async () => {
    const world = await Scheduled.with(scheduled({ startingDeadlineSeconds: 60 }));
    world.fixture.pod('a', 'n1');
    await world.pass(12);
    await world.turn();
    expect(world.asked).toEqual([]);
    expect(world.times).toEqual({ last: at('10:10'), next: at('10:20'), active: undefined });
    expect(world.events()).toEqual([
      'Warning RoundSkipped: the round of 2026-11-23T10:10:00Z is later than startingDeadlineSeconds (60)',
    ]);
  });
});

describe('history', () => {
  test('finished requests of a pod beyond historyLimit are deleted, the oldest first', async () => {
    const world = await Scheduled.with(scheduled({ historyLimit: 2 }));
    world.fixture.pod('a', 'n1');
    for (let round = 0; round < 4; round += 1) {
      await world.pass(10);
      await world.turn();
      world.finish();
      await world.turn();
      await world.turn();
    }
    expect(world.asked).toEqual(['a 10:30', 'a 10:40']);
  });

  test('of none is kept until the round is through', async () => {
    const world = await Scheduled.with(scheduled({ historyLimit: 0 }));
    world.fixture.pod('a', 'n1');
    world.fixture.pod('b', 'n1');
    await world.pass(10);
    await world.turn();
    const [first] = world.requests;
    if (first !== undefined) world.finishOne(first);
    await world.turn();
    await world.turn();
    expect(world.requests.length).toBe(2);
    world.finish();
    await world.turn();
    await world.turn();
    expect(world.requests.length).toBe(0);
    expect(world.status.lastCheckpoint).toMatchObject({ succeeded: 2, failed: 0 });
  });

  test('leaves requests of users and of other policies', async () => {
    const world = await Scheduled.with(scheduled({ historyLimit: 0 }));
    world.fixture.kube.seed(CHECKPOINT_REQUESTS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointRequest',
      metadata: { name: 'mine', namespace: 'shop', labels: { 'ghostlimit.dev/policy': 'p' } },
      spec: { podName: 'a' },
    });
    world.finish();
    await world.turn();
    expect(world.requests.length).toBe(1);
  });
});

describe('a crash at every call', () => {
  const PODS_THERE = ['a', 'b', 'c'];

  /** One round and its end, with a new process after the `fatal`-th call; done or not done by the server. */
  async function live(
    fatal: number,
    isDone: boolean,
  ): Promise<{ world: Scheduled; calls: number; made: string[] }> {
    const world = await Scheduled.with(scheduled({ historyLimit: 1 }));
    for (const pod of PODS_THERE) world.fixture.pod(pod, 'n1');
    const { kube } = world.fixture;
    const made: string[] = [];
    let calls = 0;
    const touched = ['create', 'apply', 'delete', 'list', 'get'] as const;
    for (const verb of touched) {
      const real = kube[verb].bind(kube) as (...all: unknown[]) => Promise<unknown>;
      Object.defineProperty(kube, verb, {
        value: async (...all: unknown[]): Promise<unknown> => {
          calls += 1;
          if (calls === fatal && !isDone) throw new Error('killed before the call');
          const answer = await real(...all);
          const { plural } = all[0] as { readonly plural: string };
          if (verb === 'create' && plural === CHECKPOINT_REQUESTS.plural)
            made.push((answer as KubeObject).metadata.name);
          if (calls === fatal) throw new Error('killed after the call');
          return answer;
        },
      });
    }
    const step = async (): Promise<void> => {
      await world.fixture.time.advance(1000);
      try {
        await world.turn();
      } catch {
        world.crash();
      }
    };
    await world.pass(10);
    for (let turn = 0; turn < 4; turn += 1) await step();
    world.finish();
    for (let turn = 0; turn < 4; turn += 1) await step();
    await world.pass(10);
    for (let turn = 0; turn < 4; turn += 1) await step();
    world.finish();
    for (let turn = 0; turn < 6; turn += 1) await step();
    return { world, calls, made };
  }

  test('each pod is asked once in each round, and the status is as without', async () => {
    const { calls } = await live(0, false);
    expect(calls).toBeGreaterThan(15);
    for (let fatal = 1; fatal <= calls; fatal += 1)
      for (const isDone of [false, true]) {
        const { world, made } = await live(fatal, isDone);
        expect({ fatal, isDone, made: new Set(made).size, of: made.length }).toEqual({
          fatal,
          isDone,
          made: 6,
          of: 6,
        });
        expect(world.asked).toEqual(['a 10:20', 'b 10:20', 'c 10:20']);
        expect(world.times).toEqual({ last: at('10:20'), next: at('10:30'), active: undefined });
        expect(world.status.lastCheckpoint).toMatchObject({ succeeded: 3, failed: 0 });
      }
  });

  test('between the status and the first request: the round goes on', async () => {
    const world = await Scheduled.with(scheduled());
    world.fixture.pod('a', 'n1');
    await world.pass(10);
    world.fixture.kube.faults.next({ verb: 'list', resource: 'pods' }, { kind: 'unreachable' });
    await world.turn().catch(() => undefined);
    world.crash();
    await world.pass(3);
    world.fixture.pod('younger', 'n1');
    await world.turn().catch(() => undefined);
    await world.turn();
    expect(world.asked).toEqual(['a 10:10']);
  });
});

test('a second leader makes nothing twice, and one that leads again reads the status anew', async () => {
  const world = await Scheduled.with(scheduled());
  world.fixture.pod('a', 'n1');
  await world.pass(10);
  await world.turn();
  world.crash();
  await world.turnStale();
  expect(world.asked).toEqual(['a 10:10']);
  world.finish();
  await world.turn();
  await world.fixture.kube.direct.apply(
    CHECKPOINT_POLICIES,
    {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointPolicy',
      metadata: POLICY,
      status: { lastScheduleTime: at('10:20'), nextScheduleTime: at('10:30') },
    },
    { fieldManager: 'ghostlimit-controller-schedule', force: true, subresource: 'status' },
  );
  world.loseLease();
  await world.pass(10);
  await world.turn();
  expect(world.asked).toEqual(['a 10:10']);
});

test('a policy that is gone, or is being deleted, is left alone', async () => {
  const world = await Scheduled.with(scheduled());
  world.fixture.pod('a', 'n1');
  await world.policyLoop();
  await world.fixture.kube.direct.delete(CHECKPOINT_POLICIES, POLICY);
  await world.pass(10);
  expect(await world.turn()).toEqual({});
  expect(world.asked).toEqual([]);
});
