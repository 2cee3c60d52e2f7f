import { afterEach, describe, expect, test } from '@jest/globals';
import { CHECKPOINT_NODES, CHECKPOINT_REQUESTS, NODES } from '../../../src/api/kube-resources.ts';
import { aSuccess, RequestHarness, type PodWish } from './request-harness.ts';

const FINALIZER = 'ghostlimit.dev/cleanup';

let world: RequestHarness | null = null;

async function aWorld(settings: Record<string, unknown> = {}): Promise<RequestHarness> {
  const made = new RequestHarness(settings);
  world = made;
  made.pod('web-1');
  await made.start();
  return made;
}

afterEach(async () => {
  const last = world;
  world = null;
  if (last === null) return;
  await last.stop();
  last.check();
});

const types = (harness: RequestHarness, name: string): string[] =>
  (harness.status(name).conditions ?? []).map(({ type, status }) => `${type}=${status}`);

describe('a request that can be carried out', () => {
  test('is accepted and ordered before 100 ms went by', async () => {
    const harness = await aWorld();
    await harness.create('r1', { podName: 'web-1', containerNames: ['app'], onGhostLimit: 'RaiseOnce' });
    await harness.time.advance(100);
    const { metadata } = harness.pod('web-1');
    expect(harness.status('r1')).toMatchObject({
      observedGeneration: 1,
      summary: 'Queued (1)',
      nodeName: 'n1',
      podUID: metadata.uid,
      queuePosition: 1,
    });
    expect(types(harness, 'r1')).toEqual(['Accepted=True', 'Reconciling=True']);
    expect(harness.request('r1')?.metadata.finalizers).toEqual([FINALIZER]);
    expect(harness.spec().orders).toEqual([
      {
        requestUID: harness.uid('r1'),
        requestNamespace: 'shop',
        requestName: 'r1',
        podName: 'web-1',
        podUID: metadata.uid,
        containerNames: ['app'],
        timeoutSeconds: 120,
        onGhostLimit: 'RaiseOnce',
        startDeadline: '2026-11-23T10:10:00Z',
      },
    ]);
  });

  test('runs, and is complete with what the node says', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.runs('r1');
    expect(harness.status('r1')).toMatchObject({ summary: 'Running', startTime: harness.now() });
    expect(types(harness, 'r1')).toEqual(['Accepted=True', 'Running=True', 'Reconciling=True']);
    await harness.finishes('r1', [aSuccess(), aSuccess('side')]);
    expect(harness.status('r1')).toMatchObject({
      summary: 'Complete',
      durationSeconds: 1,
      completionTime: harness.now(),
      containers: [aSuccess(), aSuccess('side')],
    });
    expect(harness.status('r1').queuePosition).toBeUndefined();
    expect(types(harness, 'r1')).toEqual(['Accepted=True', 'Complete=True']);
    expect(harness.orders()).toEqual([]);
  });

  test('of which a container fails is Failed with the reason of that one', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.finishes('r1', [
      aSuccess(),
      { name: 'side', result: 'Failed', reason: 'TcpEstablished', message: 'port 80', attempts: 1 },
    ]);
    expect(harness.verdict('r1')).toBe('Failed TcpEstablished');
    expect(types(harness, 'r1')).toEqual(['Accepted=True', 'Failed=True', 'Stalled=True']);
    const failed = harness.status('r1').conditions?.find(({ type }) => type === 'Failed');
    expect(failed?.message).toBe('side: port 80 (1 of 2 containers)');
  });

  test('says so by events: on itself, on its pod, and on its policy', async () => {
    const harness = await aWorld();
    await harness.fixture.policy('p');
    await harness.ask('r1', { podName: 'web-1' }, { labels: { 'ghostlimit.dev/policy': 'p' } });
    await harness.finishes('r1');
    const done = 'request r1, pod web-1: the container was checkpointed and runs on';
    expect(harness.notes().sort()).toEqual([
      `CheckpointPolicy p: Normal Checkpointed: ${done}`,
      `CheckpointRequest r1: Normal Checkpointed: ${done}`,
      'CheckpointRequest r1: Normal Queued: accepted for the node n1',
      `Pod web-1: Normal Checkpointed: ${done}`,
    ]);
  });

  test('that is to keep its archives gets no finalizer', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', archivePolicy: 'Retain' });
    expect(harness.request('r1')?.metadata.finalizers).toBeUndefined();
    expect(harness.orders()).toEqual(['r1']);
  });

  test('results of a node that it was not accepted for mean nothing', async () => {
    const harness = await aWorld();
    harness.node('n2');
    await harness.ask('r1');
    await harness.finishes('r1', [aSuccess()], 'n2');
    expect(harness.verdict('r1')).toBe('Queued (1)');
    expect(harness.orders()).toEqual(['r1']);
  });

  test('words of a node are escaped, and times that are none are replaced', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    const archive = { path: '/data/\u001b[2J\\x41.tar', sizeBytes: 1, createdTime: 'yesterday' };
    await harness.finishes('r1', [{ ...aSuccess(), archive }]);
    expect(harness.status('r1').containers?.[0]?.archive).toEqual({
      path: '/data/\\x1b[2J\\x41.tar',
      sizeBytes: 1,
      createdTime: harness.now(),
    });
  });
});

describe('a request that cannot be carried out is refused within 2 s', () => {
  test.each<[string, PodWish | null, Record<string, unknown>, string]>([
    ['no such pod', null, { podName: 'web-2' }, 'Failed PodNotFound'],
    ['another pod of the name', {}, { podName: 'web-2', podUID: 'another' }, 'Failed PodReplaced'],
    ['no such container', {}, { podName: 'web-2', containerNames: ['x'] }, 'Failed ContainerNotFound'],
    [
      'the container does not run',
      { containers: ['app', 'side'], running: ['app'] },
      { podName: 'web-2', containerNames: ['side'] },
      'Failed ContainerNotRunning',
    ],
    ['no container runs', { running: [] }, { podName: 'web-2' }, 'Failed ContainerNotRunning'],
    [
      'no node yet',
      { nodeName: '', running: [], phase: 'Pending' },
      { podName: 'web-2' },
      'Failed ContainerNotRunning',
    ],
    ['a node that is not served', { nodeName: 'n9' }, { podName: 'web-2' }, 'Failed NodeNotServed'],
    ['a node without an agent', { nodeName: 'n2' }, { podName: 'web-2' }, 'Failed AgentMissing'],
  ])('%s', async (_name, pod, spec, verdict) => {
    const harness = await aWorld();
    harness.node('n2', { agent: false });
    if (pod !== null) harness.pod('web-2', pod);
    await harness.create('r1', spec);
    await harness.time.advance(2_000);
    expect(harness.verdict('r1')).toBe(verdict);
    expect(types(harness, 'r1')).toEqual(['Accepted=False', 'Failed=True', 'Stalled=True']);
    expect(harness.request('r1')?.metadata.finalizers).toBeUndefined();
    expect(harness.orders()).toEqual([]);
  });

  test('an invalid time-out of another version is said with the field', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', timeoutSeconds: 9_999 });
    expect(harness.verdict('r1')).toBe('Failed InvalidRequest');
    const failed = harness.status('r1').conditions?.find(({ type }) => type === 'Failed');
    expect(failed?.message).toContain('timeoutSeconds');
  });

  test('paused: new ones fail, those that wait are withdrawn from the node and go on afterwards', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    harness.fixture.set({ checkpointsPaused: true });
    await harness.ask('r2');
    expect(harness.verdict('r2')).toBe('Failed CheckpointsPaused');
    expect(harness.verdict('r1')).toBe('Queued (1)');
    expect(harness.orders()).toEqual([]);
    harness.fixture.set({});
    await harness.time.advance(200);
    expect(harness.orders()).toEqual(['r1']);
  });

  test('the thousand-and-first of a namespace: QueueFull; another namespace goes on', async () => {
    const harness = await aWorld();
    harness.pod('web-1', { namespace: 'bank' });
    await Promise.all(Array.from({ length: 1_001 }, (_, index) => harness.create(`r${index}`)));
    await harness.time.advance(2_000);
    const verdicts = Array.from({ length: 1_001 }, (_, index) => harness.verdict(`r${index}`));
    expect(verdicts.filter((verdict) => verdict === 'Failed QueueFull')).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict.startsWith('Queued'))).toHaveLength(1_000);
    expect(harness.orders()).toHaveLength(32);
    await harness.ask('other', { podName: 'web-1' }, { namespace: 'bank' });
    expect(harness.verdict('other', 'bank')).toMatch(/^Queued/);
  });
});

describe('time', () => {
  test('not started by the deadline: the order is withdrawn, then it has failed', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', startDeadlineSeconds: 60 });
    await harness.time.advance(68_000);
    expect(harness.orders()).toEqual(['r1']);
    expect(harness.verdict('r1')).toBe('Queued (1)');
    await harness.time.advance(6_000);
    expect(harness.orders()).toEqual([]);
    expect(harness.verdict('r1')).toBe('Failed DeadlineExceeded');
    expect(harness.request('r1')?.metadata.finalizers).toBeUndefined();
  });

  test('started in time it goes on beyond the deadline', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', startDeadlineSeconds: 60 });
    await harness.time.advance(65_000);
    await harness.runs('r1');
    await harness.time.advance(20_000);
    expect(harness.verdict('r1')).toBe('Running');
    await harness.finishes('r1');
    expect(harness.verdict('r1')).toBe('Complete');
  });

  test('a node that is silent while it runs is given up after the time-outs and a minute', async () => {
    const harness = await aWorld();
    harness.pod('web-2', { containers: ['a', 'b'] });
    await harness.ask('r1', { podName: 'web-2', timeoutSeconds: 30 });
    await harness.runs('r1');
    await harness.kube.direct.delete(
      { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true },
      {
        namespace: 'ghostlimit-system',
        name: 'agent-n1',
      },
    );
    await harness.time.advance(115_000);
    expect(harness.verdict('r1')).toBe('Running');
    await harness.time.advance(10_000);
    expect(harness.verdict('r1')).toBe('Failed OutcomeUnknown');
    expect(harness.orders()).toEqual([]);
    expect(harness.request('r1')?.metadata.finalizers).toEqual([FINALIZER]);
  });

  test('an agent that answers has three times as long', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', containerNames: ['app'], timeoutSeconds: 30 });
    await harness.runs('r1');
    await harness.time.advance(145_000);
    expect(harness.verdict('r1')).toBe('Running');
    await harness.time.advance(10_000);
    expect(harness.status('r1').containers).toMatchObject([{ name: 'app', result: 'Unknown' }]);
    expect(harness.verdict('r1')).toBe('Failed OutcomeUnknown');
  });

  test('finished requests go after their time, and ask for no deletion of archives', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', ttlSecondsAfterFinished: 100 });
    await harness.finishes('r1');
    await harness.time.advance(98_000);
    expect(harness.request('r1')).not.toBeNull();
    await harness.time.advance(4_000);
    expect(harness.request('r1')).toBeNull();
    expect(harness.spec().deletions).toEqual([]);
  });
});

describe('a node that goes', () => {
  const removeNode = async (harness: RequestHarness): Promise<void> => {
    await harness.kube.direct.delete(CHECKPOINT_NODES, { name: 'n1' });
    await harness.kube.direct.delete(NODES, { name: 'n1' });
    await harness.time.advance(200);
  };

  test('fails what waits for it at once', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await removeNode(harness);
    expect(harness.verdict('r1')).toBe('Failed NodeGone');
  });

  test('makes what runs there Unknown at once, also where that was its last word', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', containerNames: ['app'] });
    await harness.runs('r1');
    await removeNode(harness);
    expect(harness.verdict('r1')).toBe('Failed OutcomeUnknown');
    expect(harness.status('r1').containers).toMatchObject([{ name: 'app', result: 'Unknown' }]);
  });

  test('lets a deleted request go', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.finishes('r1');
    await harness.remove('r1');
    expect(harness.request('r1')).not.toBeNull();
    await removeNode(harness);
    await harness.time.advance(1_000);
    expect(harness.request('r1')).toBeNull();
  });
});

describe('a request that its user deletes', () => {
  test('is withdrawn where it was not started', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.remove('r1');
    await harness.time.advance(3_000);
    expect(harness.orders()).toEqual([]);
    expect(harness.request('r1')).toBeNull();
    expect(harness.spec().deletions).toEqual([]);
  });

  test('runs to its end, then its archives are deleted, then it goes', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    const requestUID = harness.uid('r1');
    await harness.runs('r1');
    await harness.remove('r1');
    expect(harness.orders()).toEqual(['r1']);
    await harness.finishes('r1');
    expect(harness.orders()).toEqual([]);
    expect(harness.spec().deletions).toEqual([{ requestUID }]);
    await harness.say({ orders: [], deletions: [{ requestUID, state: 'Failed', message: 'busy' }] });
    expect(harness.verdict('r1')).toBe('Complete');
    await harness.say({ deletions: [{ requestUID, state: 'Deleted' }] });
    expect(harness.request('r1')).toBeNull();
    expect(harness.spec().deletions).toEqual([]);
  });

  test('and whose node does not come: says after a minute on which it waits, and the ways out', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.finishes('r1');
    await harness.kube.direct.mergePatch(
      CHECKPOINT_REQUESTS,
      { namespace: 'shop', name: 'r1' },
      { metadata: { finalizers: ['example.com/other', FINALIZER] } },
      { fieldManager: 'kubectl-edit' },
    );
    await harness.remove('r1');
    await harness.time.advance(58_000);
    expect(types(harness, 'r1')).toEqual(['Accepted=True', 'Complete=True']);
    const before = harness.notes();
    await harness.time.advance(5_000);
    const message =
      'the deletion waits for the node n1 to delete the archives: bring the node back, delete the Node object if it never returns, or leave the archives there: kubectl patch checkpointrequest r1 -n shop --type=merge -p \'{"metadata":{"finalizers":["example.com/other"]}}\'';
    expect(harness.status('r1').conditions?.at(-1)).toMatchObject({
      type: 'Reconciling',
      status: 'True',
      reason: 'ArchiveDeletionWaits',
      message,
    });
    expect(harness.verdict('r1')).toBe('Complete');
    const told = [...before, `CheckpointRequest r1: Warning ArchiveDeletionWaits: ${message}`];
    expect(harness.notes().sort()).toEqual(told.sort());
    const writes = harness.writes('checkpointrequests');
    await harness.stop();
    await harness.start();
    await harness.time.advance(3 * 3_600_000);
    expect(harness.notes().sort()).toEqual(told);
    expect(harness.writes('checkpointrequests')).toBe(writes);
    const requestUID = harness.uid('r1');
    await harness.say({ deletions: [{ requestUID, state: 'Deleted' }] });
    expect(harness.request('r1')?.metadata.finalizers).toEqual(['example.com/other']);
  });

  test('goes when a pin keeps its archive', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.finishes('r1');
    const requestUID = harness.uid('r1');
    await harness.remove('r1');
    await harness.say({ deletions: [{ requestUID, state: 'Kept', message: 'pinned' }] });
    expect(harness.request('r1')).toBeNull();
  });

  test('with Retain goes at once; what runs for it comes to its end', async () => {
    const harness = await aWorld();
    await harness.ask('r1', { podName: 'web-1', archivePolicy: 'Retain' });
    await harness.runs('r1');
    const requestUID = harness.uid('r1');
    await harness.remove('r1');
    expect(harness.request('r1')).toBeNull();
    expect(harness.orders()).toEqual(['r1']);
    await harness.say({ orders: [{ requestUID, state: 'Finished', containers: [aSuccess()] }] });
    expect(harness.orders()).toEqual([]);
  });
});

describe('removal', () => {
  test('withdraws what waits, lets finalizers go, and refuses what comes', async () => {
    const harness = await aWorld();
    await harness.ask('r0');
    await harness.finishes('r0');
    await harness.ask('r1');
    harness.fixture.set({ removal: true });
    await harness.ask('r2');
    await harness.time.advance(3_000);
    expect(harness.orders()).toEqual([]);
    expect(['r0', 'r1', 'r2'].map((name) => harness.verdict(name))).toEqual([
      'Complete',
      'Failed Withdrawn',
      'Failed Withdrawn',
    ]);
    const left = harness.kube.all(CHECKPOINT_REQUESTS).flatMap(({ metadata }) => metadata.finalizers ?? []);
    expect(left).toEqual([]);
  });
});

describe('a controller that is killed', () => {
  test('between accepting and ordering: the next one orders', async () => {
    const harness = await aWorld();
    harness.kube.faults.sometimes({ verb: 'apply', resource: 'checkpointnodes' }, 1, [
      { kind: 'status', status: 500 },
    ]);
    await harness.ask('r1');
    expect(harness.verdict('r1')).toBe('Queued (1)');
    await harness.stop();
    harness.kube.faults.clear();
    await harness.start();
    await harness.time.advance(200);
    expect(harness.orders()).toEqual(['r1']);
  });

  test('between the result and the end of the order: it is not ordered again', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.stop();
    await harness.finishes('r1');
    await harness.start();
    await harness.time.advance(500);
    expect(harness.verdict('r1')).toBe('Complete');
    expect(harness.orders()).toEqual([]);
  });

  test('and the next has not heard of the end of a request: it is not ordered again', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    const next = await harness.standBy();
    await harness.deafen(next, CHECKPOINT_REQUESTS.plural);
    await harness.finishes('r1');
    await harness.stop();
    const before = harness.writes('checkpointnodes');
    await harness.lead(next);
    await harness.time.advance(30_000);
    expect(harness.verdict('r1')).toBe('Complete');
    expect(harness.orders()).toEqual([]);
    expect(harness.writes('checkpointnodes')).toBe(before);
  });

  test('and the next has not heard of an order: what runs keeps its order', async () => {
    const harness = await aWorld();
    const next = await harness.standBy();
    await harness.deafen(next, CHECKPOINT_NODES.plural);
    await harness.ask('r1', { podName: 'web-1', archivePolicy: 'Retain' });
    await harness.runs('r1');
    // Only the spec of the node still knows of it.
    const uid = harness.uid('r1');
    await harness.remove('r1');
    await harness.stop();
    await harness.lead(next);
    await harness.ask('r2');
    expect(harness.spec().orders.map(({ requestUID }) => requestUID)).toEqual([uid, harness.uid('r2')]);
  });

  test('and the next has not heard of an order: it is not told as missed while it runs', async () => {
    const harness = await aWorld();
    const next = await harness.standBy();
    await harness.deafen(next, CHECKPOINT_NODES.plural);
    await harness.ask('r1', { podName: 'web-1', startDeadlineSeconds: 60 });
    await harness.runs('r1');
    await harness.stop();
    await harness.time.advance(100_000);
    await harness.lead(next);
    await harness.time.advance(10_000);
    expect(harness.verdict('r1')).toBe('Running');
    expect(harness.orders()).toEqual(['r1']);
  });
});

describe('what it costs', () => {
  test('of a queue of 300 the positions are written seldom, and exactly for the first ten only', async () => {
    const harness = await aWorld();
    await Promise.all(Array.from({ length: 300 }, (_, index) => harness.create(`r${index}`)));
    await harness.time.advance(5_000);
    const summaries = new Set(
      harness.kube.all(CHECKPOINT_REQUESTS).map(({ metadata }) => harness.status(metadata.name).summary),
    );
    for (const place of [1, 5, 10]) expect(summaries).toContain(`Queued (${place.toString()})`);
    expect(summaries).toContain('Queued (~200)');
    await harness.time.advance(20_000);
    const before = harness.writes('checkpointrequests');
    for (let turn = 0; turn < 5; turn += 1) {
      const [next = ''] = harness.orders();
      await harness.finishes(next);
    }
    await harness.time.advance(10_000);
    // For each end the first ten, and one in ten or in hundred of the others.
    expect(harness.writes('checkpointrequests') - before).toBeLessThan(5 * 30);
  });

  test('a finished request costs nothing more', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.finishes('r1');
    await harness.say({ orders: [] });
    const before = harness.kube.calls.length;
    await harness.time.advance(300_000);
    const calls = harness.kube.calls.slice(before).filter(({ verb }) => verb !== 'watch');
    expect(calls).toEqual([]);
  });
});
