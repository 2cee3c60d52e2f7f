// Podman in the lab node, with runc and with crun, through its adapter, held to the contract of the port.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startLabNode } from '../../hack/lab/lab-node.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { importPodmanBusyboxImage, startPodman } from '../../hack/lab/podman.ts';
import type { LabPodman } from '../../hack/lab/podman.ts';
import type { OciRuntime } from '../../hack/lab/runc.ts';
import { describeContainerRuntime, until } from '../contract/container-runtime.contract.ts';
import { labRig, prepareHang } from './engine-rig.ts';
import type { LabEngine } from './engine-rig.ts';

let node: LabNode;
let podman: LabPodman;

beforeAll(async () => {
  node = await startLabNode({ name: 'podman', progress: () => undefined });
  podman = await startPodman(node);
  await importPodmanBusyboxImage(node, 'busybox:lab');
  await prepareHang(node);
}, 300_000);

afterAll(async () => {
  await node.stop();
});

const podmanWith = (runtime: OciRuntime): LabEngine => ({
  name: 'podman',
  ociRuntime: 'crun',
  keeps: 'LastOnly',
  start: (name, args, labels) =>
    podman.podman(
      ...['--runtime', runtime, 'run', '--detach', '--name', name, '--network', 'host'],
      ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
      ...['localhost/busybox:lab', ...args],
    ),
  kill: async (id) => {
    await podman.podman('kill', id);
    await until(
      async () => (await podman.podman('inspect', '--format', '{{.State.Status}}', id)) === 'exited',
    );
  },
  remove: (id) => podman.podman('rm', '--force', '--time', '0', id),
});

describeContainerRuntime('Podman with crun', () => labRig(node, podmanWith('crun')));
describeContainerRuntime('Podman with runc', () => labRig(node, podmanWith('runc')));

describe('Podman', () => {
  test.each(['runc', 'crun'] as const)(
    'tells that %s made the container, and its annotation',
    async (runtime) => {
      const rig = await labRig(node, podmanWith(runtime));
      const id = await podman.runContainer({
        name: 'annotated',
        runtime,
        image: 'localhost/busybox:lab',
        args: ['sleep', '1000'],
        annotations: { 'org.criu.config': '/etc/criu/own.conf' },
      });
      expect(await rig.runtime.find('annotated')).toMatchObject({
        id,
        ociRuntime: runtime,
        criuConfigAnnotation: '/etc/criu/own.conf',
      });
      await podman.podman('rm', '--force', '--time', '0', id);
      await rig.dispose();
    },
  );
});
