// The single-file executable, on a host that has neither Node nor the project's folder.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import { startDocker, importBusyboxImage, type LabDocker } from '../../hack/lab/docker.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { startLabNode, type ExecResult, type LabNode } from '../../hack/lab/lab-node.ts';
import { buildExecutable } from '../../hack/executable.ts';
import {
  buildStandaloneFiles,
  FILES_INSIDE,
  PROJECT,
  takeAwayNodeAndProject,
  type StandaloneFiles,
} from './standalone-files.ts';
import { eventually, limitPolicy, MIB, POLICIES, RUNC_CONF } from './standalone-host.ts';

let files: StandaloneFiles;
let node: LabNode;
let docker: LabDocker;

beforeAll(async () => {
  files = await buildStandaloneFiles();
  node = await startLabNode({ name: 'executable', binds: [files.bind], progress: () => undefined });
  docker = await startDocker(node);
  await importBusyboxImage(node, 'busybox');
  await takeAwayNodeAndProject(node);
  await node.run(['cp', `${FILES_INSIDE}/ghostlimit`, '/usr/local/bin/ghostlimit']);
  const holder = ghostHolder([{ path: '/tmp/ghost.so', bytes: 3 * MIB }]);
  await docker.docker(
    ...['run', '-d', '--network', 'host', '--name', 'web', '--label', 'app=web', 'busybox', ...holder],
  );
  await eventually('the container to hold its file', async () =>
    (await node.exec(['docker', 'exec', 'web', 'cat', '/tmp/ready'])).stdout === 'ready\n' ? true : null,
  );
  await node.writeFile(`${POLICIES}/web.yaml`, limitPolicy('web', '{auto: {maximum: 64Mi}}'));
});
afterAll(async () => {
  await node.stop();
  await files.remove();
});

const ghostlimit = (...args: string[]): Promise<ExecResult> => node.exec(['ghostlimit', ...args]);

describe('the build', () => {
  test('gives the same bytes again, and a checksum that sha256sum accepts', async () => {
    const again = join(files.folder, 'again');
    expect(await buildExecutable(again, () => undefined)).toEqual(files.executable);
    const checked = await node.exec(['sha256sum', '--check', 'ghostlimit.sha256'], { cwd: FILES_INSIDE });
    expect(checked).toMatchObject({ code: 0, stdout: 'ghostlimit: OK\n' });
  });
});

describe('on a host without Node', () => {
  test('there is none', async () => {
    expect((await node.exec(['sh', '-c', 'command -v node; ls /opt/ghostlimit'])).stdout).toBe('');
  });

  test('prints its version and nothing else, in an empty environment too', async () => {
    const { version } = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as {
      version: string;
    };
    const silent = { code: 0, stdout: `${version}\n`, stderr: '' };
    expect(await ghostlimit('--version')).toMatchObject(silent);
    expect(await node.exec(['env', '-i', '/usr/local/bin/ghostlimit', '--version'])).toMatchObject(silent);
    expect((await ghostlimit('agent', '--help')).stdout).toContain('--standalone');
  });

  test('lints', async () => {
    await node.writeFile('/tmp/bad.conf', 'ghost-limit = 3145728\n');
    const { code, stdout } = await ghostlimit('lint', '/tmp/bad.conf');
    expect({ code, stdout }).toEqual({ code: 3, stdout: expect.stringContaining('ghost-limit 3145728') });
  });

  test('scans: its child process is the executable itself', async () => {
    const { code, stdout } = await ghostlimit('scan', '--container', 'web', '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ container: 'web', requiredGhostLimitBytes: 3 * MIB }]);
  });

  test('applies policies, takes a checkpoint, and removes its lines', async () => {
    expect((await ghostlimit('apply', '-f', POLICIES)).code).toBe(0);
    expect((await node.readFile(RUNC_CONF))?.toString()).toContain('\nghost-limit 4194304\n');
    expect((await ghostlimit('checkpoint', 'web')).stdout).toContain('web: checkpointed in ');
    expect((await ghostlimit('apply', '--remove')).code).toBe(0);
    expect(await node.readFile(RUNC_CONF)).toBeNull();
  });

  test('runs as the agent, and ends on SIGTERM with exit code 0', async () => {
    const agent = node.spawn([
      ...['sh', '-c', 'echo $$ > /run/agent.pid; exec ghostlimit agent --standalone --policies "$1"'],
      ...['agent', POLICIES],
    ]);
    await eventually('the limit in force, and what the scan found', async () => {
      const { code, stdout } = await ghostlimit('status', '-o', 'json');
      if (code !== 0) return null;
      const [policy] = (JSON.parse(stdout) as CheckpointNodeStatus).policies;
      const found = policy?.targets[0]?.largestGhostFile?.bytes === 3 * MIB;
      return policy?.state === 'InForce' && found ? true : null;
    });
    await node.run(['sh', '-c', 'kill -TERM "$(cat /run/agent.pid)"']);
    expect(await eventually('its end', () => Promise.resolve(agent.exitCode))).toBe(0);
  });
});
