// Docker Engine and runc in the lab node, through their adapters, held to the contract of the port.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { importBusyboxImage, startDocker } from '../../hack/lab/docker.ts';
import type { LabDocker } from '../../hack/lab/docker.ts';
import { startLabNode } from '../../hack/lab/lab-node.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { startRuncContainer } from '../../hack/lab/runc.ts';
import { findRuntimes } from '../../src/adapters/runtimes/find-runtimes.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../src/ports/container-runtime.ts';
import { classifyFailure } from '../../src/domain/checkpoint/classify-failure.ts';
import { describeContainerRuntime, until } from '../contract/container-runtime.contract.ts';
import { ARCHIVES, labRig, prepareHang, runtimeNamed, runtimeOptions } from './engine-rig.ts';
import type { LabEngine } from './engine-rig.ts';

let node: LabNode;
let docker: LabDocker;

beforeAll(async () => {
  node = await startLabNode({ name: 'runtimes', progress: () => undefined });
  docker = await startDocker(node);
  await importBusyboxImage(node, 'busybox:lab');
  await prepareHang(node);
}, 300_000);

afterAll(async () => {
  await node.stop();
});

const DOCKER: LabEngine = {
  name: 'docker',
  ociRuntime: 'runc',
  keeps: 'ByName',
  start: (name, args, labels) =>
    docker.docker(
      ...['run', '--detach', '--network', 'none', '--name', name],
      ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
      ...['busybox:lab', ...args],
    ),
  kill: (id) => docker.docker('kill', id),
  remove: (id) => docker.docker('rm', '--force', id),
};

const RUNC: LabEngine = {
  name: 'runc',
  ociRuntime: 'runc',
  keeps: 'ByName',
  start: async (name, args, labels) => {
    await startRuncContainer(node, { id: name, args, annotations: labels });
    return name;
  },
  kill: async (id) => {
    await node.run(['runc', 'kill', id, 'KILL']);
    await until(async () => (await node.run(['runc', 'state', id])).includes('"stopped"'));
  },
  remove: (id) => node.run(['runc', 'delete', '--force', id]),
};

describeContainerRuntime('Docker Engine', () => labRig(node, DOCKER));
describeContainerRuntime('runc', () => labRig(node, RUNC));

describe('Docker Engine that is restarted', () => {
  test('is unavailable meanwhile; then its watch goes on, and without experimental mode it says what to do', async () => {
    const runtime = await runtimeNamed(node, 'docker');
    const watching = new AbortController();
    let changes = 0;
    runtime.watch(() => {
      changes += 1;
    }, watching.signal);
    await until(() => changes > 0);

    await docker.stop();
    const { present, absent } = await findRuntimes(runtimeOptions(node));
    expect(present.map(({ runtime: { name } }) => name)).toEqual(['runc']);
    expect(absent).toContainEqual({ runtime: 'docker', why: expect.stringMatching(/ENOENT|ECONNREFUSED/) });
    await expect(runtime.list()).rejects.toBeInstanceOf(RuntimeUnavailable);

    const before = changes;
    const daemon = {
      bridge: 'none',
      iptables: false,
      ip6tables: false,
      features: { 'containerd-snapshotter': false },
    };
    await node.writeFile('/etc/docker/daemon.json', JSON.stringify(daemon));
    node.spawn(['sh', '-c', 'exec dockerd > /var/log/dockerd.log 2>&1']);
    await until(() => changes > before);
    // Its socket may answer before it knows its containers again.
    await until(() =>
      runtime.list().then(
        () => true,
        () => false,
      ),
    );
    watching.abort();
    expect((await runtime.probe()).obstacles).toEqual([
      expect.objectContaining({ reason: 'FeatureGateOff', hint: expect.stringContaining('daemon.json') }),
    ]);

    await docker.docker(
      'run',
      '--detach',
      '--network',
      'none',
      '--name',
      'plain',
      'busybox:lab',
      'sleep',
      '1000',
    );
    const container = await runtime.find('plain');
    if (container === null) throw new Error('the container is not found');
    const error: unknown = await runtime
      .checkpoint({ container, checkpointName: 'c1', archiveDirectory: ARCHIVES, timeoutMs: 60_000 })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RuntimeCheckpointError);
    expect(classifyFailure({ runtimeError: String(error), dumpLog: null, timedOut: false }).reason).toBe(
      'FeatureGateOff',
    );
  });
});
