// Docker's adapter against a scripted engine on a unix socket: what a healthy real one never does.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../../src/adapters/clock/system-clock.ts';
import { DockerRuntime } from '../../../../src/adapters/runtimes/docker-runtime.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../../../src/ports/container-runtime.ts';
import type { Log } from '../../../../src/ports/log.ts';

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const ID = 'a'.repeat(64);

type Answer = (response: ServerResponse, request: IncomingMessage) => void;
const json =
  (value: unknown, status = 200): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
const broken: Answer = (response) => {
  response.destroy();
};

let folder: string;
let server: Server;
let asked: string[];
let answers: Record<string, Answer>;
let runtime: DockerRuntime;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gl-docker-'));
  asked = [];
  answers = {
    'GET /version': json({ Version: '28.5.2', ApiVersion: '1.51', MinAPIVersion: '1.24', Components: null }),
    'GET /v1.51/info': json({
      ExperimentalBuild: true,
      DockerRootDir: '/var/lib/docker',
      DefaultRuntime: 'crun',
    }),
  };
  server = createServer((request, response) => {
    const what = `${request.method ?? ''} ${request.url ?? ''}`;
    asked.push(what);
    (answers[what] ?? json({ message: `nothing at ${what}` }, 404))(response, request);
  });
  const socketPath = join(folder, 'docker.sock');
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  runtime = new DockerRuntime({
    socketPath,
    hostRoot: folder,
    procRoot: folder,
    clock: systemClock,
    log: silent,
  });
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const inspected = (state: string, pid: number): unknown => ({
  Id: ID,
  Name: '/web',
  State: { Status: state, Pid: pid, Extra: [1] },
  Config: { Labels: null },
  HostConfig: { Annotations: { 'org.criu.config': '/etc/criu/web.conf' } },
});
const listed = (state: string): unknown => [
  { Id: ID, Names: ['/other/alias', '/web'], State: state, Labels: { a: 'b' } },
];
const setProcess = (pid: number, startTicks: number): void => {
  mkdirSync(join(folder, pid.toString()), { recursive: true });
  writeFileSync(
    join(folder, pid.toString(), 'stat'),
    `${pid.toString()} (x) ${'0 '.repeat(19)}${startTicks.toString()} 0\n`,
  );
};
const inspections = (): number => asked.filter((what) => what.endsWith(`/containers/${ID}/json`)).length;

describe('the version that is spoken', () => {
  test.each([
    ['an older engine', '1.44', '1.24', '1.44'],
    ['a newer engine', '1.99', '1.44', '1.51'],
    ['an engine that no longer speaks ours', '1.99', '1.60', '1.60'],
    ['an engine before minimum versions', '1.24', undefined, '1.24'],
  ])('%s', async (_, ApiVersion, MinAPIVersion, spoken) => {
    answers['GET /version'] = json({ Version: '1', ApiVersion, MinAPIVersion });
    answers[`GET /v${spoken}/info`] = json({ DockerRootDir: '/d' });
    const { obstacles, ociRuntime } = await runtime.probe();
    expect(asked).toEqual(['GET /version', `GET /v${spoken}/info`]);
    // Engines that do not say are not experimental.
    expect(obstacles.map(({ reason }) => reason)).toEqual(['FeatureGateOff']);
    expect(ociRuntime).toBeNull();
  });

  test('a runtime other than the engine knows by version is named alone', async () => {
    expect((await runtime.probe()).ociRuntime).toBe('crun');
  });
});

describe('an engine that answers nonsense', () => {
  test.each([
    ['no JSON', (response: ServerResponse) => response.end('<html>')],
    ['a missing field', json([{ Id: ID }])],
    ['an error', json({ message: 'the daemon is broken' }, 500)],
    ['half an answer', broken],
  ])('%s is RuntimeUnavailable', async (_, answer) => {
    answers['GET /v1.51/containers/json?all=true'] = answer;
    await expect(runtime.list()).rejects.toBeInstanceOf(RuntimeUnavailable);
  });

  test('is asked for its version again after it was away', async () => {
    answers['GET /v1.51/containers/json?all=true'] = broken;
    await expect(runtime.list()).rejects.toBeInstanceOf(RuntimeUnavailable);
    answers['GET /v1.51/containers/json?all=true'] = json([]);
    expect(await runtime.list()).toEqual([]);
    expect(asked.filter((what) => what === 'GET /version')).toHaveLength(2);
  });
});

describe('the list', () => {
  beforeEach(() => {
    answers['GET /v1.51/containers/json?all=true'] = json(listed('running'));
    answers[`GET /v1.51/containers/${ID}/json`] = json(inspected('running', 77));
    setProcess(77, 1000);
  });

  test('inspects a running container once, as long as the same process is its init', async () => {
    const first = await runtime.list();
    expect(first).toEqual([
      {
        runtime: 'docker',
        id: ID,
        name: 'web',
        state: 'Running',
        pid: 77,
        labels: {},
        criuConfigAnnotation: '/etc/criu/web.conf',
      },
    ]);
    expect(await runtime.list()).toEqual(first);
    expect(inspections()).toBe(1);

    answers['GET /v1.51/containers/json?all=true'] = json(listed('paused'));
    expect((await runtime.list())[0]?.state).toBe('Paused');
    expect(inspections()).toBe(1);

    // Restarted, and by chance the pid is the same.
    setProcess(77, 2000);
    await runtime.list();
    expect(inspections()).toBe(2);
  });

  test('leaves out what was removed while it was made', async () => {
    answers[`GET /v1.51/containers/${ID}/json`] = json({ message: 'No such container' }, 404);
    expect(await runtime.list()).toEqual([]);
  });
});

describe('an engine that breaks off a checkpoint', () => {
  const container = {
    runtime: 'docker',
    id: ID,
    name: 'web',
    state: 'Running',
    pid: null,
    labels: {},
    criuConfigAnnotation: null,
  } as const;
  const call = { container, checkpointName: 'c1', archiveDirectory: '/none', timeoutMs: 60_000 };
  const unpause = `POST /v1.51/containers/${ID}/unpause`;

  beforeEach(() => {
    answers[`POST /v1.51/containers/${ID}/checkpoints`] = broken;
    answers[unpause] = json(null, 204);
  });

  test('and left the container paused: it is unpaused, then the failure is told', async () => {
    answers[`GET /v1.51/containers/${ID}/json`] = json(inspected('paused', 77));
    await expect(runtime.checkpoint(call)).rejects.toBeInstanceOf(RuntimeCheckpointError);
    expect(asked).toContain(unpause);
  });

  test('of a container that was paused before: it stays so', async () => {
    answers[`GET /v1.51/containers/${ID}/json`] = json(inspected('paused', 77));
    const paused = { ...call, container: { ...container, state: 'Paused' as const } };
    await expect(runtime.checkpoint(paused)).rejects.toBeInstanceOf(RuntimeCheckpointError);
    expect(asked).not.toContain(unpause);
  });
});

describe('an engine that is not there', () => {
  test('fails a checkpoint at once: nothing was begun', async () => {
    const socketPath = join(folder, 'none.sock');
    const nobody = new DockerRuntime({
      socketPath,
      hostRoot: folder,
      procRoot: folder,
      clock: systemClock,
      log: silent,
    });
    const container = {
      runtime: 'docker',
      id: ID,
      name: 'web',
      state: 'Running',
      pid: 77,
      labels: {},
      criuConfigAnnotation: null,
    } as const;
    const attempt = nobody.checkpoint({
      container,
      checkpointName: 'c1',
      archiveDirectory: '/none',
      timeoutMs: 1000,
    });
    await expect(attempt).rejects.toBeInstanceOf(RuntimeCheckpointError);
    await expect(nobody.probe()).rejects.toBeInstanceOf(RuntimeUnavailable);
  });
});

describe('a late checkpoint', () => {
  test('is removed again', async () => {
    let nowMs = 0;
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const late = new DockerRuntime({
      socketPath: join(folder, 'docker.sock'),
      hostRoot: folder,
      procRoot: folder,
      clock,
      log: silent,
    });
    answers[`POST /v1.51/containers/${ID}/checkpoints`] = (response) => {
      nowMs += 1001;
      response.writeHead(201).end();
    };
    const removal = `DELETE /v1.51/containers/${ID}/checkpoints/c1`;
    answers[removal] = (response) => response.writeHead(204).end();
    const container = {
      runtime: 'docker',
      id: ID,
      name: 'web',
      state: 'Running',
      pid: 77,
      labels: {},
      criuConfigAnnotation: null,
    } as const;
    const attempt = late.checkpoint({
      container,
      checkpointName: 'c1',
      archiveDirectory: '/none',
      timeoutMs: 1000,
    });
    await expect(attempt).rejects.toMatchObject({ timedOut: true });
    expect(asked).toContain(removal);
  });
});
