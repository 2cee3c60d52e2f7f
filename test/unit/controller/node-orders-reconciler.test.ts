import { afterEach, describe, expect, test } from '@jest/globals';
import { hashOf } from '../../../src/agent/cluster/trigger-source.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
} from '../../../src/api/kube-resources.ts';
import { RequestHarness } from './request-harness.ts';

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

const aFailure = {
  type: 'Failed',
  status: 'True',
  reason: 'NoSpace',
  message: '',
  lastTransitionTime: '2026-11-23T10:00:00Z',
};
const ofPolicy = { labels: { 'ghostlimit.dev/policy': 'p' } };
const aPolicy = (maxConcurrent: number) => ({
  targets: [{ name: 'all', selector: {} }],
  checkpoint: { schedule: '0 * * * *', maxConcurrent },
});

describe('the orders of a node', () => {
  test('of many requests at once come in few writes, and the first at once', async () => {
    const harness = await aWorld();
    const before = harness.writes('checkpointnodes');
    await Promise.all(Array.from({ length: 20 }, (_, index) => harness.create(`r${index.toString()}`)));
    await harness.time.advance(500);
    expect(harness.orders()).toHaveLength(20);
    expect(harness.writes('checkpointnodes') - before).toBeLessThanOrEqual(3);
  });

  test('are 32 at most, in turns of the namespaces; the next comes when one is done', async () => {
    const harness = await aWorld();
    harness.pod('web-1', { namespace: 'bank' });
    await Promise.all(Array.from({ length: 40 }, (_, index) => harness.create(`r${index.toString()}`)));
    await harness.time.advance(1_000);
    expect(harness.orders()).toHaveLength(32);
    await harness.ask('late', { podName: 'web-1' }, { namespace: 'bank' });
    await harness.finishes(harness.orders()[0] ?? '');
    expect(harness.orders()).toHaveLength(32);
    expect(harness.orders().at(-1)).toBe('late');
  });

  test('that the API server refuses are tried again, as they are then', async () => {
    const harness = await aWorld();
    harness.kube.faults.next(
      { verb: 'apply', resource: 'checkpointnodes' },
      { kind: 'unreachable', moment: 'after' },
    );
    await harness.ask('r1');
    await harness.time.advance(1_000);
    expect(harness.orders()).toEqual(['r1']);
  });

  test('of an object that was deleted come into the one that is made next, and none is made by them', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.kube.direct.delete(CHECKPOINT_NODES, { name: 'n1' });
    await harness.time.advance(10_000);
    expect(harness.kube.find(CHECKPOINT_NODES, { name: 'n1' })).toBeNull();
    harness.node('n1');
    await harness.time.advance(500);
    expect(harness.orders()).toEqual(['r1']);
  });

  test('stay where the object cannot be read', async () => {
    const harness = await aWorld();
    const object = harness.kube.find(CHECKPOINT_NODES, { name: 'n1' });
    if (object === null) throw new Error('no n1');
    harness.kube.seed(CHECKPOINT_NODES, { ...object, spec: { orders: 'none' } });
    await harness.ask('r1');
    expect(harness.writes('checkpointnodes')).toBe(0);
    expect(harness.fixture.log.messages('error')).toContain('orders of a node cannot be read, left alone');
    world = null;
    await harness.stop();
  });

  test('an order that somebody took out is put back while the node works on it', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.runs('r1');
    const before = harness.spec().orders;
    await harness.kube.direct.mergePatch(
      CHECKPOINT_NODES,
      { name: 'n1' },
      { spec: { orders: [] } },
      { fieldManager: 'kubectl-edit' },
    );
    await harness.time.advance(200);
    expect(harness.spec().orders).toEqual(before);
  });

  test('are the same for a request whatever becomes of its labels', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    const before = harness.spec().orders;
    await harness.kube.direct.mergePatch(
      CHECKPOINT_REQUESTS,
      { namespace: 'shop', name: 'r1' },
      { metadata: ofPolicy },
      { fieldManager: 'kubectl-label' },
    );
    await harness.time.advance(10_000);
    expect(harness.spec().orders).toEqual(before);
  });
});

describe('maxConcurrent of a policy', () => {
  test('holds over all nodes, and the oldest comes next wherever it waits', async () => {
    const harness = await aWorld();
    harness.node('n2');
    harness.pod('web-2', { nodeName: 'n2' });
    await harness.fixture.policy('p', aPolicy(1));
    await harness.ask('a', { podName: 'web-1' }, ofPolicy);
    await harness.time.advance(2_000);
    await harness.ask('b', { podName: 'web-2' }, ofPolicy);
    await harness.time.advance(2_000);
    await harness.ask('c', { podName: 'web-1' }, ofPolicy);
    expect([harness.orders('n1'), harness.orders('n2')]).toEqual([['a'], []]);
    expect(harness.spec('n1').orders[0]?.policyName).toBe('p');
    await harness.finishes('a');
    expect([harness.orders('n1'), harness.orders('n2')]).toEqual([[], ['b']]);
    await harness.finishes('b', undefined, 'n2');
    expect([harness.orders('n1'), harness.orders('n2')]).toEqual([['c'], []]);
  });

  test('that is raised lets more in', async () => {
    const harness = await aWorld();
    await harness.fixture.policy('p', aPolicy(1));
    for (const name of ['a', 'b', 'c']) await harness.ask(name, { podName: 'web-1' }, ofPolicy);
    expect(harness.orders()).toEqual(['a']);
    await harness.fixture.policy('p', aPolicy(2));
    await harness.time.advance(200);
    expect(harness.orders()).toEqual(['a', 'b']);
  });

  /** One request of the policy on each of `count` nodes: r1 on n1, r2 on n2 ... */
  const onNodes = async (harness: RequestHarness, count: number): Promise<void> => {
    for (let index = 1; index <= count; index += 1) {
      if (index > 1) harness.node(`n${index}`);
      harness.pod(`pod-${index}`, { nodeName: `n${index}` });
      await harness.ask(`r${index}`, { podName: `pod-${index}` }, ofPolicy);
      await harness.time.advance(1_000);
    }
  };
  const ordered = (harness: RequestHarness, count: number): string[] =>
    Array.from({ length: count }, (_, index) => harness.orders(`n${index + 1}`)).flat();

  test('that is raised wakes the nodes whose turn it is, and no others', async () => {
    const harness = await aWorld();
    await harness.fixture.policy('p', aPolicy(1));
    await onNodes(harness, 6);
    expect(ordered(harness, 6)).toEqual(['r1']);
    const writes = harness.writes('checkpointnodes');
    await harness.fixture.policy('p', aPolicy(3));
    await harness.time.advance(100);
    expect(ordered(harness, 6)).toEqual(['r1', 'r2', 'r3']);
    expect(harness.writes('checkpointnodes') - writes).toBe(2);
  });

  test.each<[string, (harness: RequestHarness) => Promise<unknown>]>([
    ['one finishes elsewhere', (harness) => harness.finishes('r1', undefined, 'n1')],
    ['one is deleted elsewhere', (harness) => harness.remove('r1')],
    [
      'the object of a node goes, with its orders',
      (harness) => harness.kube.direct.delete(CHECKPOINT_NODES, { name: 'n1' }),
    ],
    [
      'somebody writes that one has failed',
      async (harness) => {
        await harness.kube.direct.mergePatch(
          CHECKPOINT_REQUESTS,
          { namespace: 'shop', name: 'r1' },
          { status: { conditions: [aFailure] } },
          { fieldManager: 'kubectl-edit', subresource: 'status' },
        );
      },
    ],
    [
      'the policy goes, and five is what counts',
      (harness) => harness.kube.direct.delete(CHECKPOINT_POLICIES, { namespace: 'shop', name: 'p' }),
    ],
  ])('the next one comes at once when %s', async (_, change) => {
    const harness = await aWorld();
    await harness.fixture.policy('p', aPolicy(1));
    await onNodes(harness, 2);
    expect(harness.orders('n2')).toEqual([]);
    await change(harness);
    await harness.time.advance(200);
    expect(harness.orders('n2')).toEqual(['r2']);
  });

  test('a node that becomes full gives its turn to another', async () => {
    const harness = await aWorld();
    await harness.fixture.policy('p', aPolicy(1));
    await Promise.all(Array.from({ length: 32 }, (_, index) => harness.create(`free-${index}`)));
    await harness.time.advance(500);
    await onNodes(harness, 2);
    expect([harness.orders('n1').length, harness.orders('n2')]).toEqual([32, ['r2']]);
    const [first = ''] = harness.orders('n1');
    await harness.finishes('r2', undefined, 'n2');
    await harness.finishes(first);
    expect(harness.orders('n1').at(-1)).toBe('r1');
  });

  test('fills several nodes before it gives one of them a second', async () => {
    const harness = await aWorld();
    harness.node('n2');
    harness.pod('web-2', { nodeName: 'n2' });
    await harness.fixture.policy('p', aPolicy(2));
    await harness.stop();
    for (const name of ['a', 'b', 'c']) await harness.create(name, { podName: 'web-1' }, ofPolicy);
    await harness.time.advance(2_000);
    await harness.create('d', { podName: 'web-2' }, ofPolicy);
    await harness.start();
    await harness.time.advance(500);
    expect([harness.orders('n1'), harness.orders('n2')]).toEqual([['a'], ['d']]);
  });

  test('is 5 where the policy is gone, and nothing for others', async () => {
    const harness = await aWorld();
    for (const name of 'abcdefg') await harness.ask(name, { podName: 'web-1' }, ofPolicy);
    await harness.ask('free');
    expect(harness.orders()).toEqual(['a', 'b', 'c', 'd', 'e', 'free']);
  });
});

describe('a pod that asks by its annotation', () => {
  const TOKEN = 'falco-17';
  const tokenHash = hashOf(TOKEN);
  const annotations = { 'ghostlimit.dev/checkpoint': ` ${TOKEN} ` };

  const aTrigger = (harness: RequestHarness, changes: Record<string, string> = {}) => {
    const pod = harness.pod('web-1', { annotations });
    return { podUID: pod.metadata.uid ?? '', podName: 'web-1', namespace: 'shop', tokenHash, ...changes };
  };
  const requests = (harness: RequestHarness) => harness.kube.all(CHECKPOINT_REQUESTS);

  test('gets one request, which the node hears of until it is silent', async () => {
    const harness = await aWorld();
    const trigger = aTrigger(harness);
    await harness.say({ triggers: [trigger] });
    const [made] = requests(harness);
    expect(made).toMatchObject({
      metadata: {
        namespace: 'shop',
        name: `annotation-${trigger.podUID}-${tokenHash.slice(0, 16)}`,
        labels: { 'ghostlimit.dev/trigger': 'annotation' },
      },
      spec: { podName: 'web-1', podUID: trigger.podUID, archivePolicy: 'Delete' },
    });
    const { podUID } = trigger;
    expect(harness.spec().acknowledgedTriggers).toEqual([{ podUID, tokenHash }]);
    expect(harness.orders()).toEqual([made?.metadata.name]);
    // Deleted, and still reported: it was heard.
    await harness.remove(made?.metadata.name ?? '');
    await harness.time.advance(5_000);
    expect(requests(harness)).toEqual([]);
    await harness.say({ triggers: [] });
    expect(harness.spec().acknowledgedTriggers).toEqual([]);
  });

  test.each<[string, Record<string, string>]>([
    ['another token than the pod has', { tokenHash: 'f'.repeat(32) }],
    ['another pod of the name', { podUID: 'another' }],
    ['a pod that is not there', { podName: 'web-9' }],
    ['a name that is none', { podName: '../secrets' }],
  ])('not for %s: the node may lie', async (_name, changes) => {
    const harness = await aWorld();
    await harness.say({ triggers: [aTrigger(harness, changes)] });
    expect(requests(harness)).toEqual([]);
    expect(harness.spec().acknowledgedTriggers).toEqual([]);
  });

  test('not for a pod of another node', async () => {
    const harness = await aWorld();
    harness.node('n2');
    await harness.say({ triggers: [aTrigger(harness)] }, 'n2');
    expect(requests(harness)).toEqual([]);
  });

  test('not while everything is taken back', async () => {
    const harness = await aWorld({ removal: true });
    await harness.say({ triggers: [aTrigger(harness)] });
    expect(requests(harness)).toEqual([]);
  });

  test('by a controller that is killed before the node heard of it: once', async () => {
    const harness = await aWorld();
    harness.kube.faults.sometimes({ verb: 'apply' }, 1, [{ kind: 'status', status: 500 }]);
    await harness.say({ triggers: [aTrigger(harness)] });
    expect(requests(harness)).toHaveLength(1);
    expect(harness.spec().acknowledgedTriggers).toEqual([]);
    await harness.stop();
    harness.kube.faults.clear();
    await harness.start();
    await harness.time.advance(500);
    expect(requests(harness)).toHaveLength(1);
    expect(harness.spec().acknowledgedTriggers).toHaveLength(1);
  });
});
