// The product on a node with containerd and nothing else: pods by the CRI, the seed's failure and its cure, what doctor finds before anything is tried.
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startContainerd, type LabContainerd } from '../../hack/lab/containerd.ts';
import { containerdBind } from '../../hack/lab/containerd-build.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { PROJECT_INSIDE, startLabNode, type LabNode } from '../../hack/lab/lab-node.ts';
import type { CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import type { CheckpointRequest } from '../../src/api/checkpoint-request.ts';
import type { Check } from '../../src/node-engine/check.ts';
import { eventually, limitPolicy, MIB, POLICIES, RUNC_CONF } from './standalone-host.ts';

const IMAGE = 'docker.io/library/busybox:lab';
const HOME_CONF = '/root/.criu/default.conf';

describe.each(['root', 'built'] as const)('on the containerd of kind %s', (version) => {
  let node: LabNode;
  let containerd: LabContainerd;

  beforeAll(async () => {
    const progress = (): void => undefined;
    const binds = version === 'built' ? [await containerdBind(progress)] : [];
    node = await startLabNode({ name: 'cri-host', binds, progress });
    containerd = await startContainerd(node, { version, passedAnnotations: ['org.criu.config'] });
    await containerd.importBusyboxImage(IMAGE);
    await node.run(['mkdir', '-p', POLICIES]);
  }, 600_000);
  afterEach(async () => {
    await node.run(['rm', '-rf', RUNC_CONF, dirname(HOME_CONF)]);
  });
  afterAll(async () => {
    containerd.cri.close();
    await node.stop();
  });

  const startPod = async (app: string, annotations: Record<string, string> = {}): Promise<string> => {
    const pod = { name: `${app}-0`, namespace: 'default', uid: `uid-${app}`, labels: { app }, annotations };
    const podId = await containerd.cri.runPod(pod);
    const id = await containerd.cri.startContainer(podId, pod, {
      name: 'main',
      image: IMAGE,
      command: ghostHolder([{ path: '/tmp/ghost.so', bytes: 3 * MIB }]),
    });
    const { info } = await containerd.cri.containerStatus(id);
    const ready = `/proc/${String(info['pid'])}/root/tmp/ready`;
    await eventually(`${app} to hold its file`, async () => await node.readFile(ready));
    return id;
  };
  const json = async <T>(...args: string[]): Promise<T> =>
    JSON.parse(
      (await node.exec(['node', `${PROJECT_INSIDE}/dist/ghostlimit.mjs`, ...args, '-o', 'json'])).stdout,
    ) as T;
  const apply = (...args: string[]): Promise<CheckpointNodeStatus> => json('apply', '-f', POLICIES, ...args);
  const checkpoint = async (pod: string): Promise<CheckpointRequest['status']['containers'][number]> => {
    const [result] = (await json<CheckpointRequest>('checkpoint', pod)).status.containers;
    if (result === undefined) throw new Error('no container in the answer');
    return result;
  };
  const failing = async (): Promise<string[]> =>
    (await json<{ checks: Check[] }>('doctor')).checks
      .filter(({ ok }) => !ok)
      .map(({ name, reason, message }) => `${name} ${reason} ${message}`);

  test('a pod is refused at the default limit and dumped with the lines of a policy on its labels', async () => {
    const id = await startPod('checkout');
    await expect(containerd.cri.checkpoint(id, '/run/refused.tar')).rejects.toThrow(
      /criu failed: type DUMP errno 0/,
    );
    await node.writeFile(`${POLICIES}/checkout.yaml`, limitPolicy('checkout', '{fixed: 3Mi}'));
    const { files, policies, runtime } = await apply();
    expect(runtime).toMatchObject({
      containerRuntime: expect.stringMatching(
        version === 'built' ? /^containerd:\/\/2\.4/ : /^containerd:\/\/2\.1/,
      ),
      ociRuntime: expect.stringMatching(/^runc 1\./),
    });
    expect(files).toMatchObject([{ path: RUNC_CONF, state: 'InSync', effectiveLimitBytes: 3 * MIB }]);
    expect(policies).toMatchObject([{ name: 'checkout', state: 'InForce', matchedPods: 1 }]);
    await containerd.cri.checkpoint(id, '/run/taken.tar');
    const taken = await checkpoint('checkout-0');
    expect(taken).toMatchObject({ name: 'main', result: 'Succeeded' });
    expect((await node.run(['stat', '-c', '%a %U', taken.archive?.path ?? ''])).trim()).toBe('600 root');
    expect(await failing()).toEqual([]);
    await json('apply', '--remove');
    expect(await node.readFile(RUNC_CONF)).toBeNull();
  });

  test.each([
    ['ghost-limit = 3145728\n', /read unixpacket @->@: EOF/],
    ['no-such-option\n', /criu failed: type DUMP errno 56/],
  ])(
    'runc.conf that says %j: doctor names the line, and no container is frozen for it',
    async (line, said) => {
      const id = await startPod(`bad${line.length.toString()}`);
      await node.writeFile(RUNC_CONF, line);
      await expect(containerd.cri.checkpoint(id, '/run/bad.tar')).rejects.toThrow(said);
      expect(await failing()).toEqual([
        expect.stringMatching(/^\/etc\/criu\/runc\.conf ForeignLineInvalid line 1: /),
      ]);
      expect(await checkpoint(`bad${line.length.toString()}-0`)).toMatchObject({
        reason: 'ConfigInvalid',
        attempts: 0,
      });
    },
  );

  test("doctor judges the file in the daemon's home, which no runtime names", async () => {
    await node.writeFile(HOME_CONF, 'no-such-option\n');
    const found = await failing();
    // containerd 2.1 asks criu for its version anew each time, 2.4 once in its life.
    if (version === 'root') expect(found.shift()).toMatch(/^containerd ConfigInvalid criu does not start/);
    expect(found).toEqual([
      expect.stringMatching(/^\/root\/\.criu\/default\.conf ForeignLineInvalid line 1: .*containerd/),
    ]);
  });

  test('a pod with its own file by annotation does not read runc.conf: the report and doctor say so', async () => {
    await node.writeFile('/etc/criu/own.conf', 'ghost-limit 64M\n');
    const id = await startPod('own', { 'org.criu.config': '/etc/criu/own.conf' });
    await containerd.cri.checkpoint(id, '/run/own.tar');
    await node.writeFile(`${POLICIES}/own.yaml`, limitPolicy('own', '{fixed: 3Mi}'));
    expect((await apply()).problems).toMatchObject([
      { origin: 'container main', reason: 'HiddenByAnnotation' },
    ]);
    expect(await failing()).toEqual([expect.stringMatching(/^annotations HiddenByAnnotation 1 container/)]);
    await json('apply', '--remove');
  });
});
