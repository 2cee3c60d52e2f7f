// Podman's adapter against a scripted service on a unix socket: what a healthy real one never does.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../../src/adapters/clock/system-clock.ts';
import { PodmanRuntime } from '../../../../src/adapters/runtimes/podman-runtime.ts';
import { classifyFailure } from '../../../../src/domain/checkpoint/classify-failure.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../../../src/ports/container-runtime.ts';
import type { Log } from '../../../../src/ports/log.ts';
import { CommandNotFound } from '../../../../src/ports/process-runner.ts';

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const ID = 'a'.repeat(64);
const API = '/v4.0.0/libpod';
const STATIC = `/store/${ID}/userdata`;
const CREATE = `POST ${API}/containers/${ID}/checkpoint?leaveRunning=true&keep=true&export=false`;

type Answer = (response: ServerResponse) => void;
const json =
  (value: unknown, status = 200): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
const failed = json(
  {
    cause: 'x',
    message: '`/usr/bin/crun checkpoint --image-path /x c` failed: exit status 1',
    response: 500,
  },
  500,
);

let folder: string;
let server: Server;
let answers: Record<string, Answer>;
let asked: string[];
let runtime: PodmanRuntime;
let criuThere: boolean;

const info = (rootless: boolean): Answer =>
  json({
    host: {
      ociRuntime: { name: 'crun', path: '/usr/bin/crun', version: 'crun version 1.28\ncommit: x' },
      security: { rootless },
    },
    version: { Version: '5.8.6' },
  });
const inspected = (more: object = {}): Answer =>
  json({
    Id: ID,
    Name: 'web',
    State: { Status: 'running', Pid: 41 },
    StaticDir: STATIC,
    OCIRuntime: 'runc',
    Config: { Labels: null, Annotations: { 'org.criu.config': '' } },
    ...more,
  });
const here = (path: string): string => join(folder, path);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gl-podman-'));
  asked = [];
  criuThere = true;
  answers = { [`GET ${API}/info`]: info(false), [`GET ${API}/containers/${ID}/json`]: inspected() };
  server = createServer((request, response) => {
    const what = `${request.method ?? ''} ${request.url ?? ''}`;
    asked.push(what);
    (answers[what] ?? json({ message: `nothing at ${what}` }, 404))(response);
  });
  const socketPath = here('podman.sock');
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  mkdirSync(here(STATIC), { recursive: true });
  runtime = new PodmanRuntime({
    socketPath,
    hostRoot: folder,
    procRoot: folder,
    runner: {
      run: (command) =>
        criuThere
          ? Promise.resolve({ exitCode: 0, stdout: 'Version: 4.2.1\n', stderr: '', timedOut: false })
          : Promise.reject(new CommandNotFound(command)),
    },
    clock: systemClock,
    log: silent,
  });
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

async function checkpoint(timeoutMs = 10_000): Promise<unknown> {
  const container = await runtime.find(ID);
  if (container === null) throw new Error('not found');
  const call = { container, checkpointName: 'c1', archiveDirectory: '/unused', timeoutMs };
  return await runtime.checkpoint(call).catch((error: unknown) => error);
}
function keepsOlder(): void {
  mkdirSync(here(`${STATIC}/checkpoint`));
  writeFileSync(here(`${STATIC}/checkpoint/inventory.img`), 'older');
}
const slot = (): string[] => readdirSync(here(STATIC)).sort();

describe('a probe', () => {
  test('tells version, OCI runtime and how to run it', async () => {
    expect(await runtime.probe()).toEqual({
      runtime: 'podman',
      version: 'podman://5.8.6',
      ociRuntime: 'crun 1.28',
      ociRuntimeCommand: '/usr/bin/crun',
      obstacles: [],
    });
  });

  test('of a rootless service says that it cannot take checkpoints', async () => {
    answers[`GET ${API}/info`] = info(true);
    expect((await runtime.probe()).obstacles).toMatchObject([{ reason: 'Unauthorized' }]);
  });

  test.each([
    ['an answer of another shape', json({ host: {} })],
    ['no service of Podman', json({}, 404)],
    ['a broken connection', ((response) => response.destroy()) satisfies Answer],
  ])('with %s is no answer', async (_, answer) => {
    answers[`GET ${API}/info`] = answer;
    await expect(runtime.probe()).rejects.toBeInstanceOf(RuntimeUnavailable);
  });
});

test('a list leaves out infra containers and those that are gone meanwhile', async () => {
  answers[`GET ${API}/containers/json?all=true`] = json([
    { Id: 'infra', Names: ['x-infra'], State: 'running', IsInfra: true },
    { Id: 'gone', Names: ['gone'], State: 'exited' },
    { Id: ID, Names: ['web'], State: 'running', IsInfra: false },
  ]);
  expect(await runtime.list()).toEqual([
    {
      runtime: 'podman',
      id: ID,
      name: 'web',
      state: 'Running',
      pid: 41,
      labels: {},
      criuConfigAnnotation: '',
      ociRuntime: 'runc',
    },
  ]);
  answers[`GET ${API}/containers/json?all=true`] = json(null);
  expect(await runtime.list()).toEqual([]);
});

describe('a checkpoint', () => {
  test.each([
    [true, 'ConfigInvalid'],
    [false, 'CriuMissing'],
  ])('that fails without a word, criu there: %j → %s', async (there, reason) => {
    criuThere = there;
    keepsOlder();
    answers[CREATE] = failed;
    const error = await checkpoint();
    expect(error).toBeInstanceOf(RuntimeCheckpointError);
    const { message, dumpLog } = error as RuntimeCheckpointError;
    expect(classifyFailure({ runtimeError: message, dumpLog: null, timedOut: false }).reason).toBe(reason);
    expect(dumpLog).toBeNull();
    expect(slot()).toEqual(['checkpoint']);
    expect(readdirSync(here(`${STATIC}/checkpoint`))).toEqual(['inventory.img']);
  });

  test('that the service breaks off is a failure, and the one before is back', async () => {
    keepsOlder();
    answers[CREATE] = (response) => {
      mkdirSync(here(`${STATIC}/checkpoint`));
      writeFileSync(here(`${STATIC}/checkpoint/files.img`), 'half');
      response.destroy();
    };
    expect(await checkpoint()).toBeInstanceOf(RuntimeCheckpointError);
    expect(readdirSync(here(`${STATIC}/checkpoint`))).toEqual(['inventory.img']);
  });

  test('that comes too late is given up, and nothing of it stays', async () => {
    answers[CREATE] = (response) => {
      mkdirSync(here(`${STATIC}/checkpoint`));
      setTimeout(() => {
        json({ Id: ID })(response);
      }, 60);
    };
    expect(await checkpoint(20)).toMatchObject({ timedOut: true, dumpLog: null });
    expect(existsSync(here(`${STATIC}/checkpoint`))).toBe(false);
  });

  test('of a container that is gone is not asked for', async () => {
    const container = await runtime.find(ID);
    if (container === null) throw new Error('not found');
    answers[`GET ${API}/containers/${ID}/json`] = json({ message: 'no such container' }, 404);
    const error: unknown = await runtime
      .checkpoint({ container, checkpointName: 'c1', archiveDirectory: '/unused', timeoutMs: 1000 })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: `no such container: ${ID}` });
    expect(asked).not.toContain(CREATE);
  });
});
