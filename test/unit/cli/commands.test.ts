import { beforeEach, describe, expect, test } from '@jest/globals';
import { CheckpointNodeStatusSchema } from '../../../src/api/checkpoint-node.ts';
import { CheckpointRequestSchema } from '../../../src/api/checkpoint-request.ts';
import { apply, remove } from '../../../src/cli/commands/apply.ts';
import { checkpoint } from '../../../src/cli/commands/checkpoint.ts';
import { scan } from '../../../src/cli/commands/scan.ts';
import { showReport, status } from '../../../src/cli/commands/status.ts';
import type { Output, OutputFormat } from '../../../src/cli/output.ts';
import { ENGINE_LOCK } from '../../../src/node-engine/documents.ts';
import { aPolicyFor } from '../../builders/policies.ts';
import { FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

const MI = 2 ** 20;

class HeardOutput implements Output {
  readonly format: OutputFormat;
  text = '';
  json: unknown = undefined;
  notes: string[] = [];
  constructor(format: OutputFormat = 'json') {
    this.format = format;
  }
  print(text: string): void {
    this.text += `${text}\n`;
  }
  printJson(value: unknown): void {
    this.json = JSON.parse(JSON.stringify(value));
  }
  note(text: string): void {
    this.notes.push(text);
  }
}

let node: FakeNode;
let output: HeardOutput;
beforeEach(() => {
  node = new FakeNode({ [RUNC_CONF]: '# theirs\n' });
  node.run('web', { '/tmp/a.so': 4 * MI }, { app: 'web' });
  output = new HeardOutput();
});

describe('apply', () => {
  test('one pass, with its scans: an auto target is in force at once', async () => {
    node.folder.put('a.yaml', [aPolicyFor('web', { auto: {} })]);
    expect(await apply(node.engineParts(), output)).toBe(0);
    expect(node.ownLines).toEqual([`ghost-limit ${5 * MI}`]);
    expect(CheckpointNodeStatusSchema.parse(output.json)).toMatchObject({
      observedGeneration: 0,
      agentVersion: '0.0.0',
      runtime: {
        containerRuntime: 'docker://1.2.3',
        ociRuntime: 'runc 1.3.6',
        criuVersion: '4.2.1',
        kernelVersion: '6.12.0',
      },
      conditions: [{ type: 'Ready', status: 'True' }, { type: 'ConfigInSync' }, { type: 'CheckpointReady' }],
      files: [
        {
          path: RUNC_CONF,
          state: 'InSync',
          effectiveLimitBytes: 5 * MI,
          desiredLimitBytes: 5 * MI,
          managed: true,
        },
      ],
      policies: [
        {
          namespace: 'default',
          name: 'web',
          state: 'InForce',
          matchedPods: 1,
          targets: [
            {
              name: 'web',
              requiredBytes: 4 * MI,
              learnedLimitBytes: 5 * MI,
              largestGhostFile: {
                path: '/tmp/a.so',
                bytes: 4 * MI,
                podName: 'web',
                containerName: 'web',
                nodeName: 'n1',
              },
            },
          ],
        },
      ],
    });
    await (await node.state.lock(ENGINE_LOCK, 0)).release();
  });

  test.each([
    [
      'a policy that is wrong',
      () => {
        node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3MB' })]);
      },
    ],
    [
      'a line of theirs that CRIU refuses',
      () => {
        node.files.put(RUNC_CONF, 'bogus\n');
        node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3Mi' })]);
      },
    ],
    [
      'no engine',
      () => {
        node.runtime.available = false;
        void node.state.write('runtimes.json', Buffer.from('["docker"]'));
      },
    ],
  ])('%s: exit 1, and the report all the same', async (_sentence, breakIt) => {
    breakIt();
    expect(await apply(node.engineParts(), output)).toBe(1);
    expect(CheckpointNodeStatusSchema.safeParse(output.json).success).toBe(true);
  });

  test('while an agent runs: refused, and its pid', async () => {
    await node.state.asProcess(4711).lock(ENGINE_LOCK, 0);
    await expect(apply(node.engineParts(), output)).rejects.toMatchObject({
      exitCode: 1,
      message:
        'an agent is running on this host (process 4711): change its policies folder, or stop it first',
    });
    expect(node.conf).toBe('# theirs\n');
  });

  test('--remove leaves what was there, also with the engine and the folder away', async () => {
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3Mi' })]);
    await apply(node.engineParts(), output);
    node.runtime.available = false;
    const plan = { read: () => Promise.resolve({ policies: [], problems: [] }), watch: () => undefined };
    expect(await remove({ ...node.engineParts(), plan }, output)).toBe(0);
    expect(node.conf).toBe('# theirs\n');
    expect(output.json).toMatchObject({ files: [{ managed: false }] });
  });

  test('--remove that cannot write: exit 1, and it says that the lines are still there', async () => {
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3Mi' })]);
    await apply(node.engineParts(), output);
    node.files.fail('create', 'EROFS', { always: true });
    const plan = { read: () => Promise.resolve({ policies: [], problems: [] }), watch: () => undefined };
    expect(await remove({ ...node.engineParts(), plan }, output)).toBe(1);
    expect(output.json).toMatchObject({ files: [{ state: 'ReadOnlyFileSystem', managed: true }] });
  });
});

describe('status', () => {
  test('no report', async () => {
    await expect(status(() => Promise.resolve(null), '/x', output)).rejects.toMatchObject({ exitCode: 1 });
  });

  test('in a table: files with who asks, policies, problems, versions', async () => {
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3Mi' })]);
    node.folder.put('b.yaml', 'no: [yaml');
    output = new HeardOutput('table');
    showReport(await node.pass(), output);
    expect(output.text).toMatch(/^ConfigInSync +True +InSync +every CRIU file/m);
    expect(output.text).toMatch(/^\/etc\/criu\/runc\.conf +InSync +3 MiB +3 MiB by default\/web web +yes /m);
    expect(output.text).toMatch(/^default\/web +web +InForce +InSync +1 +3 MiB +-$/m);
    expect(output.text).toMatch(/^b\.yaml +InvalidPolicy +is not valid YAML/m);
    expect(output.text).toMatch(/^CRIU 4\.2\.1, docker:\/\/1\.2\.3, runc 1\.3\.6, Linux 6\.12\.0$/m);
  });
});

describe('checkpoint', () => {
  const choice = { reference: 'web', containerName: null, timeoutSeconds: 60 };
  const parts = async () => ({ ...(await node.checkpointParts()), runtimes: [node.runtime], nodeName: 'n1' });

  test('a CheckpointRequest: Complete', async () => {
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '8Mi' })]);
    await node.pass();
    expect(await checkpoint(choice, await parts(), output)).toBe(0);
    expect(CheckpointRequestSchema.parse(output.json)).toMatchObject({
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointRequest',
      metadata: { namespace: 'default' },
      spec: { podName: 'web', containerNames: ['web'], timeoutSeconds: 60 },
      status: {
        nodeName: 'n1',
        conditions: [{ type: 'Complete', status: 'True' }],
        containers: [
          { name: 'web', result: 'Succeeded', attempts: 1, archive: { sizeBytes: 4 * MI + 65_536 } },
        ],
      },
    });
  });

  test('Failed: exit 1, with reason, message, hint, file and the smallest limit', async () => {
    expect(await checkpoint(choice, await parts(), output)).toBe(1);
    expect(CheckpointRequestSchema.parse(output.json)).toMatchObject({
      status: {
        conditions: [{ type: 'Failed', status: 'True', reason: 'GhostLimitExceeded' }],
        containers: [
          {
            reason: 'GhostLimitExceeded',
            ghostFile: { path: '/tmp/a.so', bytes: 4 * MI },
            requiredGhostLimitBytes: 4 * MI,
            attempts: 0,
          },
        ],
      },
    });
  });

  test('Failed in text: one thing a line', async () => {
    output = new HeardOutput('table');
    await checkpoint(choice, await parts(), output);
    expect(output.text.split('\n')).toEqual([
      'web: FAILED: GhostLimitExceeded',
      '  not attempted: the deleted file /tmp/a.so has 4194304 bytes and ghost-limit is 1048576',
      '  ghost file: /tmp/a.so, 4194304 bytes (4 MiB)',
      '  smallest limit that would do: 4194304',
      expect.stringContaining('  what to do: '),
      '',
    ]);
  });

  test('what is asked for stands in the request: Fail, and checks that are skipped', async () => {
    node.folder.put('a.yaml', [aPolicyFor('web', { auto: { maximum: '64Mi' } }, { scope: 'Checkpoint' })]);
    await node.pass();
    node.freeBytes.set('/var/lib/docker', 0);
    const skipped = { skipChecks: ['FreeSpace'] as const };
    expect(await checkpoint({ ...choice, ...skipped }, await parts(), output)).toBe(0);
    expect(CheckpointRequestSchema.parse(output.json).spec).toMatchObject({ skipChecks: ['FreeSpace'] });
    expect(await checkpoint(choice, await parts(), output)).toBe(1);
    expect(output.json).toMatchObject({ status: { containers: [{ reason: 'NoSpace' }] } });
    expect(await checkpoint({ ...choice, onGhostLimit: 'Fail' }, await parts(), output)).toBe(1);
    expect(CheckpointRequestSchema.parse(output.json)).toMatchObject({
      spec: { onGhostLimit: 'Fail' },
      status: { containers: [{ reason: 'GhostLimitExceeded', attempts: 0 }] },
    });
  });

  test('timed out: exit 124', async () => {
    node.run('idle');
    node.runtime.hang = Promise.resolve();
    expect(await checkpoint({ ...choice, reference: 'idle' }, await parts(), output)).toBe(124);
  });

  test.each([
    [
      'nobody of that name',
      { reference: 'x\u001b' },
      'no container or pod is called "x\\x1b" on this host: see "docker ps" or "runc list"',
    ],
    [
      'no such container in it',
      { containerName: 'side' },
      'no container or pod is called "web" with a container "side" on this host: see "docker ps" or "runc list"',
    ],
  ])('%s: exit 1', async (_sentence, changes, message) => {
    await expect(checkpoint({ ...choice, ...changes }, await parts(), output)).rejects.toMatchObject({
      exitCode: 1,
      message,
    });
  });

  test('no engine: that is said, not that there is no container', async () => {
    node.runtime.available = false;
    await expect(checkpoint(choice, await parts(), output)).rejects.toThrow(
      'no container engine answers: docker: connect ECONNREFUSED',
    );
  });

  const inPod = (name: string) => ({
    'io.kubernetes.pod.name': 'shop-0',
    'io.kubernetes.pod.namespace': 'shop',
    'io.kubernetes.pod.uid': 'u1',
    'io.kubernetes.container.name': name,
  });

  test('a pod: its running containers, one after the other', async () => {
    node.run('k8s_app', {}, inPod('app'));
    node.run('k8s_proxy', {}, inPod('proxy'));
    node.run('k8s_app_old', {}, inPod('app'));
    node.runtime.stop('k8s_app_old');
    expect(await checkpoint({ ...choice, reference: 'shop-0' }, await parts(), output)).toBe(0);
    expect(output.json).toMatchObject({
      metadata: { namespace: 'shop' },
      spec: { podName: 'shop-0', containerNames: ['app', 'proxy'] },
      status: {
        containers: [
          { name: 'app', result: 'Succeeded' },
          { name: 'proxy', result: 'Succeeded' },
        ],
      },
    });
  });

  test('only the container that was named', async () => {
    node.run('k8s_app', {}, inPod('app'));
    node.run('k8s_proxy', {}, inPod('proxy'));
    await checkpoint({ ...choice, reference: 'shop-0', containerName: 'proxy' }, await parts(), output);
    expect(node.runtime.calls.map(({ container }) => container.id)).toEqual(['k8s_proxy']);
  });
});

describe('scan', () => {
  const parts = () => ({ scanner: node.scanner, runtimes: [node.runtime] });
  const WEB = {
    container: 'web',
    requiredGhostLimitBytes: 4 * MI,
    linkRemapRequired: false,
    files: [{ path: '/tmp/a.so', kind: 'Fd', sizeBytes: 4 * MI, allocatedBytes: 4 * MI, references: 1 }],
    blockers: [],
    warnings: [],
  };

  test('every running container; one that just ended does not spoil the rest', async () => {
    node.runtime.add({ id: 'gone' });
    node.runtime.add({ id: 'never', state: 'Created', pid: null });
    expect(await scan({}, parts(), output)).toBe(0);
    expect(output.json).toMatchObject([WEB]);
    expect(output.notes).toEqual([
      expect.stringMatching(/^container gone is left out: process \d+ cannot be scanned/),
    ]);
  });

  test('one container; one process', async () => {
    await scan({ container: 'web' }, parts(), output);
    expect(output.json).toMatchObject([WEB]);
    const pid = node.run('db');
    await scan({ pid }, parts(), output);
    expect(output.json).toEqual([
      {
        pid,
        container: null,
        requiredGhostLimitBytes: 0,
        linkRemapRequired: false,
        residentBytes: 0,
        files: [],
        blockers: [],
        warnings: [],
      },
    ]);
  });

  test.each([
    ['an unknown container', { container: 'x' }, 'no container or pod is called "x" on this host'],
    [
      'a process that is not there',
      { pid: 99_999 },
      'process 99999 cannot be scanned: there is no process 99999',
    ],
  ])('%s: exit 1', async (_sentence, choice, message) => {
    await expect(scan(choice, parts(), output)).rejects.toMatchObject({ exitCode: 1, message });
  });

  test('a stopped container: exit 1', async () => {
    node.runtime.stop('web');
    await expect(scan({ container: 'web' }, parts(), output)).rejects.toThrow(
      'container web is stopped: only a running one can be scanned',
    );
  });

  test('in a table, with names escaped', async () => {
    node.run('evil', { '/tmp/\u001b[31m': 2 * MI });
    output = new HeardOutput('table');
    await scan({ container: 'evil' }, parts(), output);
    expect(output.text).toContain('/tmp/\\x1b[31m');
    expect(output.text).toContain('needs ghost-limit 2097152 (2 MiB)');
  });
});
