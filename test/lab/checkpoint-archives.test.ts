// Archives as real engines make them, read by the adapter and by checkpointctl, which have to agree.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { containerdBind } from '../../hack/lab/containerd-build.ts';
import { startContainerd } from '../../hack/lab/containerd.ts';
import type { LabContainerd } from '../../hack/lab/containerd.ts';
import { importBusyboxImage, startDocker } from '../../hack/lab/docker.ts';
import type { LabDocker } from '../../hack/lab/docker.ts';
import { startLabNode } from '../../hack/lab/lab-node.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { importPodmanBusyboxImage, startPodman } from '../../hack/lab/podman.ts';
import type { LabPodman } from '../../hack/lab/podman.ts';
import { startRuncContainer } from '../../hack/lab/runc.ts';
import { createHostCheckpointArchives } from '../../src/adapters/archives/host-checkpoint-archives.ts';
import type { CheckpointArchiveInfo, CheckpointArchives } from '../../src/ports/checkpoint-archives.ts';
import type { CheckpointArchive, RuntimeName } from '../../src/ports/container-runtime.ts';
import { ARCHIVES, ghostProgram, runtimeNamed } from './engine-rig.ts';

const progress = (): void => undefined;

let node: LabNode;
let archives: CheckpointArchives;

async function startNode(
  name: string,
  binds: Parameters<typeof startLabNode>[0]['binds'] = [],
): Promise<void> {
  node = await startLabNode({ name, binds, progress });
  archives = createHostCheckpointArchives({ hostRoot: node.rootPath });
}

async function inspected(path: string): Promise<CheckpointArchiveInfo> {
  const info = await archives.inspect(path);
  if (info === null) throw new Error(`nothing at ${path}`);
  return info;
}

async function checkpointBy(name: RuntimeName, id: string): Promise<CheckpointArchive> {
  const runtime = await runtimeNamed(node, name);
  const container = await runtime.find(id);
  if (container === null) throw new Error(`${name} does not know ${id}`);
  const call = { container, checkpointName: 'taken', archiveDirectory: ARCHIVES, timeoutMs: 120_000 };
  return await runtime.checkpoint(call);
}

/** The one row of its table, by the words of its header. */
async function shownByCheckpointctl(path: string): Promise<Record<string, string>> {
  const said = await node.run(['checkpointctl', 'show', path]);
  const rows = said
    .split('\n')
    .map((line) =>
      line
        .split(/[│|]|\s{2,}|\t/)
        .map((cell) => cell.trim())
        .filter((cell) => cell !== ''),
    )
    .filter((cells) => cells.length > 3 && !/^-+$/.test(cells[0] ?? ''));
  const [header = [], row = []] = rows;
  return Object.fromEntries(header.map((name, index) => [name.toLowerCase(), row[index] ?? '']));
}

describe.each(['root', 'built'] as const)('an archive of the containerd of kind %s', (version) => {
  const POD = { name: 'checkout-1', namespace: 'shop', uid: '7f6c-uid' };
  /** As the kubelet would call it. */
  const PATH = `${ARCHIVES}/checkpoint-checkout-1_shop-app-2026-11-23T12:00:00+02:00.tar`;
  const IMAGE = 'docker.io/library/busybox:lab';
  let containerd: LabContainerd;
  let id: string;

  beforeAll(async () => {
    await startNode('archives', version === 'built' ? [await containerdBind(progress)] : []);
    containerd = await startContainerd(node, { version });
    await containerd.importBusyboxImage(IMAGE);
    const podId = await containerd.cri.runPod(POD);
    const container = { name: 'app', image: IMAGE, command: ghostProgram(4096) };
    id = await containerd.cri.startContainer(podId, POD, container);
    await node.run(['mkdir', '-p', '-m', '700', ARCHIVES]);
    await containerd.cri.checkpoint(id, PATH);
  }, 600_000);

  afterAll(async () => {
    containerd.cri.close();
    await node.stop();
  });

  test('says who it is of, and has no fault', async () => {
    const info = await inspected(PATH);
    expect(info).toMatchObject({
      path: PATH,
      pinned: false,
      fault: null,
      identity: {
        containerId: id,
        containerName: 'app',
        podName: 'checkout-1',
        podNamespace: 'shop',
        podUID: '7f6c-uid',
      },
    });
    expect(Math.abs(Date.parse(info.identity.checkpointedTime ?? '') - info.modifiedMs)).toBeLessThan(
      120_000,
    );
    expect(info.sizeBytes).toBe(Number((await node.run(['stat', '-c', '%s', PATH])).trim()));
    expect(await archives.list(ARCHIVES)).toEqual([info]);
  });

  test('is the same to checkpointctl', async () => {
    const { identity } = await inspected(PATH);
    expect(await shownByCheckpointctl(PATH)).toMatchObject({
      container: identity.containerName,
      id: identity.containerId?.slice(0, 12),
      engine: 'containerd',
    });
    const said: unknown = JSON.parse(await node.run(['checkpointctl', 'inspect', '--format', 'json', PATH]));
    expect(said).toMatchObject([{ id: identity.containerId, container_name: identity.containerName }]);
  });

  test('cut in its middle it is a fault to both', async () => {
    const cut = `${ARCHIVES}/cut.tar`;
    await node.run(['sh', '-c', `umask 077; head -c 20000 "${PATH}" > ${cut}`]);
    expect((await inspected(cut)).fault).toContain('is cut short at 20000 bytes');
    expect((await node.exec(['checkpointctl', 'inspect', cut])).code).not.toBe(0);
    await node.run(['rm', cut]);
  });

  test('as ghostlimit takes it, it is kept by a pin, and goes without', async () => {
    const { path, sizeBytes } = await checkpointBy('containerd', id);
    const info = await inspected(path);
    expect(info).toMatchObject({ sizeBytes, fault: null, identity: { containerId: id, podUID: '7f6c-uid' } });
    const directories = [ARCHIVES, join(ARCHIVES, id)];
    await node.writeFile(`${path}.keep`, '');
    expect(await archives.remove(info, directories)).toBe('Pinned');
    await node.run(['rm', `${path}.keep`]);
    expect(await archives.remove(info, directories)).toBe('Removed');
    expect(await node.run(['find', ARCHIVES, '-mindepth', '1'])).toBe(`${PATH}\n`);
  });

  test('tells the space of where it is', async () => {
    const { freeBytes, totalBytes } = await archives.space(ARCHIVES);
    const said = await node.run(['df', '--block-size=1', '--output=size', ARCHIVES]);
    expect(totalBytes).toBe(Number(said.trim().split(/\s+/)[1]));
    expect(freeBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  });
});

describe('checkpoints of the other engines', () => {
  let docker: LabDocker;
  let podman: LabPodman;

  beforeAll(async () => {
    await startNode('archives');
    docker = await startDocker(node);
    await importBusyboxImage(node, 'busybox:lab');
    podman = await startPodman(node);
    await importPodmanBusyboxImage(node, 'busybox:lab');
  }, 600_000);

  afterAll(async () => {
    await node.stop();
  });

  test.each(['docker', 'runc'] as const)('the directory of %s', async (name) => {
    let id = 'counter';
    if (name === 'runc') await startRuncContainer(node, { id, args: ghostProgram(4096) });
    else
      id = await docker.docker('run', '--detach', '--network', 'none', 'busybox:lab', ...ghostProgram(4096));
    const { path, sizeBytes } = await checkpointBy(name, id);
    const folder = path.slice(0, path.lastIndexOf('/'));
    const info = await inspected(path);
    expect(info).toMatchObject({ sizeBytes, fault: null, identity: { containerId: null } });
    expect(await archives.list(folder)).toEqual([info]);
    expect(await archives.remove(info, [folder])).toBe('Removed');
    expect(await archives.inspect(path)).toBeNull();
  });

  test('an export of Podman, as it is and compressed', async () => {
    const id = await podman.runContainer({
      name: 'web',
      runtime: 'runc',
      image: 'localhost/busybox:lab',
      args: ghostProgram(4096),
    });
    const [plain, packed] = [`${ARCHIVES}/podman.tar`, `${ARCHIVES}/podman.tar.zst`];
    await node.run(['mkdir', '-p', '-m', '700', ARCHIVES]);
    for (const [path, compress] of [[plain, 'none'] as const, [packed, 'zstd'] as const])
      await podman.podman(
        ...['container', 'checkpoint', '--leave-running', '--compress', compress],
        ...['--export', path, id],
      );
    const { identity, fault } = await inspected(plain);
    expect({ identity, fault }).toMatchObject({
      fault: null,
      identity: { containerId: id, containerName: 'web', podUID: null },
    });
    expect(await shownByCheckpointctl(plain)).toMatchObject({
      container: 'web',
      engine: 'Podman',
    });
    expect((await inspected(packed)).fault).toBe('is compressed (zstd): not read');
  });
});
