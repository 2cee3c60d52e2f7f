// The node engine on a host with plain runc: one pass of `apply`, a checkpoint, and restores by runc and by Docker, after which the programs go on.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder, GHOST_JVM } from '../../hack/lab/ghost-holders.ts';
import { importJvmImage, jreBind } from '../../hack/lab/docker.ts';
import { startRuncContainer, type RuncContainer } from '../../hack/lab/runc.ts';
import { CheckpointNodeStatusSchema } from '../../src/api/checkpoint-node.ts';
import { CheckpointRequestSchema, type ContainerResult } from '../../src/api/checkpoint-request.ts';
import {
  DoctorSchema,
  eventually,
  limitPolicy,
  MIB,
  POLICIES,
  RUNC_CONF,
  startStandaloneHost,
  type StandaloneHost,
} from './standalone-host.ts';

let host: StandaloneHost;

beforeAll(async () => {
  host = await startStandaloneHost('runc-host', [await jreBind(() => undefined)]);
});
afterAll(async () => {
  await host.stop();
});

async function holder(id: string, bytes: number, app: string): Promise<RuncContainer> {
  const container = await startRuncContainer(host.node, {
    id,
    args: ghostHolder([{ path: '/tmp/ghost.so', bytes }]),
    annotations: { app },
    hostNetwork: true,
  });
  await eventually(
    `${id} to hold its file`,
    async () => await host.node.readFile(`${container.rootfs}/tmp/ready`),
  );
  return container;
}

async function counterOf({ rootfs }: RuncContainer): Promise<number> {
  return Number((await host.node.readFile(`${rootfs}/tmp/counter`))?.toString() ?? '0');
}

async function checkpointOf(name: string, ...flags: string[]): Promise<ContainerResult> {
  const { value } = await host.ghostlimitJson(CheckpointRequestSchema, 'checkpoint', name, ...flags);
  const [result] = value.status.containers;
  if (result === undefined) throw new Error('no container in the answer');
  return result;
}

describe('on runc', () => {
  test('apply puts the lines in force in a directory that was not there, and --remove leaves nothing of it', async () => {
    const container = await holder('web', 3 * MIB, 'web');
    expect((await container.checkpoint()).stderr).toContain('increase limit');
    await host.node.run(['rm', '-rf', '/etc/criu']);
    await host.node.writeFile(`${POLICIES}/web.yaml`, limitPolicy('web', '{fixed: 3Mi}'));
    const applied = await host.ghostlimitJson(CheckpointNodeStatusSchema, 'apply', '-f', POLICIES);
    expect(applied.code).toBe(0);
    expect(applied.value.files).toMatchObject([
      { path: RUNC_CONF, state: 'InSync', effectiveLimitBytes: 3 * MIB, managed: true },
    ]);
    expect(applied.value.policies).toMatchObject([
      { namespace: 'default', name: 'web', state: 'InForce', matchedPods: 1 },
    ]);
    expect((await container.checkpoint()).code).toBe(0);
    expect((await host.ghostlimitJson(CheckpointNodeStatusSchema, 'status')).value).toEqual(applied.value);

    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
    expect((await host.node.exec(['ls', '/etc/criu'])).code).not.toBe(0);
    await container.remove();
  });

  test('a checkpoint is restored by runc and the program goes on', async () => {
    const container = await holder('restored', 3 * MIB, 'restored');
    await host.node.writeFile(`${POLICIES}/restored.yaml`, limitPolicy('restored', '{fixed: 3Mi}'));
    const result = await checkpointOf('restored', '-f', POLICIES);
    expect(result).toMatchObject({ result: 'Succeeded', attempts: 1 });
    expect(await host.node.readFile(RUNC_CONF)).toBeNull();
    const image = result.archive?.path ?? '';
    expect((await host.node.run(['stat', '-c', '%a %U', image])).trim()).toBe('700 root');

    const before = await counterOf(container);
    await host.node.run(['runc', 'delete', '--force', 'restored']);
    await host.node.run([
      'sh',
      '-c',
      `exec runc restore --detach --image-path ${image} --bundle ${container.bundle} restored < /dev/null > /dev/null 2>&1`,
    ]);
    await eventually('the counter to go on', async () =>
      (await counterOf(container)) > before ? true : null,
    );
    await container.remove();
  });

  test('the failure says the file, its size, the smallest limit over all files, and which line to change', async () => {
    const container = await startRuncContainer(host.node, {
      id: 'several',
      args: ghostHolder([
        { path: '/tmp/first.so', bytes: 2 * MIB },
        { path: '/tmp/second.so', bytes: 5 * MIB },
      ]),
      hostNetwork: true,
    });
    await eventually(
      'it to hold its files',
      async () => await host.node.readFile(`${container.rootfs}/tmp/ready`),
    );
    await host.node.writeFile(RUNC_CONF, '# ours\nghost-limit 1500000\n');
    const result = await checkpointOf('several');
    expect(result).toMatchObject({
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 0,
      ghostFile: { path: '/tmp/second.so', bytes: 5 * MIB },
      requiredGhostLimitBytes: 5 * MIB,
    });
    expect(result.hint).toContain('line 2 of /etc/criu/runc.conf');
    expect(result.hint).toContain('"ghost-limit 5242880"');
    await host.node.run(['rm', RUNC_CONF]);
    await container.remove();
  });

  test('a container with the annotation org.criu.config goes by its own file', async () => {
    await host.node.writeFile('/etc/criu/own.conf', 'ghost-limit 8M\n');
    const container = await startRuncContainer(host.node, {
      id: 'annotated',
      args: ghostHolder([{ path: '/tmp/ghost.so', bytes: 3 * MIB }]),
      annotations: { 'org.criu.config': '/etc/criu/own.conf' },
      hostNetwork: true,
    });
    await eventually(
      'it to hold its file',
      async () => await host.node.readFile(`${container.rootfs}/tmp/ready`),
    );
    expect(await checkpointOf('annotated')).toMatchObject({ result: 'Succeeded' });
    const { value } = await host.ghostlimitJson(DoctorSchema, 'doctor');
    expect(value.checks.find(({ name }) => name === 'annotations')).toMatchObject({
      ok: false,
      reason: 'HiddenByAnnotation',
      message: expect.stringContaining('annotated reads /etc/criu/own.conf'),
    });
    await container.remove();
  });

  test('an unknown name and a stopped container are told apart, with exit code 1', async () => {
    const unknown = await host.ghostlimit('checkpoint', 'nobody');
    expect(unknown).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('"nobody"') });
    const container = await holder('stopped', MIB, 'stopped');
    await host.node.run(['runc', 'kill', 'stopped', 'KILL']);
    await eventually('its end', async () =>
      (await host.node.run(['runc', 'state', 'stopped'])).includes('"stopped"') ? true : null,
    );
    expect(await checkpointOf('stopped')).toMatchObject({
      result: 'Failed',
      reason: 'ContainerNotRunning',
      attempts: 0,
    });
    await container.remove();
  });
});

describe('the JVM', () => {
  test('on Docker: refused at the default limit, dumped with a policy, restored by Docker, and it ticks on', async () => {
    const { docker } = host.docker;
    await importJvmImage(host.node, 'jvm');
    await docker(
      'run',
      '-d',
      '--name',
      'jvm',
      '--label',
      'app=jvm',
      '--network',
      'host',
      'jvm',
      ...GHOST_JVM,
    );
    await eventually('its first tick', async () =>
      (await docker('logs', 'jvm')).includes('tick') ? true : null,
    );
    const direct = await host.node.exec([
      'docker',
      'checkpoint',
      'create',
      '--leave-running',
      'jvm',
      'direct',
    ]);
    const log = /path= (\S+?):?\s/.exec(direct.stderr)?.[1] ?? '';
    // 2,793,472 bytes: libstdc++.so.6 of the image, the size of its allocated blocks.
    expect((await host.node.readFile(log))?.toString()).toMatch(
      /Can't dump ghost file \/tmp\/libnetty_tcnative_linux_x86_64\d+\.so of 27\d{5} size, increase limit/,
    );

    await host.node.writeFile(`${POLICIES}/jvm.yaml`, limitPolicy('jvm', '{auto: {}}'));
    const result = await checkpointOf('jvm', '-f', POLICIES);
    expect(result).toMatchObject({ result: 'Succeeded' });
    const ticks = async (): Promise<number> =>
      (await docker('logs', 'jvm')).split('\n').filter((line) => line.startsWith('tick')).length;
    const after = await ticks();
    await eventually('it to tick on', async () => ((await ticks()) > after ? true : null));

    await docker('kill', 'jvm');
    const name = result.archive?.path.split('/').at(-1) ?? '';
    const stopped = await ticks();
    await eventually('the restore', async () =>
      (await host.node.exec(['docker', 'start', '--checkpoint', name, 'jvm'])).code === 0 ? true : null,
    );
    await eventually('the restored JVM to tick', async () => ((await ticks()) > stopped ? true : null));
    await docker('rm', '-f', 'jvm');
  });

  test('on runc: the same file system, the same failure, the same cure', async () => {
    const container = await startRuncContainer(host.node, {
      id: 'jvm',
      args: [
        '/bin/sh',
        '-c',
        `until [ -e /GhostJvm.java ]; do sleep 0.1; done; /usr/bin/${GHOST_JVM.join(' ')} > /tmp/out 2>&1`,
      ],
      annotations: { app: 'jvm' },
      mounts: ['/usr', '/lib', '/lib64', '/etc/java-21-openjdk'].map((destination) => ({
        destination,
        type: 'bind',
        source: `/opt/jre-root${destination}`,
        options: ['bind', 'ro'],
      })),
      hostNetwork: true,
    });
    await host.node.run([
      'cp',
      '/opt/ghostlimit/hack/lab/ghost-jvm/GhostJvm.java',
      `${container.rootfs}/GhostJvm.java`,
    ]);
    await eventually('its first tick', async () =>
      (await host.node.readFile(`${container.rootfs}/tmp/out`))?.toString().includes('tick') === true
        ? true
        : null,
    );
    expect((await container.checkpoint()).stderr).toMatch(
      /Can't dump ghost file \/tmp\/libnetty_tcnative_linux_x86_64\d+\.so of 27\d{5} size, increase limit/,
    );
    expect(await checkpointOf('jvm', '-f', POLICIES)).toMatchObject({ result: 'Succeeded' });
    await container.remove();
  });
});
