// The kubelet's adapter against a scripted HTTPS server: what a healthy real kubelet never does, and its time-outs without waiting for them.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeletRuntime, type KubeletPlace } from '../../../../src/adapters/runtimes/kubelet-runtime.ts';
import { PodViewSchema, type PodView } from '../../../../src/api/core-views.ts';
import { classifyFailure } from '../../../../src/domain/checkpoint/classify-failure.ts';
import {
  RuntimeCheckpointError,
  RuntimeUnavailable,
  type CheckpointArchive,
  type RuntimeContainer,
} from '../../../../src/ports/container-runtime.ts';
import { CommandNotFound } from '../../../../src/ports/process-runner.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';
import { startHttpsServer, type Answer, type HttpsServer } from '../kube/https-server.ts';
import { selfSigned } from '../kube/self-signed.ts';
import { fakeNodeRoot, type FakeNodeRoot } from './fake-node-root.ts';

const ID = 'a1'.repeat(32);
const ARCHIVE = '/var/lib/kubelet/checkpoints/checkpoint-p_shop-app-2026-11-23T10:00:00Z.tar';
const FREEZER = `sys/fs/cgroup/freezer/kubepods/pod1/${ID}/freezer.state`;
const CERTIFICATE = 'var/lib/kubelet/pki/kubelet.crt';
const PATH = '/checkpoint/shop/p/app?timeout=1';

const podOf = (id: string): PodView =>
  PodViewSchema.parse({
    metadata: { name: 'p', namespace: 'shop', uid: 'u1', labels: { app: 'checkout' } },
    spec: { nodeName: 'node1', containers: [{ name: 'app' }] },
    status: { phase: 'Running', containerStatuses: [{ name: 'app', containerID: `containerd://${id}` }] },
  });

let root: FakeNodeRoot;
let clock: FakeClock;
let server: HttpsServer;
let answer: Answer;
let pods: PodView[];

beforeEach(async () => {
  root = fakeNodeRoot();
  clock = new FakeClock();
  pods = [podOf(ID)];
  const certificate = selfSigned('localhost');
  server = await startHttpsServer({
    certificate,
    onlyHttp1: true,
    answer: (request, response) => {
      answer(request, response);
    },
  });
  answer = (_, response) => {
    root.write(ARCHIVE, 'archive');
    response.writeHead(200).end(JSON.stringify({ items: [ARCHIVE] }));
  };
  root.write(CERTIFICATE, certificate.cert);
  root.write('token', 'first\n');
  root.write(FREEZER, 'THAWED\n');
  root.process(900, { cgroup: `4:freezer:/kubepods/pod1/${ID}\n` });
});
afterEach(async () => {
  await server.close();
  root.dispose();
});

const runtimeWith = (kubelet: Partial<KubeletPlace> = {}): KubeletRuntime =>
  new KubeletRuntime({
    kubelet: {
      address: '127.0.0.1',
      port: server.port,
      nodeName: 'node1',
      rootDirectory: '/var/lib/kubelet',
      caFile: null,
      clusterCaFile: join(root.path, 'cluster-ca.crt'),
      tokenFile: join(root.path, 'token'),
      ...kubelet,
    },
    nodePods: { pods: () => pods, watch: () => undefined },
    hostRoot: root.path,
    procRoot: root.procRoot,
    runner: { run: (command) => Promise.reject(new CommandNotFound(command)) },
    clock,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });

const only = async (runtime: KubeletRuntime): Promise<RuntimeContainer> => {
  const [container] = await runtime.list();
  if (container === undefined) throw new Error('no container');
  return container;
};
const take = async (runtime: KubeletRuntime, timeoutMs = 1000): Promise<CheckpointArchive> =>
  await runtime.checkpoint({
    container: await only(runtime),
    checkpointName: 'c1',
    archiveDirectory: '/archives',
    timeoutMs,
  });
const failed = async (attempt: Promise<unknown>): Promise<RuntimeCheckpointError> => {
  const error: unknown = await attempt.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof RuntimeCheckpointError) return error;
  throw error;
};
const until = async (holds: () => boolean): Promise<void> => {
  const giveUpAt = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > giveUpAt) throw new Error('waited 20 s in vain');
    await sleep(5);
  }
};
/** Lets the clock run, a tenth of a second at a time, until it is settled. */
const runClockUntil = async (attempt: Promise<unknown>): Promise<void> => {
  const state = { settled: false };
  const end = (): void => {
    state.settled = true;
  };
  attempt.then(end, end);
  const giveUpAt = Date.now() + 20_000;
  while (!state.settled) {
    if (Date.now() > giveUpAt) throw new Error('not settled after 20 s');
    await clock.advance(100);
    await sleep(1);
  }
};
const refuse =
  (status: number, body: string): Answer =>
  (_, response) => {
    response.writeHead(status).end(body);
  };

test('containers are those of the pods, with the labels that the CRI gives, and their processes', async () => {
  expect(await runtimeWith().list()).toEqual([
    {
      runtime: 'kubelet',
      id: ID,
      name: 'app',
      state: 'Running',
      pid: 900,
      labels: {
        app: 'checkout',
        'io.kubernetes.pod.name': 'p',
        'io.kubernetes.pod.namespace': 'shop',
        'io.kubernetes.pod.uid': 'u1',
        'io.kubernetes.container.name': 'app',
      },
      criuConfigAnnotation: null,
    },
  ]);
});

describe('the call', () => {
  test('is one POST on a connection of its own, with the token as the file has it now', async () => {
    const runtime = runtimeWith();
    expect(await take(runtime)).toEqual({ path: ARCHIVE, sizeBytes: 7 });
    root.write('token', 'second\n');
    const second = take(runtime);
    await runClockUntil(second);
    await second;
    expect(
      server.requests.map(({ method, url, headers, body }) => [method, url, headers.authorization, body]),
    ).toEqual([
      ['POST', PATH, 'Bearer first', ''],
      ['POST', PATH, 'Bearer second', ''],
    ]);
    expect(server.requests[0]?.headers.connection).toBe('close');
    expect(server.connections()).toBe(2);
  });

  test('a second one of the same container waits until the name of the archive is another', async () => {
    const runtime = runtimeWith();
    await take(runtime);
    const second = take(runtime);
    await clock.advance(1_099);
    expect(server.requests).toHaveLength(1);
    await runClockUntil(second);
    expect(server.requests).toHaveLength(2);
  });

  test('is not made for a container that was started anew, or whose pod is another one now', async () => {
    const runtime = runtimeWith();
    const container = await only(runtime);
    pods = [podOf('b2'.repeat(32))];
    const error = await failed(
      runtime.checkpoint({ container, checkpointName: 'c', archiveDirectory: '/a', timeoutMs: 1000 }),
    );
    expect(classifyFailure({ runtimeError: error.message, dumpLog: null, timedOut: false }).reason).toBe(
      'ContainerNotRunning',
    );
    expect(server.requests).toEqual([]);
  });
});

describe('the certificate', () => {
  test('that the kubelet made anew at a restart is verified by the file as it is then', async () => {
    const runtime = runtimeWith();
    await take(runtime);
    const next = selfSigned('localhost');
    server.useCertificate(next);
    expect((await runtime.probe()).obstacles[0]?.message).toMatch(
      /cannot be verified: .*\/var\/lib\/kubelet\/pki\/kubelet\.crt/,
    );
    root.write(CERTIFICATE, next.cert);
    const again = take(runtime);
    await runClockUntil(again);
    expect(await again).toMatchObject({ path: ARCHIVE });
  });

  test('is looked for in the root directory of the kubelet', async () => {
    root.write('data/kubelet/pki/kubelet.crt', selfSigned('other').cert);
    const { obstacles } = await runtimeWith({ rootDirectory: '/data/kubelet' }).probe();
    expect(obstacles[0]?.message).toMatch(/cannot be verified: .*\/data\/kubelet\/pki\/kubelet\.crt/);
  });

  test('for another host is refused, whoever signed it, and nothing is sent', async () => {
    // It is for localhost and 127.0.0.1: this way to write the address is neither, and node1 is not in it.
    const runtime = runtimeWith({ address: '::ffff:127.0.0.1', caFile: join(root.path, CERTIFICATE) });
    await expect(take(runtime)).rejects.toThrow('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(server.requests).toEqual([]);
  });

  test('is never left unverified, whatever the environment says', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      root.write('other.crt', selfSigned('other').cert);
      await expect(take(runtimeWith({ caFile: join(root.path, 'other.crt') }))).rejects.toThrow(
        RuntimeUnavailable,
      );
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
    expect(server.requests).toEqual([]);
  });
});

describe('after the time', () => {
  test('the request is not broken off before the kubelet ends it; a late archive is removed', async () => {
    let reply = (): void => undefined;
    answer = (_, response) => {
      reply = () => {
        root.write(ARCHIVE, 'late');
        response.writeHead(200).end(JSON.stringify({ items: [ARCHIVE] }));
      };
    };
    const attempt = failed(take(runtimeWith()));
    await until(() => server.requests.length === 1);
    await clock.advance(119_000);
    reply();
    const error = await attempt;
    expect([error.timedOut, error.message]).toEqual([true, 'no checkpoint within 1000 ms']);
    expect(existsSync(join(root.path, ARCHIVE))).toBe(false);
  });

  test('a kubelet that never ends it is given up, and the promise settles when the container is thawed', async () => {
    answer = () => undefined;
    const attempt = failed(take(runtimeWith()));
    await until(() => server.requests.length === 1);
    writeFileSync(join(root.path, FREEZER), 'FROZEN\n');
    let settled = false;
    void attempt.finally(() => {
      settled = true;
    });
    await clock.advance(150_000);
    for (let turn = 0; turn < 20; turn += 1) {
      await clock.advance(100);
      await sleep(1);
    }
    expect(settled).toBe(false);
    writeFileSync(join(root.path, FREEZER), 'THAWED\n');
    await runClockUntil(attempt);
    const { timedOut, message } = await attempt;
    expect([timedOut, message]).toEqual([true, 'kubelet broke off: no answer within 150 s']);
  });

  test("the kubelet's own time-out is one", async () => {
    answer = refuse(
      500,
      'checkpointing of shop/p/app failed (rpc error: code = DeadlineExceeded desc = context deadline exceeded)',
    );
    expect((await failed(take(runtimeWith()))).timedOut).toBe(true);
  });
});

test('a container that stays frozen does not hold the agent for ever', async () => {
  root.write(FREEZER, 'FROZEN\n');
  answer = refuse(500, 'checkpointing of shop/p/app failed (rpc error: code = Unknown desc = x)');
  const attempt = failed(take(runtimeWith()));
  await runClockUntil(attempt);
  expect((await attempt).timedOut).toBe(false);
});

test('a connection that breaks in the middle is no statement about the container', async () => {
  answer = () => {
    server.cut();
  };
  const error = await failed(take(runtimeWith()));
  expect(classifyFailure({ runtimeError: error.message, dumpLog: null, timedOut: false }).reason).toBe(
    'RuntimeUnavailable',
  );
});

test.each([
  ['no JSON', 'done'],
  ['no item', '{"items":[]}'],
  ['no absolute path', '{"items":["../x.tar"]}'],
  ['an archive that is not there', '{"items":["/var/lib/kubelet/checkpoints/gone.tar"]}'],
])('200 with %s is a failure', async (_, body) => {
  answer = refuse(200, body);
  expect((await failed(take(runtimeWith()))).message).toMatch(
    /^kubelet answered 200|^the archive that the kubelet made: ENOENT/,
  );
});

test('what containerd 1.7 refuses stays known until a checkpoint works, as a probe cannot see it', async () => {
  const works = answer;
  answer = refuse(
    500,
    'checkpointing of shop/p/app failed (rpc error: code = Unimplemented desc = method CheckpointContainer not implemented)',
  );
  const runtime = runtimeWith();
  const error = await failed(take(runtime));
  expect(classifyFailure({ runtimeError: error.message, dumpLog: null, timedOut: false }).reason).toBe(
    'RuntimeUnsupported',
  );
  const nobody = refuse(404, 'pod does not exist');
  answer = nobody;
  expect((await runtime.probe()).obstacles.map(({ reason }) => reason)).toEqual(['RuntimeUnsupported']);
  answer = works;
  const second = take(runtime);
  await runClockUntil(second);
  await second;
  answer = nobody;
  expect((await runtime.probe()).obstacles).toEqual([]);
});

test('a kubelet that is not there is an obstacle, not a missing runtime: the pods are known all the same', async () => {
  const { port } = server;
  await server.close();
  const runtime = runtimeWith({ port });
  expect((await runtime.probe()).obstacles).toMatchObject([
    {
      reason: 'RuntimeUnavailable',
      message: expect.stringMatching(/^The kubelet does not answer: .*ECONNREFUSED/),
    },
  ]);
  expect(await runtime.list()).toHaveLength(1);
  await expect(take(runtime)).rejects.toThrow(RuntimeUnavailable);
});

test('a container that ended in the middle is told so, whatever the runtime stumbled over', async () => {
  answer = (_, response) => {
    root.remove('proc/900');
    refuse(500, 'checkpointing of shop/p/app failed (rpc error: code = Unknown desc = ttrpc: closed)')(
      _,
      response,
    );
  };
  const { message, timedOut, dumpLog } = await failed(take(runtimeWith()));
  expect(dumpLog).toBeNull();
  expect(classifyFailure({ runtimeError: message, dumpLog: null, timedOut }).reason).toBe(
    'ContainerNotRunning',
  );
});
