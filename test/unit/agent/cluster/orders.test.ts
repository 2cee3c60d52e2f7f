import { afterEach, expect, test } from '@jest/globals';
import { CHECKPOINT_PLANS, PODS } from '../../../../src/api/kube-resources.ts';
import { OrderWorld } from './order-world.ts';

let world = new OrderWorld();
afterEach(() => {
  expect([...world.faults, ...world.runtime.faults]).toEqual([]);
  world.restartMs = null;
  world.kill();
});

async function aWorld(settings: Record<string, unknown> = {}): Promise<OrderWorld> {
  world = new OrderWorld(settings);
  world.startAgent();
  await world.time.advance(5_000);
  return world;
}

const at = (ms: number): string => new Date(world.time.now() + ms).toISOString();
const results = (uid: string): string[] =>
  (world.report(uid)?.containers ?? []).map(
    ({ name, result, reason, attempts }) => `${name} ${result} ${reason ?? '-'} ${attempts}`,
  );
const dumped = (): string[] => world.runtime.dumps.map(({ containerId }) => containerId);

function plan(checkpointsPaused: boolean): void {
  world.kube.seed(CHECKPOINT_PLANS, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointPlan',
    metadata: { name: 'plan-00' },
    spec: { nodeSettings: { checkpointsPaused }, policies: [] },
  });
}

test('an order is announced, carried out and reported; when it has gone from the spec, so has the report', async () => {
  await aWorld();
  world.pod('r1');
  await world.order({ requestUID: 'r1' });
  await world.time.advance(1_000);
  expect(world.report('r1')).toMatchObject({ state: 'Running', containers: [] });
  await world.time.advance(4_000);
  expect(world.report('r1')).toMatchObject({
    state: 'Finished',
    containers: [{ name: 'app', result: 'Succeeded', attempts: 1, archive: { sizeBytes: 1000 } }],
  });
  expect(world.archives.paths()).toEqual([world.report('r1')?.containers[0]?.archive?.path]);
  expect(world.status?.storage).toMatchObject({ archives: 1, bytes: 1000 });
  await world.withdraw('r1');
  await world.time.advance(1_000);
  expect(world.status?.orders).toBeUndefined();
});

test('orders are worked on in the order of the list, one at a time, container after container', async () => {
  await aWorld();
  world.pod('b', ['app', 'side']);
  world.pod('a');
  await world.order({ requestUID: 'b' });
  await world.order({ requestUID: 'a' });
  await world.time.advance(20_000);
  expect(dumped()).toEqual(['b-app', 'b-side', 'a-app']);
});

test('without names init and ephemeral containers are left out, and those that do not run', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  world.runtime.stop('r1-side');
  await world.order({ requestUID: 'r1' });
  await world.time.advance(10_000);
  expect(results('r1')).toEqual(['app Succeeded - 1']);
});

test('a container that is named and does not run fails, and the others are taken', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  world.runtime.stop('r1-side');
  await world.order({ requestUID: 'r1', containerNames: ['side', 'nobody', 'app'] });
  await world.time.advance(10_000);
  expect(results('r1')).toEqual([
    'side Failed ContainerNotRunning 0',
    'nobody Failed ContainerNotRunning 0',
    'app Succeeded - 1',
  ]);
});

test('a pod where nothing runs fails without a start', async () => {
  await aWorld();
  world.pod('r1');
  world.runtime.stop('r1-app');
  await world.order({ requestUID: 'r1' });
  await world.time.advance(1_000);
  expect(world.report('r1')).not.toHaveProperty('startTime');
  expect(results('r1')).toEqual(['app Failed ContainerNotRunning 0']);
});

test('a pod of another UID or namespace is not meant; the node looks again for a while before it says so', async () => {
  await aWorld();
  world.pod('r1');
  await world.order({ requestUID: 'x1', podUID: 'other' });
  await world.order({ requestUID: 'x2', podUID: 'r1', requestNamespace: 'elsewhere' });
  await world.order({ requestUID: 'r1' });
  await world.time.advance(10_000);
  // Nobody waits for what may still come.
  expect(results('r1')).toEqual(['app Succeeded - 1']);
  expect(world.report('x1')).toBeUndefined();
  await world.time.advance(50_000);
  expect(results('x1')).toEqual(['* Failed ContainerNotRunning 0']);
  expect(results('x2')).toEqual(['* Failed ContainerNotRunning 0']);
});

test('a pod that is seen a little after its order is taken', async () => {
  await aWorld();
  await world.order({ requestUID: 'r1' });
  await world.time.advance(7_000);
  world.pod('r1');
  await world.time.advance(15_000);
  expect(results('r1')).toEqual(['app Succeeded - 1']);
});

test('an order whose deadline has passed is not started', async () => {
  await aWorld();
  world.pod('r1');
  await world.order({ requestUID: 'r1', startDeadline: at(-1_000) });
  await world.time.advance(1_000);
  expect(results('r1')).toEqual(['* Failed DeadlineExceeded 0']);
  expect(dumped()).toEqual([]);
});

test('nothing starts while checkpoints are paused: what waits is taken afterwards, or fails at its deadline', async () => {
  await aWorld();
  plan(true);
  world.pod('r1');
  world.pod('r2');
  await world.order({ requestUID: 'r1', startDeadline: at(30_000) });
  await world.order({ requestUID: 'r2' });
  await world.time.advance(29_000);
  expect(world.status?.orders).toBeUndefined();
  await world.time.advance(2_000);
  expect(results('r1')).toEqual(['* Failed DeadlineExceeded 0']);
  expect(world.report('r1')?.containers[0]?.message).toContain('paused');
  plan(false);
  await world.time.advance(10_000);
  expect(results('r2')).toEqual(['app Succeeded - 1']);
});

test('nothing is called before the API server took the news of it; it is tried again', async () => {
  await aWorld();
  world.pod('r1');
  world.kube.faults.sometimes({ verb: 'apply' }, 1, [{ kind: 'unreachable' }]);
  await world.order({ requestUID: 'r1' });
  await world.time.advance(60_000);
  expect(dumped()).toEqual([]);
  world.kube.faults.clear();
  await world.time.advance(70_000);
  expect(results('r1')).toEqual(['app Succeeded - 1']);
});

test('an order that was withdrawn before it started is dropped', async () => {
  await aWorld();
  world.pod('r1');
  world.pod('r2');
  await world.order({ requestUID: 'r1' });
  await world.order({ requestUID: 'r2' });
  await world.time.advance(1_000);
  await world.withdraw('r2');
  await world.time.advance(20_000);
  expect(dumped()).toEqual(['r1-app']);
});

test('an order that was withdrawn is not started either where the watch does not show it yet', async () => {
  await aWorld();
  world.pod('r1');
  world.pod('r2');
  await world.order({ requestUID: 'r1' });
  await world.order({ requestUID: 'r2' });
  await world.time.advance(1_000);
  world.kube.faults.sometimes({ verb: ['list', 'watch'], resource: 'checkpointnodes' }, 1, [
    { kind: 'unreachable' },
  ]);
  world.kube.cutWatches({ resource: 'checkpointnodes' });
  await world.withdraw('r2');
  await world.time.advance(60_000);
  expect(dumped()).toEqual(['r1-app']);
  expect(world.report('r2')).toBeUndefined();
  world.kube.faults.clear();
  await world.time.advance(120_000);
  expect(dumped()).toEqual(['r1-app']);
  expect(world.report('r2')).toBeUndefined();
});

test('an order that is withdrawn while it runs goes on, and is never run again', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  await world.order({ requestUID: 'r1' });
  await world.time.advance(1_000);
  await world.withdraw('r1');
  await world.time.advance(1_000);
  expect(world.status?.orders).toBeUndefined();
  await world.time.advance(20_000);
  expect(dumped()).toEqual(['r1-app', 'r1-side']);
  await world.order({ requestUID: 'r1' });
  await world.time.advance(20_000);
  expect(dumped()).toHaveLength(2);
  expect(results('r1')).toEqual(['app Succeeded - 1', 'side Succeeded - 1']);
});

test('two orders for one container are at least 2 s apart', async () => {
  await aWorld();
  world.pod('p');
  await world.order({ requestUID: 'r1', podUID: 'p' });
  await world.order({ requestUID: 'r2', podUID: 'p' });
  await world.time.advance(30_000);
  const [first, second] = world.runtime.dumps;
  expect((second?.atMs ?? 0) - (first?.endMs ?? 0)).toBeGreaterThanOrEqual(2_000);
});

test('an agent that is asked to end finishes the container, reports it and starts no other; the next one goes on', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  await world.order({ requestUID: 'r1' });
  await world.time.advance(1_000);
  world.terminate();
  await world.time.advance(10_000);
  expect(world.ended).toBe(true);
  expect(dumped()).toEqual(['r1-app']);
  expect(world.report('r1')?.state).toBe('Running');
  expect(results('r1')).toEqual(['app Succeeded - 1']);
  world.startAgent();
  await world.time.advance(10_000);
  expect(world.report('r1')?.state).toBe('Finished');
  expect(results('r1')).toEqual(['app Succeeded - 1', 'side Succeeded - 1']);
  expect(dumped()).toEqual(['r1-app', 'r1-side']);
});

test('an agent that goes on waits for the pods of its node, and refuses nothing because it has not read them yet', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  await world.order({ requestUID: 'r1' });
  await world.time.advance(1_000);
  world.kube.faults.next({ verb: 'list', resource: 'pods' }, { kind: 'delay', ms: 20_000 });
  world.kill();
  await world.time.advance(20_000);
  expect(results('r1')).toEqual(['app Succeeded - 1']);
  await world.time.advance(20_000);
  expect(results('r1')).toEqual(['app Succeeded - 1', 'side Succeeded - 1']);
});

test('what a stopped agent had not come to is not taken hours later', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  await world.order({ requestUID: 'r1', timeoutSeconds: 60 });
  await world.time.advance(1_000);
  world.restartMs = 3_600_000;
  world.kill();
  await world.time.advance(3_620_000);
  expect(results('r1')).toEqual(['app Succeeded - 1', 'side Failed DeadlineExceeded 0']);
});

test('an agent that is started does not take back what the one before it told, before it knows better', async () => {
  await aWorld();
  world.pod('r1');
  await world.order({ requestUID: 'r1' });
  await world.time.advance(10_000);
  world.restartMs = null;
  world.kill();
  world.state.fault = new Error('the disk is gone');
  world.startAgent();
  await world.time.advance(120_000);
  expect(results('r1')).toEqual(['app Succeeded - 1']);
  world.state.fault = null;
});

test('what cannot be noted is not done, and the engine goes on', async () => {
  await aWorld();
  world.pod('r1');
  const write = world.state.write.bind(world.state);
  world.state.write = (name, content) =>
    name.startsWith('order-') ? Promise.reject(new Error('no space')) : write(name, content);
  await world.order({ requestUID: 'r1' });
  await world.time.advance(120_000);
  expect(dumped()).toEqual([]);
  expect(world.running?.health.problem()).toBeNull();
  world.state.write = write;
  await world.time.advance(60_000);
  expect(world.report('r1')?.state).toBe('Finished');
});

test('a runtime that says done about an archive that is no good is not believed', async () => {
  await aWorld();
  world.pod('r1');
  const inspect = world.archives.inspect.bind(world.archives);
  world.archives.inspect = async (path) => {
    const info = await inspect(path);
    return info === null ? null : { ...info, fault: 'is cut short' };
  };
  await world.order({ requestUID: 'r1' });
  await world.time.advance(10_000);
  expect(results('r1')).toEqual(['app Failed Unclassified 1']);
  expect(world.report('r1')?.containers[0]?.message).toContain('is cut short');
});

test('a call that breaks off is settled by what there is, as after a crash', async () => {
  await aWorld();
  world.pod('r1', ['app', 'side']);
  const checkpoint = world.runtime.checkpoint.bind(world.runtime);
  world.runtime.checkpoint = async (call) => {
    await checkpoint(call);
    if (call.container.name === 'app') throw new TypeError('a bug');
    world.archives.drop(world.runtime.dumps.at(-1)?.path ?? '');
    throw new TypeError('another bug');
  };
  await world.order({ requestUID: 'r1' });
  await world.time.advance(40_000);
  expect(results('r1')).toEqual(['app Succeeded - 1', 'side Unknown OutcomeUnknown 1']);
  expect(dumped()).toHaveLength(2);
});

test('archives are deleted by the UID of their request, and a pinned one is kept', async () => {
  await aWorld();
  for (const uid of ['r1', 'r2']) {
    world.pod(uid);
    await world.order({ requestUID: uid });
  }
  await world.time.advance(20_000);
  const path = world.report('r2')?.containers[0]?.archive?.path ?? '';
  world.archives.pin(path);
  await world.write({
    deletions: [{ requestUID: 'r1' }, { requestUID: 'r2' }, { requestUID: 'unheard-of' }],
  });
  await world.time.advance(1_000);
  expect(world.status?.deletions?.map(({ requestUID, state }) => `${requestUID} ${state}`)).toEqual([
    'r1 Deleted',
    'r2 Kept',
    'unheard-of Deleted',
  ]);
  expect(world.archives.paths()).toEqual([path]);
  await world.write({ deletions: [] });
  await world.time.advance(1_000);
  expect(world.status?.deletions).toBeUndefined();
});

test('an annotation is told until it is acknowledged, over restarts, and not again', async () => {
  await aWorld();
  world.pod('p1', ['app'], { metadata: { annotations: { 'ghostlimit.dev/checkpoint': ' one ' } } });
  await world.time.advance(1_000);
  // printf one | sha256sum
  const trigger = { podUID: 'p1', tokenHash: '7692c3ad3540bb803c020b3aee66cd88' };
  expect(world.status?.triggers).toEqual([{ ...trigger, podName: 'pod-p1', namespace: 'shop' }]);
  await world.write({ acknowledgedTriggers: [trigger] });
  await world.time.advance(1_000);
  expect(world.status?.triggers).toBeUndefined();
  await world.write({ acknowledgedTriggers: [] });
  world.kill();
  await world.time.advance(20_000);
  expect(world.status?.triggers).toBeUndefined();
  expect(world.state.text('heard-triggers.json')).toContain(trigger.tokenHash);
  await world.kube.direct.delete(PODS, { namespace: 'shop', name: 'pod-p1' });
  await world.time.advance(1_000);
  expect(world.state.text('heard-triggers.json')).toBe('{}\n');
});

test('at rest nothing is written between two refreshes, also where the disk fills', async () => {
  await aWorld();
  // The first pass came before the caches were read, and the next one says so.
  await world.time.advance(90_000);
  const before = world.kube.callsOf({ verb: 'apply' }).length;
  for (let minute = 0; minute < 8; minute += 1) {
    world.archives.disk = { ...world.archives.disk, freeBytes: world.archives.disk.freeBytes - 1 };
    await world.time.advance(60_000);
  }
  expect(world.kube.callsOf({ verb: 'apply' })).toHaveLength(before);
});
