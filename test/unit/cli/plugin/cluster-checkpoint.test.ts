import { describe, expect, test } from '@jest/globals';
import { CHECKPOINT_REQUESTS } from '../../../../src/api/kube-resources.ts';
import { atRest } from '../../../fakes/fake-clock.ts';
import {
  COMPLETE,
  condition,
  NAME,
  pluginWorld,
  QUEUED,
  RUNNING,
  SHOWN_NAME,
  SUCCEEDED_APP,
} from './plugin-fixture.ts';

const REF = { namespace: 'shop', name: NAME };
const FOLLOW = `follow it with "kubectl -n shop get ${SHOWN_NAME} --watch", or call it off with "kubectl -n shop delete ${SHOWN_NAME}"`;
const RESULT = `CONTAINER  RESULT     REASON  DURATION  SIZE      NODE  ARCHIVE
app        Succeeded  -       0.61 s    45.3 MiB  n7    /archives/app.tar`;

const failure = (message: string, exitCode = 1) =>
  expect.objectContaining({ name: 'CommandFailure', exitCode, message });

describe('without --wait: created, and back at once', () => {
  test('a table: as kubectl create says it', async () => {
    const world = pluginWorld();
    expect(await world.start({ wait: null, containerNames: ['app'] })).toBe(0);
    expect([world.prints, world.notes]).toEqual([[`${SHOWN_NAME} created`], []]);
    expect(world.request()).toMatchObject({ spec: { podName: 'web-0', containerNames: ['app'] } });
    expect(world.kube.calls.map(({ verb, outcome }) => [verb, outcome])).toEqual([['create', 'Ok']]);
  });

  test('name', async () => {
    const world = pluginWorld();
    expect(await world.start({ wait: null, format: 'name' })).toBe(0);
    expect([world.prints, world.notes]).toEqual([[SHOWN_NAME], []]);
  });

  test('json: the object of the API, without the managers of its fields', async () => {
    const world = pluginWorld();
    expect(await world.start({ wait: null, format: 'json' })).toBe(0);
    expect(world.prints).toEqual([
      expect.objectContaining({
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointRequest',
        spec: { podName: 'web-0' },
      }),
    ]);
    const { metadata } = world.prints[0] as { metadata: object };
    expect(metadata).toMatchObject({ ...REF, uid: expect.any(String), resourceVersion: expect.any(String) });
    expect(metadata).not.toHaveProperty('managedFields');
  });
});

describe('--wait', () => {
  test('each change once on standard error, the result on standard output', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    await world.setStatus(QUEUED);
    await world.setStatus({ observedGeneration: 1 });
    await world.setStatus({ ...QUEUED, summary: 'Queued (1)', queuePosition: 1 });
    await world.setStatus(RUNNING);
    await world.setStatus({ containers: [SUCCEEDED_APP] });
    await world.setStatus(COMPLETE);
    expect(await code).toBe(0);
    expect(world.notes).toEqual([
      `${SHOWN_NAME} created`,
      'Queued (3) on n7',
      'Queued (1) on n7',
      'Running on n7',
      'app: Succeeded in 0.61 s, 45.3 MiB',
      'Complete',
    ]);
    expect(world.prints).toEqual([RESULT]);
    expect(world.kube.watchCount()).toBe(0);
  });

  test('json: nothing but the finished object on standard output', async () => {
    const world = pluginWorld();
    const code = world.start({ format: 'json' });
    await atRest();
    await world.setStatus(COMPLETE);
    expect(await code).toBe(0);
    expect(world.prints).toEqual([
      expect.objectContaining({ status: expect.objectContaining({ summary: 'Complete' }) }),
    ]);
  });

  test('name: on standard output as soon as there is one', async () => {
    const world = pluginWorld();
    const code = world.start({ format: 'name' });
    await atRest();
    expect(world.prints).toEqual([SHOWN_NAME]);
    await world.setStatus(COMPLETE);
    expect(await code).toBe(0);
    expect(world.prints).toEqual([SHOWN_NAME]);
  });

  test('a container failed: its file, its numbers and what to do; exit 1', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    await world.setStatus({
      summary: 'Failed',
      nodeName: 'n7',
      conditions: [condition('Failed', { reason: 'GhostLimitExceeded', message: 'netty: too large' })],
      containers: [
        SUCCEEDED_APP,
        {
          name: 'netty',
          result: 'Failed',
          reason: 'GhostLimitExceeded',
          message: 'a deleted file is larger than the limit',
          hint: 'raise the limit to 3Mi',
          durationSeconds: 12.34,
          ghostFile: { path: '/tmp/libnetty.so', bytes: 2_797_568 },
          requiredGhostLimitBytes: 2_797_568,
          attempts: 1,
        },
      ],
    });
    expect(await code).toBe(1);
    expect(world.notes.slice(1)).toEqual([
      'app: Succeeded in 0.61 s, 45.3 MiB',
      'netty: Failed: GhostLimitExceeded in 12.3 s',
      'Failed: GhostLimitExceeded',
    ]);
    expect(world.prints).toEqual([
      `CONTAINER  RESULT     REASON              DURATION  SIZE      NODE  ARCHIVE
app        Succeeded  -                   0.61 s    45.3 MiB  n7    /archives/app.tar
netty      Failed     GhostLimitExceeded  12.3 s    -         n7    -

netty: Failed: GhostLimitExceeded: a deleted file is larger than the limit
  ghost file: /tmp/libnetty.so, 2797568 bytes (2.7 MiB)
  smallest limit that would do: 2797568
  what to do: raise the limit to 3Mi`,
    ]);
  });

  test.each([
    ['said by the request', { hint: 'name another' }, 'name another'],
    ['of the registry, of an older controller', {}, 'Name a running container.'],
  ])('refused by the controller: reason, message, and what to do once, %s; exit 1', async (_, more, hint) => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    const failed = condition('Failed', {
      reason: 'ContainerNotRunning',
      message: 'the pod web-0 has no container "app"',
    });
    await world.setStatus({ summary: 'Failed', conditions: [failed], ...more });
    expect(await code).toBe(1);
    expect(world.prints).toEqual([
      `Failed: ContainerNotRunning: the pod web-0 has no container "app"\n  what to do: ${hint}`,
    ]);
  });

  test.each([
    ['the request was not started in time', { reason: 'DeadlineExceeded' }, []],
    [
      'a container was not through in time, beside another failure',
      { reason: 'NoSpace' },
      [
        { name: 'app', result: 'Failed', reason: 'NoSpace', attempts: 1 },
        { name: 'proxy', result: 'Failed', reason: 'TimedOut', attempts: 1 },
      ],
    ],
  ])('%s: exit 124, as on a host', async (_, failed, containers) => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    await world.setStatus({ conditions: [condition('Failed', failed)], containers });
    expect(await code).toBe(124);
  });

  test('a status that a newer version wrote, with results that we do not know: its end is seen all the same', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    const failed = condition('Failed', { reason: 'SomethingNew', message: 'it did not work' });
    await world.setStatus({ conditions: [failed], containers: [{ name: 'app', result: 'Postponed' }] });
    expect(await code).toBe(1);
    expect(world.prints).toEqual(['Failed: SomethingNew: it did not work']);
  });

  test('texts of the cluster cannot play with the terminal', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    const failed = condition('Failed', { reason: 'NoSpace', message: 'a\u001b[2J \\x1b escaped already' });
    await world.setStatus({ conditions: [failed] });
    expect(await code).toBe(1);
    expect(world.prints[0]).toContain('Failed: NoSpace: a\\x1b[2J \\x1b escaped already\n');
  });

  test('nobody takes it up: said once after 5 s, with where to look', async () => {
    const world = pluginWorld();
    const code = world.start();
    await world.clock.advance(60_000);
    expect(world.notes).toEqual([
      `${SHOWN_NAME} created`,
      'nobody has taken the request up for 5 s: see whether the controller runs with "kubectl get pods -n ghostlimit-system"',
    ]);
    await world.setStatus(COMPLETE);
    expect(await code).toBe(0);
  });

  test('taken up in time: nothing of that', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    await world.setStatus(QUEUED);
    await world.clock.advance(60_000);
    expect(world.notes).toEqual([`${SHOWN_NAME} created`, 'Queued (3) on n7']);
    world.interrupt();
    await code;
  });
});

describe('the end of waiting is not the end of the request', () => {
  test('--timeout: exit 124, and how it goes on', async () => {
    const world = pluginWorld();
    const code = world.start({ wait: { timeoutMs: 90_000 } });
    await atRest();
    await world.setStatus(QUEUED);
    await world.clock.advance(89_999);
    expect(world.notes).toHaveLength(2);
    await world.clock.advance(1);
    expect(await code).toBe(124);
    expect(world.notes.slice(2)).toEqual([
      `ghostlimit: timed out after 90 s: ${SHOWN_NAME} goes on (Queued (3)): ${FOLLOW}`,
    ]);
    expect([world.prints, world.kube.watchCount()]).toEqual([[], 0]);
    expect(world.request()?.metadata.deletionTimestamp).toBeUndefined();
  });

  test('--timeout with json: the object as it was last', async () => {
    const world = pluginWorld();
    const code = world.start({ wait: { timeoutMs: 1000 }, format: 'json' });
    await atRest();
    await world.setStatus(RUNNING);
    await world.clock.advance(1000);
    expect(await code).toBe(124);
    expect(world.prints).toEqual([
      expect.objectContaining({ status: expect.objectContaining({ summary: 'Running' }) }),
    ]);
  });

  test('--timeout while the server is away', async () => {
    const world = pluginWorld();
    const code = world.start({ wait: { timeoutMs: 90_000 } });
    await atRest();
    world.kube.goDown();
    await world.clock.advance(90_000);
    expect(await code).toBe(124);
  });

  test('Ctrl-C: says that it goes on', async () => {
    const world = pluginWorld();
    const code = world.start({ wait: { timeoutMs: 90_000 } });
    await atRest();
    await world.setStatus(RUNNING);
    world.interrupt();
    expect(await code).toBe(1);
    expect(world.notes.slice(2)).toEqual([
      `ghostlimit: no longer waiting: ${SHOWN_NAME} goes on (Running): ${FOLLOW}`,
    ]);
    expect(world.request()).not.toBeNull();
    expect(world.kube.callsOf({ verb: 'delete' })).toEqual([]);
  });

  test('Ctrl-C before the server has answered: the request may be there', async () => {
    const world = pluginWorld();
    world.kube.faults.next({ verb: 'create' }, { kind: 'delay', ms: 10_000 });
    const code = world.start();
    await atRest();
    world.interrupt();
    expect(await code).toEqual(
      failure(
        'interrupted before the API server had answered: the request may be there; see "kubectl -n shop get checkpointrequests"',
      ),
    );
  });

  test('deleted by somebody: exit 1', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    await world.setStatus(QUEUED);
    await world.kube.direct.delete(CHECKPOINT_REQUESTS, REF);
    expect(await code).toBe(1);
    expect(world.notes.slice(2)).toEqual([
      `ghostlimit: ${SHOWN_NAME} was deleted before it was finished (Queued (3)): what came of it is not known`,
    ]);
    expect(world.prints).toEqual([]);
  });

  test('being deleted, and finished before it went: the result counts', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    const patch = { metadata: { finalizers: ['ghostlimit.dev/cleanup'] } };
    await world.kube.direct.mergePatch(CHECKPOINT_REQUESTS, REF, patch, { fieldManager: 'controller' });
    await world.setStatus(RUNNING);
    await world.kube.direct.delete(CHECKPOINT_REQUESTS, REF);
    await atRest();
    await world.setStatus(COMPLETE);
    expect(await code).toBe(0);
    expect(world.notes.slice(1)).toEqual([
      'Running on n7',
      'Being deleted on n7',
      'app: Succeeded in 0.61 s, 45.3 MiB',
      'Complete',
    ]);
  });
});

describe('a watch that is lost', () => {
  test('cut: told once, listed again, and what happened meanwhile is seen', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    await world.setStatus(QUEUED);
    world.kube.goDown();
    await world.setStatus(RUNNING);
    await world.clock.advance(30_000);
    expect(world.notes.slice(2)).toEqual([
      'the request cannot be seen (the watch was cut): still trying; it goes on',
    ]);
    world.kube.comeUp();
    await world.clock.advance(5000);
    expect(world.notes.slice(3)).toEqual(['Running on n7']);
    await world.setStatus(COMPLETE);
    expect(await code).toBe(0);
    expect(world.prints).toEqual([RESULT]);
  });

  test.each<[string, (world: ReturnType<typeof pluginWorld>) => void]>([
    [
      'ended by the server',
      ({ kube }) => {
        kube.endWatches();
      },
    ],
    [
      'too old to go on (410)',
      ({ kube }) => {
        kube.faults.next({ verb: 'watch' }, { kind: 'status', status: 410 }, 2);
        kube.endWatches();
      },
    ],
  ])('%s: nothing to tell, and nothing missed', async (_sentence, lose) => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    lose(world);
    await world.setStatus(COMPLETE);
    await world.clock.advance(5000);
    expect(await code).toBe(0);
    expect(world.notes.slice(1)).toEqual(['app: Succeeded in 0.61 s, 45.3 MiB', 'Complete']);
  });

  test('finished before the watch was there at all', async () => {
    const world = pluginWorld();
    world.kube.faults.next({ verb: 'watch' }, { kind: 'unreachable' });
    const code = world.start();
    await atRest();
    await world.setStatus(COMPLETE);
    await world.clock.advance(1000);
    expect(await code).toBe(0);
  });

  test('gone meanwhile, and another of the same name there: exit 1', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    world.kube.goDown();
    const created = world.request();
    await world.kube.direct.delete(CHECKPOINT_REQUESTS, REF);
    await world.kube.direct.create(CHECKPOINT_REQUESTS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointRequest',
      metadata: REF,
      spec: { podName: 'web-0' },
    });
    await world.setStatus(COMPLETE);
    expect(world.request()?.metadata.uid).not.toBe(created?.metadata.uid);
    world.kube.comeUp();
    await world.clock.advance(1000);
    expect(await code).toBe(1);
    expect(world.notes.at(-1)).toContain('was deleted before it was finished (Waiting)');
  });

  test('a server that ends each watch at once is not asked more than every 5 s', async () => {
    const world = pluginWorld();
    const stop = setInterval(() => {
      world.kube.endWatches();
    }, 0);
    const code = world.start();
    await world.clock.advance(600_000);
    clearInterval(stop);
    world.interrupt();
    await code;
    expect(world.kube.callsOf({ verb: 'list' }).length).toBeLessThan(130);
  });

  test('a busy server says when to come back', async () => {
    const world = pluginWorld();
    world.kube.faults.next({ verb: 'watch' }, { kind: 'status', status: 429, retryAfterMs: 20_000 });
    const code = world.start();
    await world.clock.advance(19_999);
    expect(world.kube.callsOf({ verb: 'list' })).toEqual([]);
    await world.clock.advance(1);
    expect(world.kube.callsOf({ verb: 'list' })).toHaveLength(1);
    world.interrupt();
    await code;
  });

  test('a server that has just started knows no roles for a while: still followed', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    world.kube.faults.next({ verb: 'list' }, { kind: 'status', status: 403 }, 3);
    world.kube.faults.next({ verb: 'list' }, { kind: 'status', status: 404 }, 1);
    world.kube.cutWatches();
    await world.setStatus(COMPLETE);
    await world.clock.advance(20_000);
    expect(await code).toBe(0);
    expect(world.notes.slice(1)).toEqual([
      'the request cannot be seen (the watch was cut): still trying; it goes on',
      'app: Succeeded in 0.61 s, 45.3 MiB',
      'Complete',
    ]);
  });

  test('a right that is taken away: believed after half a minute', async () => {
    const world = pluginWorld();
    const code = world.start();
    await atRest();
    world.kube.faults.sometimes({ verb: 'list' }, 1, [{ kind: 'status', status: 403 }]);
    world.kube.endWatches();
    await world.clock.advance(29_000);
    expect(world.notes.slice(1)).toEqual([
      expect.stringMatching(/^the request cannot be seen \(the fake server answers 403\)/),
    ]);
    await world.clock.advance(10_000);
    expect(await code).toMatchObject({
      name: 'CommandFailure',
      exitCode: 1,
      message: expect.stringContaining('cannot be waited for: the fake server answers 403'),
    });
  });

  test('no right to look: the request goes on, and what to do', async () => {
    const world = pluginWorld();
    const rule = { apiGroups: ['ghostlimit.dev'], resources: ['checkpointrequests'], verbs: ['create'] };
    const jane = world.kube.asUser('jane', [{ rules: [rule], namespace: 'shop' }]);
    const error = (await world.start({}, jane)) as Error;
    expect(error).toMatchObject({ name: 'CommandFailure', exitCode: 1 });
    expect(error.message).toMatch(
      new RegExp(
        `^${SHOWN_NAME} was created and goes on, but cannot be waited for: .*: have get, list and watch of checkpointrequests granted .*or leave --wait out; see kubectl -n shop get ${SHOWN_NAME}$`,
      ),
    );
    expect(world.request()).not.toBeNull();
  });
});
