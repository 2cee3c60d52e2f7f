import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import {
  createObjectReflector,
  createReflector,
  type Reflector,
  type ReflectorOptions,
} from '../../../src/machinery/reflector.ts';
import { KubeUnreachable, type ListOptions, type WatchOptions } from '../../../src/ports/kube-api.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingLog, RecordingMetrics } from './recording.ts';
import { apiError, type Fault, ScriptedServer, WIDGETS } from './scripted-server.ts';

type Options = Omit<ReflectorOptions<KubeObject>, 'project' | 'name' | 'resource'>;

/** A server with widgets a and b, and a reflector that is not started. `random` is what chance gives, always. */
function aWorld(options: Options = {}, random = 0.5) {
  const time = new VirtualTime();
  const server = new ScriptedServer(time);
  server.put('a');
  server.put('b');
  const log = new RecordingLog();
  const metrics = new RecordingMetrics();
  const parts = { api: server, clock: time, log, metrics, random: () => random };
  const reflector = createObjectReflector(parts, { name: 'widgets', resource: WIDGETS, ...options });
  const stop = new AbortController();
  const told: string[] = [];
  reflector.subscribe(({ key }) => {
    told.push(key);
  });
  return { time, server, log, metrics, parts, reflector, stop, told };
}

async function started(options: Options = {}, random = 0.5) {
  const world = aWorld(options, random);
  const done = world.reflector.run(world.stop.signal);
  await world.time.rest();
  return { ...world, done };
}

function versions(reflector: Reflector<KubeObject>): Record<string, string | null> {
  return Object.fromEntries(
    reflector.store.keys().map((key) => [key, reflector.store.resourceVersionOf(key)]),
  );
}

/** "list 0", "list 1002", "list newest", "watch 1002", in order, each with the second at which it came. */
function requests(server: ScriptedServer): string[] {
  return server.requests.map(
    ({ verb, options, atMs }) => `${atMs / 1000}: ${verb} ${options.resourceVersion ?? 'newest'}`,
  );
}

describe('list and watch', () => {
  test('lists once from the server’s cache, tells each key, and watches from there', async () => {
    const { server, reflector, told } = await started();
    expect(requests(server)).toEqual(['0: list 0', '0: watch 1002']);
    expect(told).toEqual(['a', 'b']);
    expect(reflector.status()).toEqual({ synced: true, lastError: null, resourceVersion: '1002' });
  });

  test.each([
    [0, 600],
    [0.5, 900],
    [0.999_999, 1200],
  ])('with chance %p the server is asked to end the watch after %p s', async (chance, seconds) => {
    const { server } = await started({}, chance);
    expect((server.requests[1]?.options as WatchOptions).timeoutSeconds).toBe(seconds);
  });

  test('selections go along with both', async () => {
    const selection = { namespace: 'n', fieldSelector: 'spec.nodeName=x', labelSelector: 'l=1' };
    const { server } = await started({ selection });
    expect(server.requests.map(({ options }) => options)).toEqual([
      expect.objectContaining(selection),
      expect.objectContaining(selection),
    ]);
  });

  test('events reach the store before the handler hears of the key', async () => {
    const { time, server, reflector } = await started();
    const seen: unknown[] = [];
    reflector.subscribe(({ key, before, after }) => {
      seen.push([
        key,
        before?.metadata.resourceVersion ?? null,
        after?.metadata.resourceVersion ?? null,
        reflector.store.get(key) === after,
      ]);
    });
    server.put('c');
    server.put('a');
    server.remove('b');
    await time.rest();
    expect(seen).toEqual([
      ['a', null, '1001', true],
      ['b', null, '1002', true],
      ['c', null, '1003', true],
      ['a', '1001', '1004', true],
      ['b', '1002', null, true],
    ]);
    expect(versions(reflector)).toEqual({ a: '1004', c: '1003' });
    expect(reflector.status().resourceVersion).toBe('1005');
  });

  test('a handler that throws is logged; the others and the watch go on', async () => {
    const { time, server, reflector, log, told } = await started();
    const end = reflector.subscribe(() => {
      throw new Error('oops');
    });
    server.put('c');
    await time.rest();
    end();
    server.put('d');
    await time.rest();
    expect(told).toEqual(['a', 'b', 'c', 'd']);
    expect(log.messages('error')).toEqual(Array(3).fill('handler of a change failed'));
  });

  test('managedFields are left out, the rest stays, and nobody can change it', async () => {
    const { time, parts, server } = aWorld();
    const stop = new AbortController();
    const original = { apiVersion: 'example.org/v1', kind: 'Widget', spec: { sizes: [1] } };
    const metadata = {
      name: 'm',
      resourceVersion: '7',
      labels: { l: '1' },
      managedFields: [{ manager: 'x' }],
    };
    const api = Object.assign(server, {
      list: () =>
        Promise.resolve({ items: [{ ...original, metadata }], resourceVersion: '1002', continueToken: null }),
    });
    const reflector = createObjectReflector({ ...parts, api }, { name: 'w', resource: WIDGETS });
    void reflector.run(stop.signal);
    await time.rest();
    const held = reflector.store.get('m');
    expect(held).toEqual({ ...original, metadata: { name: 'm', resourceVersion: '7', labels: { l: '1' } } });
    expect(metadata.managedFields).toHaveLength(1);
    expect(() => {
      (held as unknown as { spec: { sizes: number[] } }).spec.sizes.push(2);
    }).toThrow(TypeError);
  });

  test('what cannot be projected stays as it was known; the rest goes on; gone is gone', async () => {
    const { time, parts, server, log } = aWorld();
    server.put('a', { size: 'wrong' });
    const project = (object: KubeObject): { size: number } => {
      if (object.size === 'wrong') throw new Error('size is no number');
      return { size: Number(object.size ?? 0) };
    };
    const reflector = createReflector(parts, { name: 'w', resource: WIDGETS, project });
    void reflector.run(new AbortController().signal);
    await time.rest();
    expect(reflector.store.keys()).toEqual(['b']);
    server.put('a', { size: 3 });
    server.put('b', { size: 5 });
    server.put('b', { size: 'wrong' });
    await time.rest();
    expect([reflector.store.get('a'), reflector.store.get('b')]).toEqual([{ size: 3 }, { size: 5 }]);
    expect(log.messages('error')).toEqual(
      Array(2).fill('object cannot be read, keeping what was known of it'),
    );
    server.compact();
    server.remove('a');
    server.expire();
    await time.advance(10_000);
    expect(reflector.store.keys()).toEqual(['b']);
  });

  test('pages are put together; with a page size the newest state is asked for', async () => {
    const world = aWorld({ pageSize: 2 });
    for (const name of ['c', 'd', 'e']) world.server.put(name);
    void world.reflector.run(world.stop.signal);
    await world.time.rest();
    expect(world.reflector.store.keys()).toEqual(['a', 'b', 'c', 'd', 'e']);
    const lists = world.server.requests.filter(({ verb }) => verb === 'list');
    expect(lists.map(({ options }) => (options as ListOptions).continueToken)).toEqual([undefined, '2', '4']);
    expect(lists.every(({ options }) => options.resourceVersion === undefined)).toBe(true);
    expect(world.metrics.of('listed')).toEqual(['listed widgets success']);
  });
});

describe('resuming', () => {
  test('a watch that ends on time goes on within a second, from the newest bookmark, without a list', async () => {
    const { time, server } = await started();
    server.progress();
    await time.advance(900_000 + 499);
    expect(server.count('watch')).toBe(1);
    await time.advance(1);
    expect(requests(server)).toEqual(['0: list 0', '0: watch 1002', '900.5: watch 1003']);
  });

  test.each([
    ['default', undefined, 0.5],
    ['30 s', 30_000, 15],
  ])(
    'a connection that breaks is opened again after jitter up to %s',
    async (_name, lossJitterMs, seconds) => {
      const { time, server } = await started(lossJitterMs === undefined ? {} : { lossJitterMs });
      await time.advance(40_000);
      server.cut();
      server.put('c');
      await time.advance(seconds * 1000 - 1);
      expect(server.count('watch')).toBe(1);
      await time.advance(1);
      expect(requests(server).slice(2)).toEqual([`${40 + seconds}: watch 1002`]);
    },
  );

  test('a server that goes down in good order counts as a loss too', async () => {
    const { time, server } = await started({ lossJitterMs: 30_000 });
    await time.advance(40_000);
    server.close();
    await time.advance(14_999);
    expect(server.count('watch')).toBe(1);
    await time.advance(1);
    expect(server.count('watch')).toBe(2);
  });

  test('410 on opening: lists anew, not older than what it had; what is missing is gone, what is the same is not told', async () => {
    const { time, server, reflector, told } = await started();
    await time.advance(40_000);
    server.cut();
    server.remove('b');
    server.put('c');
    server.compact();
    await time.advance(10_000);
    expect(
      requests(server)
        .slice(2)
        .map((line) => line.slice(-9)),
    ).toEqual(['atch 1002', 'list 1002', 'atch 1004']);
    expect(told).toEqual(['a', 'b', 'c', 'b']);
    expect(versions(reflector)).toEqual({ a: '1001', c: '1004' });
  });

  test('a server that was away and forgot all: once it answers, the list does not wait as long as the tries before', async () => {
    const { time, server, reflector } = await started();
    await time.advance(40_000);
    server.faults = Array<Fault>(6).fill(new KubeUnreachable('refused'));
    server.cut();
    server.put('c');
    server.compact();
    await time.advance(60_000);
    // Lost at 40 s; half a second of jitter, then 0.6, 1.2, 2.4 ... 19.2 s; and half a second from the 410 to the list.
    expect(requests(server).slice(-3)).toEqual(['78.3: watch 1002', '78.8: list 1002', '78.8: watch 1003']);
    expect(reflector.store.keys()).toEqual(['a', 'b', 'c']);
  });

  test('410 as an event: lists anew, and tells nothing where nothing changed', async () => {
    const { time, server, told } = await started();
    await time.advance(40_000);
    server.expire();
    await time.advance(10_000);
    expect(requests(server).slice(2)).toEqual(['40.5: list 1002', '40.5: watch 1002']);
    expect(told).toEqual(['a', 'b']);
  });

  test('a server that lags behind cannot take the store back in time', async () => {
    const { time, server, reflector } = await started();
    for (const name of ['c', 'd', 'a']) server.put(name);
    await time.rest();
    server.lag = 3;
    server.compact();
    server.expire();
    await time.advance(10_000);
    expect(server.count('list')).toBe(2);
    expect(versions(reflector)).toEqual({ a: '1005', b: '1002', c: '1003', d: '1004' });
  });

  test('events that come twice do not bring back what was deleted', async () => {
    const { time, server, reflector, told } = await started();
    server.duplicateAfterMs = 1_000;
    server.put('c');
    server.remove('c');
    await time.advance(5_000);
    expect(reflector.store.keys()).toEqual(['a', 'b']);
    expect(told).toEqual(['a', 'b', 'c', 'c']);
  });
});

describe('silence', () => {
  test.each([false, true])(
    '150 s without event or bookmark after there were some: closed and resumed (stuck for good: %p)',
    async (deaf) => {
      const { time, server, reflector } = await started();
      server.progress();
      await time.advance(60_000);
      server.stall(deaf);
      server.put('c');
      await time.advance(149_999);
      expect(server.count('watch')).toBe(1);
      await time.advance(501);
      expect(requests(server).slice(2)).toEqual(['210.5: watch 1003']);
      expect(reflector.store.keys()).toEqual(['a', 'b', 'c']);
      expect(server.count('list')).toBe(1);
    },
  );

  test('bookmarks keep a watch alive until its time is up', async () => {
    const { time, server } = await started();
    server.progress();
    await time.advance(899_000);
    expect(server.count('watch')).toBe(1);
  });

  test('a watch without any word may just be quiet: each gets twice the time of the one before, up to 600 s', async () => {
    const { time, server } = await started();
    await time.advance(1_700_000);
    expect(requests(server).slice(1)).toEqual([
      '0: watch 1002',
      '150.5: watch 1002',
      '451: watch 1002',
      '1051.5: watch 1002',
      '1652: watch 1002',
    ]);
    server.put('c');
    await time.advance(150_000);
    // It spoke again, so silence is suspect again.
    server.stall();
    await time.advance(150_500);
    expect(server.count('watch')).toBe(6);
  });

  test('half an hour without a word: the server may have forgotten the future that we wait for, so it is asked for its newest state', async () => {
    const { time, server, reflector } = await started();
    server.put('c');
    server.put('d');
    await time.rest();
    server.restore(1002);
    await time.advance(3_600_000);
    expect(versions(reflector)).toEqual({ a: '1001', b: '1002' });
    expect(server.count('list')).toBe(2);
    server.put('e');
    await time.advance(1_000);
    expect(reflector.store.keys()).toEqual(['a', 'b', 'e']);
  });

  test('a list that the server cannot serve as new as we want it is asked for as new as there is', async () => {
    const { time, server, reflector } = await started();
    server.put('c');
    server.put('d');
    await time.rest();
    server.expire();
    server.restore(1002);
    await time.advance(60_000);
    expect(versions(reflector)).toEqual({ a: '1001', b: '1002' });
    expect(
      server.requests.filter(({ verb }) => verb === 'list').map(({ options }) => options.resourceVersion),
    ).toEqual(['0', '1004', undefined]);
  });
});

describe('errors', () => {
  test('a resource that is not there yet is asked for again and again, ever slower; the status says why', async () => {
    const world = aWorld();
    world.server.faults = Array<Fault>(8).fill(apiError(404, 'NotFound'));
    void world.reflector.run(world.stop.signal);
    await world.time.advance(1_000);
    expect(world.reflector.status()).toMatchObject({
      synced: false,
      lastError: { message: '404 NotFound', httpStatus: 404 },
    });
    await world.time.advance(120_000);
    // Three quarters (chance 0.5) of 0.8, 1.6, 3.2 ... s, at most 30.
    expect(world.server.requests.map(({ atMs }) => atMs / 1000)).toEqual([
      0, 0.6, 1.8, 4.2, 9, 18.6, 37.8, 60.3, 82.8, 82.8,
    ]);
    expect(world.reflector.status()).toMatchObject({ synced: true, lastError: null });
  });

  test('a watch that is forbidden shows in the status until one has lived for 30 s', async () => {
    const world = aWorld();
    world.server.faults = [];
    const done = world.reflector.run(world.stop.signal);
    await world.time.rest();
    world.server.cut();
    world.server.faults = [apiError(403, 'Forbidden'), apiError(403, 'Forbidden')];
    await world.time.advance(5_000);
    expect(world.server.openWatches).toBe(1);
    expect(world.reflector.status().lastError).toMatchObject({ httpStatus: 403 });
    expect(world.reflector.status().synced).toBe(true);
    await world.time.advance(30_000);
    expect(world.reflector.status().lastError).toBeNull();
    expect(world.server.count('list')).toBe(1);
    world.stop.abort();
    await done;
  });

  test('429: not before the time that the server gave, and then not all at the same instant', async () => {
    const world = aWorld();
    world.server.faults = [apiError(429, 'TooManyRequests', 7_000)];
    void world.reflector.run(world.stop.signal);
    await world.time.advance(7_599);
    expect(world.server.requests).toHaveLength(1);
    await world.time.advance(1);
    expect(requests(world.server)).toEqual(['0: list 0', '7.6: list 0', '7.6: watch 1002']);
  });

  test('a list without an answer is given up after 60 s, also when it does not listen', async () => {
    const world = aWorld();
    world.server.faults = ['hang', 'deaf'];
    void world.reflector.run(world.stop.signal);
    await world.time.advance(60_600);
    expect(world.server.requests).toHaveLength(2);
    expect(world.reflector.status().lastError?.message).toBe('no answer within 60000 ms');
    await world.time.advance(61_200);
    expect(world.reflector.status().synced).toBe(true);
  });

  test('a page token that expired: the list begins anew', async () => {
    const world = aWorld({ pageSize: 1 });
    const list = world.server.list.bind(world.server);
    let expired = false;
    world.server.list = (resource, options) => {
      if (options.continueToken === undefined || expired) return list(resource, options);
      expired = true;
      return Promise.reject(apiError(410, 'Expired'));
    };
    void world.reflector.run(world.stop.signal);
    await world.time.advance(5_000);
    expect(world.reflector.store.keys()).toEqual(['a', 'b']);
    expect(expired).toBe(true);
  });

  test('a server that closes each watch at once is not flooded: at the end one request in 15 to 30 s', async () => {
    const { time, server } = await started({}, 0);
    server.quickCloses = Infinity;
    server.close();
    await time.advance(600_000);
    const early = server.count('watch');
    await time.advance(600_000);
    expect(early).toBeLessThanOrEqual(46);
    expect(server.count('watch') - early).toBeLessThanOrEqual(40);
    expect(server.count('list')).toBe(1);
  });

  test('a server that forgets at once what it listed is not flooded either', async () => {
    const { time, server } = await started({}, 0);
    server.faults = Array.from({ length: 1000 }, (_, index) =>
      index % 2 === 0 ? apiError(410, 'Expired') : new KubeUnreachable('reset'),
    );
    server.expire();
    await time.advance(600_000);
    expect(server.requests.length).toBeLessThanOrEqual(50);
  });

  test('an unreachable server is back: the first success is the end of all waiting, and nothing was lost', async () => {
    const { time, server, reflector, told } = await started();
    await time.advance(60_000);
    server.faults = Array<Fault>(12).fill(new KubeUnreachable('refused'));
    server.cut();
    server.put('a');
    server.put('c');
    await time.advance(400_000);
    expect(versions(reflector)).toEqual({ a: '1003', b: '1002', c: '1004' });
    expect(told).toEqual(['a', 'b', 'a', 'c']);
    expect(server.count('list')).toBe(1);
  });
});

describe('start and stop', () => {
  test('whenSynced: true after the first list, false when given up before', async () => {
    const world = aWorld();
    world.server.faults = ['hang'];
    const patience = new AbortController();
    const answers: boolean[] = [];
    void world.reflector.whenSynced(patience.signal).then((synced) => answers.push(synced));
    void world.reflector.whenSynced(world.stop.signal).then((synced) => answers.push(synced));
    void world.reflector.run(world.stop.signal);
    await world.time.rest();
    patience.abort();
    await world.time.rest();
    expect(answers).toEqual([false]);
    await world.time.advance(61_000);
    expect(answers).toEqual([false, true]);
    expect(await world.reflector.whenSynced(world.stop.signal)).toBe(true);
  });

  test.each<[string, (server: ScriptedServer) => void]>([
    ['listing', (server) => (server.faults = ['hang'])],
    ['listing, stuck', (server) => (server.faults = ['deaf'])],
    ['waiting after an error', (server) => (server.faults = [apiError(500, 'InternalError')])],
    ['watching', () => undefined],
    ['opening a watch', (server) => (server.faults = ['none', 'hang'])],
    ['opening a watch, stuck', (server) => (server.faults = ['none', 'deaf'])],
  ])('ends when told to while %s', async (_name, prepare) => {
    const world = aWorld();
    prepare(world.server);
    let ended = false;
    void world.reflector.run(world.stop.signal).then(() => {
      ended = true;
    });
    await world.time.advance(100);
    expect(ended).toBe(false);
    world.stop.abort();
    await world.time.rest();
    expect(ended).toBe(true);
    const asked = world.server.requests.length;
    await world.time.advance(3_600_000);
    expect(world.server.requests).toHaveLength(asked);
  });

  test('who subscribes late is told of all that is there; who ended is told nothing more', async () => {
    const { time, server, reflector } = await started();
    const late: string[] = [];
    const end = reflector.subscribe(({ key, before }) => {
      late.push(`${key} ${before === null ? 'new' : 'changed'}`);
    });
    server.put('a');
    await time.rest();
    end();
    server.put('b');
    await time.rest();
    expect(late).toEqual(['a new', 'b new', 'a changed']);
  });

  test('metrics tell lists, ends of watches, and what is held', async () => {
    const { time, server, metrics } = await started();
    server.put('c');
    await time.advance(40_000);
    server.cut();
    await time.advance(1_000);
    expect(metrics.calls).toEqual([
      'listed widgets success',
      'objects widgets 2',
      'objects widgets 3',
      'watched widgets failed',
    ]);
  });
});
