// What only the fake API server has: faults, access of users, admission, garbage collection, stale lists. What it shares with the real one is in the contract.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeObject, ObjectMetadata } from '../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CONFIG_MAPS, NODES, PODS } from '../../src/api/kube-resources.ts';
import type { KubeApi, WatchEvent } from '../../src/ports/kube-api.ts';
import { atRest, FakeClock } from '../fakes/fake-clock.ts';
import { FakeKube } from '../fakes/fake-kube.ts';

const REF = { namespace: 'shop', name: 'a' };
const ALL = [{ rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] }];

function configMap(name: string, metadata: Partial<ObjectMetadata> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'shop', name, ...metadata } };
}

interface Followed {
  readonly seen: string[];
  error: unknown;
  hasEnded: boolean;
}

/** Reads a watch of configmaps in the background. */
function follow(api: KubeApi, resourceVersion: string, signal = new AbortController().signal): Followed {
  const followed: Followed = { seen: [], error: null, hasEnded: false };
  const note = ({ type, object }: WatchEvent): string =>
    type === 'BOOKMARK' ? type : `${type} ${object.metadata.name}`;
  const read = async (): Promise<void> => {
    for await (const event of api.watch(CONFIG_MAPS, { resourceVersion, timeoutSeconds: 600, signal }))
      followed.seen.push(note(event));
  };
  void read()
    .catch((error: unknown) => {
      followed.error = error;
    })
    .finally(() => {
      followed.hasEnded = true;
    });
  return followed;
}

describe('FakeKube', () => {
  let clock: FakeClock;
  let kube: FakeKube;
  beforeEach(() => {
    clock = new FakeClock();
    kube = new FakeKube({ clock });
  });

  test('times are those of the clock, and identifiers come again', async () => {
    const { metadata } = await kube.create(CONFIG_MAPS, configMap('a'));
    expect(metadata).toMatchObject({
      creationTimestamp: '2026-11-23T10:00:00Z',
      uid: '00000000-0000-4000-8000-000000000001',
      resourceVersion: '1001',
    });
  });

  test('what it gives cannot be changed', async () => {
    const object = await kube.create(CONFIG_MAPS, configMap('a', { labels: { a: 'b' } }));
    expect(() => {
      (object.metadata.labels as Record<string, string>)['a'] = 'c';
    }).toThrow(TypeError);
  });

  test('an object that is put there keeps its status', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: REF, status: { phase: 'Running' } };
    expect(kube.seed(PODS, pod)).toMatchObject({ status: { phase: 'Running' }, metadata: { generation: 1 } });
    expect(kube.find(PODS, REF)).toMatchObject({ status: { phase: 'Running' } });
  });

  describe('faults', () => {
    test('before: nothing is done', async () => {
      kube.faults.next({ verb: 'create' }, { kind: 'status', status: 429, retryAfterMs: 2000 });
      await expect(kube.create(CONFIG_MAPS, configMap('a'))).rejects.toMatchObject({
        status: 429,
        reason: 'TooManyRequests',
        retryAfterMs: 2000,
      });
      expect(kube.all(CONFIG_MAPS)).toEqual([]);
      await kube.create(CONFIG_MAPS, configMap('a'));
      expect(kube.all(CONFIG_MAPS)).toHaveLength(1);
    });

    test('after: it is done, and only the answer is lost', async () => {
      kube.faults.next({ verb: 'create' }, { kind: 'unreachable', moment: 'after' });
      await expect(kube.create(CONFIG_MAPS, configMap('a'))).rejects.toMatchObject({
        name: 'KubeUnreachable',
      });
      expect(kube.all(CONFIG_MAPS)).toHaveLength(1);
    });

    test('by verb, kind, user and key, so many times', async () => {
      const agent = kube.asUser('agent', ALL);
      const fault = { kind: 'status', status: 500 } as const;
      kube.faults.next(
        { verb: ['get', 'list'], resource: 'configmaps', user: 'agent', key: 'shop/a' },
        fault,
        2,
      );
      expect(await kube.get(CONFIG_MAPS, REF)).toBeNull();
      expect(await agent.get(CONFIG_MAPS, { ...REF, name: 'b' })).toBeNull();
      expect(await agent.get(PODS, REF)).toBeNull();
      for (let count = 0; count < 2; count += 1)
        await expect(agent.get(CONFIG_MAPS, REF)).rejects.toMatchObject({
          status: 500,
          reason: 'InternalError',
        });
      expect(await agent.get(CONFIG_MAPS, REF)).toBeNull();
    });

    test('by chance, the same with the same seed', async () => {
      const outcomes = async (seed: number): Promise<string> => {
        const other = new FakeKube({ clock, seed });
        other.faults.sometimes({}, 0.5, [{ kind: 'unreachable' }, { kind: 'status', status: 503 }]);
        for (let count = 0; count < 40; count += 1) await other.get(CONFIG_MAPS, REF).catch(() => null);
        return other.calls.map(({ outcome }) => outcome).join(' ');
      };
      const first = await outcomes(7);
      expect(await outcomes(7)).toBe(first);
      expect(await outcomes(8)).not.toBe(first);
      for (const outcome of ['Ok', 'Unreachable', '503']) expect(first).toContain(outcome);
    });

    test('a delay lasts by the clock, and ends with an abort', async () => {
      kube.faults.next({}, { kind: 'delay', ms: 5000 }, 2);
      let answer: KubeObject | null | undefined;
      void kube.get(CONFIG_MAPS, REF).then((object) => {
        answer = object;
      });
      await clock.advance(4999);
      expect(answer).toBeUndefined();
      await clock.advance(1);
      expect(answer).toBeNull();
      const controller = new AbortController();
      const waiting = kube.get(CONFIG_MAPS, REF, controller.signal);
      await atRest();
      controller.abort(new Error('given up'));
      await expect(waiting).rejects.toThrow('given up');
    });

    test('the hand of the test is never hit, and leaves no trace', async () => {
      kube.faults.sometimes({}, 1, [{ kind: 'unreachable' }]);
      kube.goDown();
      await kube.direct.create(CONFIG_MAPS, configMap('a'));
      expect(await kube.direct.get(CONFIG_MAPS, REF)).not.toBeNull();
      expect(kube.calls).toEqual([]);
    });

    test('down, and up again', async () => {
      const followed = follow(kube, '1000');
      await atRest();
      kube.goDown();
      await atRest();
      expect(followed.error).toMatchObject({ name: 'KubeUnreachable' });
      await expect(kube.get(CONFIG_MAPS, REF)).rejects.toMatchObject({ name: 'KubeUnreachable' });
      kube.comeUp();
      expect(await kube.get(CONFIG_MAPS, REF)).toBeNull();
    });
  });

  describe('watches', () => {
    test('cut, ended, and counted', async () => {
      const agent = kube.asUser('agent', ALL);
      const [cut, ended, left] = [follow(kube, '1000'), follow(agent, '1000'), follow(agent, '1000')];
      await atRest();
      expect([
        kube.watchCount(),
        kube.watchCount({ user: 'agent' }),
        kube.watchCount({ resource: 'pods' }),
      ]).toEqual([3, 2, 0]);
      kube.cutWatches({ user: 'admin' });
      await atRest();
      expect(cut.error).toMatchObject({ name: 'KubeUnreachable' });
      expect([ended.hasEnded, left.hasEnded]).toEqual([false, false]);
      kube.endWatches();
      await atRest();
      expect([ended.error, ended.hasEnded, kube.watchCount()]).toEqual([null, true, 0]);
    });

    test('bookmarks by the clock, unless they are dropped; the end by timeoutSeconds', async () => {
      const followed = follow(kube, '1000');
      await clock.advance(120_000);
      expect(followed.seen).toEqual(['BOOKMARK', 'BOOKMARK']);
      kube.dropsBookmarks = true;
      await clock.advance(120_000);
      kube.sendBookmarks();
      await atRest();
      expect(followed.seen).toHaveLength(2);
      await clock.advance(360_000);
      expect([followed.hasEnded, followed.error]).toEqual([true, null]);
    });

    test('a client that does not read loses its watch', async () => {
      const small = new FakeKube({ clock, watchBuffer: 2 });
      const signal = new AbortController().signal;
      const watch = small.watch(CONFIG_MAPS, { resourceVersion: '1000', timeoutSeconds: 600, signal });
      const events = watch[Symbol.asyncIterator]();
      const first = events.next();
      await atRest();
      for (const name of ['a', 'b', 'c', 'd', 'e']) await small.create(CONFIG_MAPS, configMap(name));
      await first;
      const names: string[] = [];
      for (let next = await events.next(); next.done !== true; next = await events.next())
        names.push(next.value.object.metadata.name);
      expect(names.length).toBeLessThan(4);
    });

    test('history is bounded, and forgotten on demand', async () => {
      const short = new FakeKube({ clock, historySize: 2 });
      for (const name of ['a', 'b', 'c']) await short.create(CONFIG_MAPS, configMap(name));
      const [old, known] = [follow(short, '1000'), follow(short, '1001')];
      await atRest();
      expect(old.error).toMatchObject({ status: 410, reason: 'Expired' });
      expect(known.seen).toEqual(['ADDED b', 'ADDED c']);
      short.forgetHistory();
      const later = follow(short, '1001');
      await atRest();
      expect(later.error).toMatchObject({ status: 410 });
      expect(known.hasEnded).toBe(false);
    });

    test('a version of the future is a time-out to retry', async () => {
      const followed = follow(kube, '5000');
      await atRest();
      expect(followed.error).toMatchObject({ status: 504, retryAfterMs: 1000 });
    });
  });

  test('a list from the cache may be behind, and a watch from there catches up', async () => {
    for (const name of ['a', 'b', 'c']) await kube.create(CONFIG_MAPS, configMap(name));
    kube.cacheLag = 2;
    const stale = await kube.list(CONFIG_MAPS, { resourceVersion: '0' });
    expect(stale.items.map(({ metadata }) => metadata.name)).toEqual(['a']);
    expect((await kube.list(CONFIG_MAPS, {})).items).toHaveLength(3);
    const followed = follow(kube, stale.resourceVersion);
    await atRest();
    expect(followed.seen).toEqual(['ADDED b', 'ADDED c']);
  });

  describe('access', () => {
    const grants = [
      { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }] },
      { rules: [{ apiGroups: ['ghostlimit.dev'], resources: ['checkpointnodes/status'], verbs: ['patch'] }] },
      {
        rules: [
          {
            apiGroups: ['ghostlimit.dev'],
            resources: ['checkpointnodes'],
            verbs: ['get', 'list', 'watch'],
            resourceNames: ['n1'],
          },
        ],
      },
      { namespace: 'shop', rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }] },
    ];
    let agent: KubeApi;
    beforeEach(() => {
      agent = kube.asUser('agent', grants);
      kube.seed(CHECKPOINT_NODES, {
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointNode',
        metadata: { name: 'n1' },
      });
    });
    const forbidden = { name: 'KubeApiError', status: 403, reason: 'Forbidden' };
    const owner = { fieldManager: 'agent' };

    test('by verb and kind', async () => {
      expect(await agent.list(PODS, {})).toMatchObject({ items: [] });
      await expect(agent.get(PODS, REF)).rejects.toMatchObject(forbidden);
      await expect(agent.list(NODES, {})).rejects.toMatchObject({
        ...forbidden,
        message:
          'nodes is forbidden: User "agent" cannot list resource "nodes" in API group "" at the cluster scope',
      });
    });

    test('by subresource', async () => {
      const status = { status: { agentVersion: '1' } };
      const written = await agent.mergePatch(CHECKPOINT_NODES, { name: 'n1' }, status, {
        ...owner,
        subresource: 'status',
      });
      expect(written).toMatchObject(status);
      await expect(agent.mergePatch(CHECKPOINT_NODES, { name: 'n1' }, {}, owner)).rejects.toMatchObject(
        forbidden,
      );
    });

    test('by name; a collection only when it is narrowed to that name', async () => {
      expect(await agent.get(CHECKPOINT_NODES, { name: 'n1' })).not.toBeNull();
      await expect(agent.get(CHECKPOINT_NODES, { name: 'n2' })).rejects.toMatchObject(forbidden);
      expect((await agent.list(CHECKPOINT_NODES, { fieldSelector: 'metadata.name=n1' })).items).toHaveLength(
        1,
      );
      await expect(agent.list(CHECKPOINT_NODES, {})).rejects.toMatchObject(forbidden);
    });

    test('by namespace', async () => {
      await agent.create(CONFIG_MAPS, configMap('a'));
      await expect(agent.create(CONFIG_MAPS, configMap('a', { namespace: 'other' }))).rejects.toMatchObject(
        forbidden,
      );
      await expect(agent.list(CONFIG_MAPS, {})).rejects.toMatchObject(forbidden);
    });

    test('an apply that creates needs the right to create', async () => {
      const patcher = kube.asUser('patcher', [
        { rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['patch'] }] },
      ]);
      const applied = (): Promise<KubeObject> =>
        patcher.apply(CONFIG_MAPS, configMap('a'), { ...owner, force: false });
      await expect(applied()).rejects.toMatchObject(forbidden);
      await kube.create(CONFIG_MAPS, configMap('a'));
      await expect(applied()).resolves.toBeDefined();
    });

    test('calls are remembered with what became of them', async () => {
      await agent.list(PODS, {});
      await agent.get(PODS, REF).catch(() => null);
      expect(kube.callsOf({ user: 'agent' })).toEqual([
        {
          user: 'agent',
          verb: 'list',
          resource: 'pods',
          subresource: null,
          key: null,
          atMs: clock.now(),
          outcome: 'Ok',
        },
        {
          user: 'agent',
          verb: 'get',
          resource: 'pods',
          subresource: null,
          key: 'shop/a',
          atMs: clock.now(),
          outcome: 403,
        },
      ]);
      expect(kube.callsOf({ verb: 'list', resource: 'nodes' })).toEqual([]);
    });
  });

  test('admission sees who writes what, and may refuse', async () => {
    const seen: string[] = [];
    const end = kube.admit(({ operation, user, subresource, object, oldObject }) => {
      seen.push(
        `${operation} ${user} ${subresource ?? '-'} ${object === null ? 'gone' : 'new'} ${oldObject === null ? 'none' : 'old'}`,
      );
      return object?.metadata.name === 'bad' ? { status: 422, message: 'no such name' } : null;
    });
    await kube.create(CONFIG_MAPS, configMap('a'));
    await kube.mergePatch(CONFIG_MAPS, REF, { data: { a: 'b' } }, { fieldManager: 'x' });
    await kube.delete(CONFIG_MAPS, REF);
    expect(seen).toEqual(['CREATE admin - new none', 'UPDATE admin - new old', 'DELETE admin - gone old']);
    await expect(kube.create(CONFIG_MAPS, configMap('bad'))).rejects.toMatchObject({
      status: 422,
      message: 'no such name',
    });
    expect(kube.find(CONFIG_MAPS, { ...REF, name: 'bad' })).toBeNull();
    end();
    await kube.create(CONFIG_MAPS, configMap('bad'));
  });

  describe('garbage', () => {
    const owned = async (name: string, owner: KubeObject, more: object = {}): Promise<KubeObject> => {
      const { apiVersion, kind, metadata } = owner;
      const reference = { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', ...more };
      return kube.create(CONFIG_MAPS, configMap(name, { ownerReferences: [reference] }));
    };
    const names = (): string[] => kube.all(CONFIG_MAPS).map(({ metadata }) => metadata.name);

    test('goes with its owner, and what that owned in turn', async () => {
      const top = await kube.create(CONFIG_MAPS, configMap('top'));
      await owned('leaf', await owned('middle', top));
      await kube.create(CONFIG_MAPS, configMap('free'));
      await kube.delete(CONFIG_MAPS, { ...REF, name: 'top' });
      await atRest();
      expect(names()).toEqual(['free']);
    });

    test('an owner of another uid is none', async () => {
      const top = await kube.create(CONFIG_MAPS, configMap('top'));
      await owned('a', { ...top, metadata: { ...top.metadata, uid: 'other' } });
      await atRest();
      expect(names()).toEqual(['top']);
    });

    test('a node owns what is in no namespace', async () => {
      const node = kube.seed(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
      await owned('a', node);
      await atRest();
      expect(names()).toEqual(['a']);
      await kube.delete(NODES, { name: 'n1' });
      await atRest();
      expect(names()).toEqual([]);
    });

    test('in the foreground the owner goes last', async () => {
      const top = await kube.create(CONFIG_MAPS, configMap('top'));
      await owned('held', top, { blockOwnerDeletion: true });
      await kube.mergePatch(
        CONFIG_MAPS,
        { ...REF, name: 'held' },
        { metadata: { finalizers: ['ghostlimit.dev/x'] } },
        { fieldManager: 'x' },
      );
      await kube.delete(CONFIG_MAPS, { ...REF, name: 'top' }, { propagationPolicy: 'Foreground' });
      await atRest();
      expect(names()).toEqual(['held', 'top']);
      await kube.mergePatch(
        CONFIG_MAPS,
        { ...REF, name: 'held' },
        { metadata: { finalizers: null } },
        { fieldManager: 'x' },
      );
      await atRest();
      expect(names()).toEqual([]);
    });

    test('orphans stay', async () => {
      const top = await kube.create(CONFIG_MAPS, configMap('top'));
      await owned('a', top);
      await kube.delete(CONFIG_MAPS, { ...REF, name: 'top' }, { propagationPolicy: 'Orphan' });
      await atRest();
      expect(names()).toEqual(['a']);
      expect(kube.find(CONFIG_MAPS, REF)?.metadata).not.toHaveProperty('ownerReferences');
    });

    test('waits to be told, where it is manual', async () => {
      kube = new FakeKube({ clock, garbage: 'Manual' });
      const top = await kube.create(CONFIG_MAPS, configMap('top'));
      await owned('a', top);
      await kube.delete(CONFIG_MAPS, { ...REF, name: 'top' });
      await atRest();
      expect(names()).toEqual(['a']);
      kube.collectGarbage();
      expect(names()).toEqual([]);
    });
  });
});
