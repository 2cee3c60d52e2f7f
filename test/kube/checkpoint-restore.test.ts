// What the archives that requests report are good for: checkpointctl reads them, and runc restores one on another node, where the program goes on.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { restoreArchive, type RestoredContainer } from '../../hack/lab/restore-archive.ts';
import { checkpointLab, type CheckpointLab } from './checkpoint-lab.ts';
import { SYSTEM, startOperatorLab, untilOperatorReady, type OperatorLab } from './operator-lab.ts';

const FROM = 'node2';
const TO = 'node3';
const POD = 'goes-on';
/** A prime number of pages: nothing else that the container holds has this size. */
const GHOST_BYTES = 13 * 4096;

let lab: OperatorLab;
let checkpoints: CheckpointLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 3 });
  checkpoints = checkpointLab(lab);
  const command = ghostHolder([{ path: '/tmp/held.so', bytes: GHOST_BYTES }]);
  await lab.runPod({ name: POD, nodeName: FROM, command });
  await lab.until('it to count', async () => ((await checkpoints.counterOf(POD)) > 4 ? true : null));
}, 600_000);
afterAll(() => lab.stop());

/** Asks for a checkpoint of the pod; gives the path of the archive on its node. */
async function archiveOf(request: string): Promise<string> {
  await checkpoints.ask(request, { podName: POD });
  const { verdict, containers } = await checkpoints.outcome(request);
  expect(verdict).toBe('Complete Checkpointed');
  return containers[0]?.archive?.path ?? '';
}

async function expectReadable(path: string): Promise<void> {
  const node = lab.cluster.nodeNamed(FROM);
  const shown = await node.run(['checkpointctl', 'show', path]);
  expect(shown).toMatch(/app/);
  expect(shown).toContain('docker.io/ghostlimit-lab/busybox:1');
  const inspected = await node.run(['checkpointctl', 'inspect', '--all', path]);
  for (const said of [
    'Engine: containerd',
    `Pod name: ${POD}`,
    'Kubernetes namespace: default',
    '/tmp/held.so',
  ])
    expect(inspected).toContain(said);
}

test('checkpointctl reads an archive of the CRI socket', async () => {
  const path = await archiveOf('by-cri');
  expect(path).toMatch(/^\/var\/lib\/ghostlimit\/checkpoints\//);
  await expectReadable(path);
});

describe('an archive of the kubelet', () => {
  let path: string;
  let counted: number;

  beforeAll(async () => {
    await checkpoints.changeSettings({ backend: 'kubelet' });
    await untilAgentsUse('kubelet');
    counted = await checkpoints.counterOf(POD);
    path = await archiveOf('by-kubelet');
  });

  test('is where kubelets put them, and checkpointctl reads it', async () => {
    expect(path).toMatch(/^\/var\/lib\/kubelet\/checkpoints\/checkpoint-goes-on_default-app-.*\.tar$/);
    await expectReadable(path);
  });

  test('is restored by runc on another node after the pod was deleted: the program counts on, and still holds its deleted file', async () => {
    const { readFile } = lab.cluster.nodeNamed(FROM);
    const archive = (await readFile(path)) ?? Buffer.alloc(0);
    await lab.deletePod(POD);
    const node = lab.cluster.nodeNamed(TO).lab();
    await node.writeFile('/run/archive.tar', archive);
    const restored: RestoredContainer = await restoreArchive(node, 'goes-on', '/run/archive.tar');
    try {
      const inProcess = (...words: string[]): Promise<string> =>
        node.run(['sh', '-c', words.join(' ').replaceAll('PROC', `/proc/${restored.pid.toString()}`)]);
      const first = Number(await inProcess('cat PROC/root/tmp/counter'));
      expect(first).toBeGreaterThanOrEqual(counted);
      await lab.until('it to count on', async () =>
        Number(await inProcess('cat PROC/root/tmp/counter')) > first ? true : null,
      );
      expect(await inProcess('readlink PROC/fd/3; stat -L -c "%s %h" PROC/fd/3')).toBe(
        `/tmp/held.so (deleted)\n${GHOST_BYTES.toString()} 0\n`,
      );
    } finally {
      await restored.remove();
    }
  });
});

async function untilAgentsUse(backend: string): Promise<void> {
  await lab.until(`agents with the backend ${backend}`, async () => {
    const text = await lab.kubectl(
      ...['-n', SYSTEM, 'get', 'pods', '-l', 'app.kubernetes.io/component=agent', '-o', 'json'],
    );
    const { items } = JSON.parse(text) as { items: readonly unknown[] };
    const isSo = (pod: unknown): boolean =>
      JSON.stringify(pod).includes(String.raw`\\\"backend\\\":\\\"${backend}\\\"`) ||
      JSON.stringify(pod).includes(String.raw`\"backend\":\"${backend}\"`);
    return items.length === 3 && items.every(isSo) ? true : null;
  });
  await untilOperatorReady(lab.cluster, { nodes: 3, replicas: 1 });
}
