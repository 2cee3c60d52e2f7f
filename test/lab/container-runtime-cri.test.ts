// containerd's CRI in the lab node, the 2.1 of the node's root and a 2.4, through its adapter, held to the contract of the port.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { containerdBind } from '../../hack/lab/containerd-build.ts';
import { startContainerd } from '../../hack/lab/containerd.ts';
import type { LabContainerd } from '../../hack/lab/containerd.ts';
import { startLabNode } from '../../hack/lab/lab-node.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { describeContainerRuntime, until } from '../contract/container-runtime.contract.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../src/ports/container-runtime.ts';
import { ARCHIVES, labRig, prepareHang } from './engine-rig.ts';
import type { LabEngine } from './engine-rig.ts';

const IMAGE = 'docker.io/library/busybox:lab';

describe.each(['root', 'built'] as const)('the containerd of kind %s', (version) => {
  let node: LabNode;
  let containerd: LabContainerd;

  beforeAll(async () => {
    const progress = (): void => undefined;
    const binds = version === 'built' ? [await containerdBind(progress)] : [];
    node = await startLabNode({ name: 'cri', binds, progress });
    containerd = await startContainerd(node, { version, passedAnnotations: ['org.criu.config'] });
    await containerd.importBusyboxImage(IMAGE);
    await prepareHang(node);
  }, 600_000);

  afterAll(async () => {
    containerd.cri.close();
    await node.stop();
  });

  const pods = new Map<string, string>();
  const engine: LabEngine = {
    name: 'containerd',
    ociRuntime: 'runc',
    keeps: 'ByName',
    start: async (name, args, labels) => {
      const pod = { name: `pod-${name}`, namespace: 'shop', uid: `uid-${name}`, labels };
      const podId = await containerd.cri.runPod(pod);
      const id = await containerd.cri.startContainer(podId, pod, { name, image: IMAGE, command: args });
      pods.set(id, podId);
      return id;
    },
    kill: async (id) => {
      const { info } = await containerd.cri.containerStatus(id);
      await node.run(['kill', '-KILL', String(info['pid'])]);
      await until(async () => (await containerd.cri.containerStatus(id)).state === 2);
    },
    remove: async (id) => {
      await containerd.cri.removePod(pods.get(id) ?? '');
    },
  };

  describeContainerRuntime(`CRI of it`, () => labRig(node, engine));

  test('gives the labels of the pod and of the container, and the annotation', async () => {
    const rig = await labRig(node, engine);
    const pod = {
      name: 'checkout-1',
      namespace: 'shop',
      uid: 'uid-1',
      labels: { app: 'checkout' },
      annotations: { 'org.criu.config': '/etc/criu/own.conf' },
    };
    const podId = await containerd.cri.runPod(pod);
    const id = await containerd.cri.startContainer(podId, pod, {
      name: 'api',
      image: IMAGE,
      command: ['/bin/sleep', '1000'],
    });
    expect(await rig.runtime.find('api')).toMatchObject({
      id,
      name: 'api',
      labels: {
        app: 'checkout',
        'io.kubernetes.pod.name': 'checkout-1',
        'io.kubernetes.pod.namespace': 'shop',
        'io.kubernetes.container.name': 'api',
      },
      criuConfigAnnotation: '/etc/criu/own.conf',
    });
    await containerd.cri.removePod(podId);
    await rig.dispose();
  });

  // The last one: containerd is gone then.
  test('when containerd is killed in the middle of a dump, the container goes on', async () => {
    const rig = await labRig(node, engine);
    const id = await rig.start({ ghostBytes: 4096 });
    const container = await rig.runtime.find(id);
    if (container === null) throw new Error('the container is not found');
    const hang = await rig.hangDumps();
    const attempt = rig.runtime
      .checkpoint({ container, checkpointName: 'cut', archiveDirectory: ARCHIVES, timeoutMs: 180_000 })
      .catch((error: unknown) => error);
    await until(() => hang.isHanging());
    await node.exec(['pkill', '-KILL', '-x', 'containerd']);
    await hang.letGo();
    expect(await attempt).toBeInstanceOf(RuntimeCheckpointError);
    const before = await rig.counter(id);
    await until(async () => (await rig.counter(id)) > before);
    await expect(rig.runtime.list()).rejects.toBeInstanceOf(RuntimeUnavailable);
  });
});
