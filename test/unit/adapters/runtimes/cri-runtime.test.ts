// The CRI adapter against a small gRPC server that answers as containerd 1.7 was recorded to (hack/record-engine-texts.ts), which has the call but not what it does.
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { printMessage } from '../../../../hack/lab/protobuf.ts';
import { systemClock } from '../../../../src/adapters/clock/system-clock.ts';
import { createClusterRuntimes } from '../../../../src/adapters/runtimes/cluster-runtimes.ts';
import { CriRuntime } from '../../../../src/adapters/runtimes/cri-runtime.ts';
import { classifyFailure } from '../../../../src/domain/checkpoint/classify-failure.ts';
import { RuntimeCheckpointError } from '../../../../src/ports/container-runtime.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';
import { CommandNotFound } from '../../../../src/ports/process-runner.ts';

const ID = 'a1'.repeat(32);
const recorded = (name: string): string =>
  readFileSync(
    join(import.meta.dirname, `../../../fixtures/dump-logs/runtime-text/${name}.txt`),
    'utf8',
  ).trim();
const [UNIMPLEMENTED = '', REFUSAL = ''] = recorded('cri-1.7-unimplemented').split(/ (.*)/);
const NOT_FOUND = '5';

let refusal = { status: UNIMPLEMENTED, text: REFUSAL };
let refusals = 0;
let folder: string;
let server: Http2Server;

const CONFIG = {
  containerd: {
    defaultRuntimeName: 'runc',
    runtimes: { runc: { runtimeType: 'io.containerd.runc.v2', options: {} } },
  },
};
const ANSWERS: Readonly<Record<string, Buffer>> = {
  Version: printMessage({ 1: '0.1.0', 2: 'containerd', 3: recorded('cri-1.7-version') }),
  Status: printMessage({ 2: { config: JSON.stringify(CONFIG) } }),
  ListContainers: printMessage({}),
  ListPodSandbox: printMessage({}),
};

function answer(stream: ServerHttp2Stream, path: string): void {
  const message = ANSWERS[path.split('/').at(-1) ?? ''];
  const head = { ':status': 200, 'content-type': 'application/grpc' };
  if (message === undefined) {
    const { status, text } = refusal;
    refusals += 1;
    stream.respond({ ...head, 'grpc-status': status, 'grpc-message': text }, { endStream: true });
    return;
  }
  const length = Buffer.alloc(5);
  length.writeUInt32BE(message.length, 1);
  stream.respond(head, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': '0' });
  });
  stream.end(Buffer.concat([length, message]));
}

const options = () => ({
  socketPath: join(folder, 'cri.sock'),
  hostRoot: '/',
  procRoot: '/proc',
  clock: systemClock,
  runner: { run: (command: string) => Promise.reject(new CommandNotFound(command)) },
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
});

beforeEach(async () => {
  refusal = { status: UNIMPLEMENTED, text: REFUSAL };
  refusals = 0;
  folder = mkdtempSync(join(tmpdir(), 'ghostlimit-cri-'));
  server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    stream.resume();
    stream.on('end', () => {
      answer(stream, headers[':path'] ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'cri.sock'), resolve));
});
afterEach(() => {
  // Connections that the client keeps are ended with the process.
  server.close();
  rmSync(folder, { recursive: true });
});

test('containerd 1.7: a probe says that no checkpoint can be taken, before any is tried', async () => {
  const { version, obstacles } = await new CriRuntime(options()).probe();
  expect(version).toBe('containerd://1.7.35');
  expect(obstacles).toMatchObject([{ reason: 'RuntimeUnsupported' }]);
});

test('where nothing stands in the way the question is not asked again for ten minutes, as it is an error in the log there', async () => {
  const clock = new FakeClock();
  const runtime = new CriRuntime({ ...options(), clock });
  expect((await runtime.probe()).obstacles).toHaveLength(1);
  refusal = { status: NOT_FOUND, text: 'an error occurred when trying to find container' };
  expect((await runtime.probe()).obstacles).toEqual([]);
  expect((await runtime.probe()).obstacles).toEqual([]);
  expect(refusals).toBe(2);
  await clock.advance(600_000);
  refusal = { status: UNIMPLEMENTED, text: REFUSAL };
  expect((await runtime.probe()).obstacles).toHaveLength(1);
});

test('containerd 1.7: one that is tried fails for that reason, and leaves nothing', async () => {
  const container = {
    runtime: 'containerd',
    id: ID,
    name: 'app',
    state: 'Running',
    pid: null,
    labels: {},
    criuConfigAnnotation: null,
  } as const;
  const error: unknown = await new CriRuntime(options())
    .checkpoint({
      container,
      checkpointName: 'c1',
      archiveDirectory: join(folder, 'archives'),
      timeoutMs: 1000,
    })
    .catch((reason: unknown) => reason);
  if (!(error instanceof RuntimeCheckpointError)) throw error;
  expect(error.message).toBe(REFUSAL);
  expect(classifyFailure({ runtimeError: error.message, dumpLog: null, timedOut: false }).reason).toBe(
    'RuntimeUnsupported',
  );
});

test('in a cluster `auto` goes by the CRI that answers, also where it cannot: the kubelet would ask the same one', async () => {
  const runtimes = createClusterRuntimes('auto', {
    ...options(),
    kubelet: {
      address: '127.0.0.1',
      port: 1,
      nodeName: 'node1',
      rootDirectory: '/var/lib/kubelet',
      caFile: null,
      clusterCaFile: '/none',
      tokenFile: '/none',
    },
    nodePods: { pods: () => [], watch: () => undefined },
  });
  expect(runtimes.map(({ name }) => name)).toEqual(['containerd', 'kubelet']);
  const [cri, kubelet] = runtimes;
  expect((await cri?.probe())?.obstacles).toHaveLength(1);
  await expect(kubelet?.probe()).rejects.toThrow('kubelet is not used');
});
