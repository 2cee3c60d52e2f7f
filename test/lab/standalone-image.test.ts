// The agent as a container on a host with Docker Engine: it works on the host, by the host's programs, and says so when it cannot.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImage } from '../../hack/image.ts';
import { startDocker, importBusyboxImage, type LabDocker } from '../../hack/lab/docker.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { startLabNode, type ExecResult, type LabNode } from '../../hack/lab/lab-node.ts';
import { startRuncContainer } from '../../hack/lab/runc.ts';
import { buildStandaloneFiles, FILES_INSIDE, PROJECT, type StandaloneFiles } from './standalone-files.ts';
import { eventually, limitPolicy, MIB, POLICIES, RUNC_CONF } from './standalone-host.ts';

const IMAGE = 'ghostlimit';
const RIGHTS = ['--privileged', '--pid=host', '--network=host', '--volume', '/:/host:rslave'];

let files: StandaloneFiles;
let node: LabNode;
let docker: LabDocker;

const inAgent = (...args: string[]): Promise<ExecResult> =>
  node.exec(['docker', 'exec', 'agent', 'ghostlimit', ...args]);

/** As docs/standalone.md has it; returns when it is ready. */
async function startAgent(): Promise<void> {
  await docker.docker('run', '--detach', '--name', 'agent', ...RIGHTS, IMAGE);
  await eventually('the agent', async () =>
    (await node.exec(['curl', '--silent', 'http://127.0.0.1:9808/readyz'])).stdout === 'ok\n' ? true : null,
  );
}

const confHas = (line: string): Promise<true> =>
  eventually(`"${line}" in ${RUNC_CONF}`, async () =>
    (await node.readFile(RUNC_CONF))?.toString().split('\n').includes(line) === true ? true : null,
  );

beforeAll(async () => {
  files = await buildStandaloneFiles({ image: true });
  node = await startLabNode({ name: 'image', binds: [files.bind], progress: () => undefined });
  // As systemd leaves the root of every host that it starts.
  await node.run(['mount', '--make-rshared', '/']);
  docker = await startDocker(node);
  await importBusyboxImage(node, 'busybox');
  await docker.docker('load', '--input', `${FILES_INSIDE}/ghostlimit-image.tar`);
});
afterAll(async () => {
  await node.stop();
  await files.remove();
});

describe('the image', () => {
  test('is built the same again', async () => {
    const again = join(files.folder, 'again.tar');
    await buildImage(again, () => undefined);
    const same = await node.exec([
      'cmp',
      `${FILES_INSIDE}/again.tar`,
      `${FILES_INSIDE}/ghostlimit-image.tar`,
    ]);
    expect(same).toMatchObject({ code: 0 });
  });

  // No registry is there for the real base image: the image of ours, which holds the libraries, stands in for it.
  test('is the one that deploy/docker/Dockerfile makes on a base image', async () => {
    await docker.docker('tag', IMAGE, 'debian:trixie-slim');
    const dockerfile = await readFile(join(PROJECT, 'deploy/docker/Dockerfile'));
    await node.writeFile('/run/context/Dockerfile', dockerfile);
    await node.run(['cp', `${FILES_INSIDE}/ghostlimit`, '/run/context/ghostlimit']);
    await docker.docker('build', '--tag', 'built', '/run/context');
    const config = async (image: string): Promise<unknown> => {
      const [{ Config }] = JSON.parse(await docker.docker('image', 'inspect', image)) as [
        { Config: { Env: string[]; Entrypoint: string[]; Cmd: string[] } },
      ];
      return { ...Config, Env: Config.Env.toSorted(), Image: '', Hostname: '' };
    };
    const { Env, Entrypoint, Cmd } = (await config('built')) as Record<string, unknown>;
    expect(await config(IMAGE)).toMatchObject({ Env, Entrypoint, Cmd });
    expect(await docker.docker('run', '--rm', '--network=host', 'built', '--version')).toMatch(
      /^\d+\.\d+\.\d+$/,
    );
  });
});

describe('a container without what it needs of the host', () => {
  const advice = 'start the container with --privileged --pid=host -v /:/host:rslave';
  test.each([
    ['the root', RIGHTS.slice(0, 3), 'no such file or directory'],
    [
      'the pid namespace',
      ['--privileged', '--network=host', ...RIGHTS.slice(3)],
      "not the root of the host's process 1",
    ],
    ['the rights', RIGHTS.slice(1), 'permission denied'],
  ])('is told so: %s', async (_what, rights, why) => {
    const { code, stderr } = await node.exec(['docker', 'run', '--rm', ...rights, IMAGE, 'doctor']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(why) });
    expect(stderr).toContain(advice);
  });
});

describe('the agent in a container', () => {
  const FOREIGN = '# theirs\nskip-in-flight';

  test('makes a checkpoint of another container work, and restores the file when the policy goes', async () => {
    await node.writeFile(RUNC_CONF, FOREIGN);
    await node.run(['sh', '-c', `chown 1000:1001 ${RUNC_CONF}; chmod 640 ${RUNC_CONF}`]);
    const holder = ghostHolder([{ path: '/tmp/ghost.so', bytes: 8 * MIB }]);
    await docker.docker(
      'run',
      '-d',
      '--network',
      'host',
      '--name',
      'web',
      '--label',
      'app=web',
      'busybox',
      ...holder,
    );
    await eventually('its file', async () =>
      (await node.exec(['docker', 'exec', 'web', 'cat', '/tmp/ready'])).stdout === 'ready\n' ? true : null,
    );
    const checkpoint = ['docker', 'checkpoint', 'create', '--leave-running', 'web'];
    expect((await node.exec([...checkpoint, 'before'])).stderr).toContain('criu failed: type DUMP errno 0');

    await startAgent();
    await node.writeFile(`${POLICIES}/web.yaml`, limitPolicy('web', '{auto: {maximum: 64Mi}}'));
    // 8 MiB and 25 %.
    await confHas('ghost-limit 10485760');
    expect(await node.run(['stat', '-c', '%u:%g %a', RUNC_CONF])).toBe('1000:1001 640\n');
    expect(await node.exec([...checkpoint, 'after'])).toMatchObject({ code: 0 });

    await node.run(['rm', `${POLICIES}/web.yaml`]);
    await eventually('the file as it was', async () =>
      (await node.readFile(RUNC_CONF))?.toString() === FOREIGN ? true : null,
    );
  });

  test('tells of the host, not of its container', async () => {
    const { code, stdout } = await inAgent('doctor');
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^ok +criu: CRIU \d/m) });
    expect(stdout).toMatch(/^ok +runc: runc:\/\/\d/m);
    const [file] = (await node.run(['sh', '-c', 'command -v criu'])).split('\n');
    await node.run(['mv', file ?? '', '/root/criu.away']);
    expect(await inAgent('doctor')).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('CriuMissing'),
    });
    await node.run(['mv', '/root/criu.away', file ?? '']);
  });

  test("takes a checkpoint of a container of the host's runc, into the host's folder", async () => {
    const args = ghostHolder([{ path: '/tmp/ghost.so', bytes: 3 * MIB }]);
    const { rootfs } = await startRuncContainer(node, {
      id: 'plain',
      args,
      annotations: { app: 'plain' },
      hostNetwork: true,
    });
    await eventually('its file', async () => await node.readFile(`${rootfs}/tmp/ready`));
    await node.writeFile(
      `${POLICIES}/plain.yaml`,
      limitPolicy('plain', '{fixed: 3Mi}', '  scope: Checkpoint\n'),
    );
    await eventually('the policy to be seen', async () =>
      (await inAgent('status')).stdout.includes('default/plain') ? true : null,
    );
    expect(await inAgent('checkpoint', 'plain')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(' in /var/lib/ghostlimit/checkpoints/'),
    });
    expect(await node.run(['find', '/var/lib/ghostlimit/checkpoints', '-name', 'inventory.img'])).not.toBe(
      '',
    );
  });

  test('is the only one on the host: a program outside is told its pid as the host counts', async () => {
    const pid = await docker.docker('inspect', '--format', '{{.State.Pid}}', 'agent');
    const outside = await node.exec([`${FILES_INSIDE}/ghostlimit`, 'apply', '-f', POLICIES]);
    expect(outside).toMatchObject({ code: 1, stderr: expect.stringContaining(`process ${pid}`) });
  });

  test('ends on docker stop in good order', async () => {
    await docker.docker('stop', '--timeout', '120', 'agent');
    expect(await docker.docker('inspect', '--format', '{{.State.ExitCode}}', 'agent')).toBe('0');
  });
});
