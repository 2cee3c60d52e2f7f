// `kubectl ghostlimit checkpoint` as a user has it: the bundle, found by the real kubectl in PATH, against a real API server. The test is the controller.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../src/api/kube-resources.ts';
import type { KubeApi } from '../../src/ports/kube-api.ts';
import { bundle } from '../../hack/bundle.ts';
import { startControlPlane } from '../../hack/kube/control-plane.ts';
import { ensureKubePrograms } from '../../hack/kube/kube-binaries.ts';
import { eventually } from './eventually.ts';
import { startInstalledPlane, type InstalledPlane } from './installed-plane.ts';

interface Run {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly text: { stdout: string; stderr: string };
  readonly ended: Promise<Run>;
}

let folder = '';
let kubectl = '';
let plane: InstalledPlane;
let admin: KubeApi;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ghostlimit-plugin-'));
  ({ kubectl } = await ensureKubePrograms(['kubectl'], () => undefined));
  await bundle(join(folder, 'dist'));
  // As npm links what package.json calls bin.
  mkdirSync(join(folder, 'bin'));
  symlinkSync('../dist/kubectl-ghostlimit.mjs', join(folder, 'bin', 'kubectl-ghostlimit'));
  plane = await startInstalledPlane('install.yaml', [
    { name: 'jane' },
    { name: 'stranger' },
    { name: 'writer' },
  ]);
  admin = plane.as({ user: 'admin' });
  for (const namespace of ['shop', 'free']) await plane.kubectl(['create', 'namespace', namespace]);
  // There is no controller that fills the role view: these are the rights that it would have.
  for (const [user, roles] of [
    ['jane', ['ghostlimit-edit', 'ghostlimit-view']],
    ['writer', ['ghostlimit-edit']],
  ] as const)
    for (const role of roles)
      await plane.kubectl([
        'create',
        'clusterrolebinding',
        `${user}-${role}`,
        `--clusterrole=${role}`,
        `--user=${user}`,
      ]);
  await plane.kubectl(['-n', 'free', 'create', 'role', 'exec', '--verb=create', '--resource=pods/exec']);
  for (const user of ['jane', 'writer'])
    await plane.kubectl([
      '-n',
      'free',
      'create',
      'rolebinding',
      `exec-${user}`,
      '--role=exec',
      `--user=${user}`,
    ]);
  for (const user of ['admin', 'jane', 'stranger', 'writer']) writeConfig(user, plane.kubeconfig(user));
  await eventually('the admission policy to be in force', async () => {
    const { stderr } = await run('jane', ['checkpoint', 'web-0', '-n', 'shop']);
    return stderr.includes('may not create pods/exec') ? true : null;
  });
  await eventually('the right in the namespace "free" to be in force', async () => {
    const { exitCode } = await run('jane', ['checkpoint', 'web-0']);
    return exitCode === 0 ? true : null;
  });
  await deleteRequests();
});

afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await deleteRequests();
});

afterAll(async () => {
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function deleteRequests(): Promise<void> {
  await plane.kubectl(['delete', 'checkpointrequests', '--all', '--all-namespaces']);
}

/** The namespace of its context is "free". */
function writeConfig(name: string, text: string): void {
  const config = JSON.parse(text) as { contexts: { context: { namespace?: string } }[] };
  for (const { context } of config.contexts) context.namespace = 'free';
  writeFileSync(configOf(name), JSON.stringify(config));
}

const configOf = (name: string): string => join(folder, `${name}.kubeconfig`);

/** `kubectl ghostlimit WORDS`. `config`: of a user; several, with colons between, as KUBECONFIG takes them. */
function start(config: string, words: readonly string[]): Running {
  // Ends with this process, however that ends: without a server the plugin would wait for ever.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', kubectl, 'ghostlimit', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: [join(folder, 'bin'), dirname(process.execPath), process.env['PATH']].join(':'),
      HOME: folder,
      KUBECONFIG: config.split(':').map(configOf).join(':'),
    },
  });
  running.add(child);
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  const ended = once(child, 'close').then(([exitCode, signal]): Run => {
    running.delete(child);
    return { ...text, exitCode: exitCode as number | null, signal: signal as NodeJS.Signals | null };
  });
  return { child, text, ended };
}

function run(config: string, words: readonly string[]): Promise<Run> {
  return start(config, words).ended;
}

async function untilNoted({ text }: Running, part: string): Promise<void> {
  await eventually(
    `the line ${part}`,
    () => Promise.resolve(text.stderr.includes(part) ? true : null),
    plane,
  );
}

/** The only one there. */
async function requestOf(namespace = 'free'): Promise<KubeObject> {
  return await eventually('a request', async () => {
    const { items } = await admin.list(CHECKPOINT_REQUESTS, { namespace });
    return items[0] ?? null;
  });
}

/** As the controller does. */
async function setStatus({ metadata }: KubeObject, status: Readonly<Record<string, unknown>>): Promise<void> {
  const { name, namespace = '' } = metadata;
  const options = { fieldManager: 'ghostlimit-controller', subresource: 'status' } as const;
  await admin.mergePatch(CHECKPOINT_REQUESTS, { name, namespace }, { status }, options);
}

const condition = (type: string, reason: string, message = '') => ({
  type,
  status: 'True',
  lastTransitionTime: '2026-11-23T10:00:00Z',
  reason,
  message,
});

const QUEUED = {
  summary: 'Queued (3)',
  queuePosition: 3,
  nodeName: 'node1',
  conditions: [condition('Accepted', 'Accepted')],
};
const RUNNING = { ...QUEUED, summary: 'Running', conditions: [condition('Running', 'Running')] };
const COMPLETE = {
  summary: 'Complete',
  nodeName: 'node1',
  conditions: [condition('Complete', 'Checkpointed')],
  containers: [
    {
      name: 'app',
      result: 'Succeeded',
      durationSeconds: 0.61,
      attempts: 1,
      archive: { path: '/archives/app.tar', sizeBytes: 47_510_016, createdTime: '2026-11-23T10:00:01Z' },
    },
  ],
};

const NAME = /^checkpointrequest\.ghostlimit\.dev\/web-0-[a-z0-9]{5}$/;

describe('created', () => {
  test('in the namespace of the context, named after the pod, with the defaults of the API', async () => {
    const { exitCode, stdout, stderr } = await run('jane', ['checkpoint', 'web-0']);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^checkpointrequest\.ghostlimit\.dev\/web-0-[a-z0-9]{5} created\n$/);
    const request = await requestOf();
    expect(stdout).toContain(`/${request.metadata.name} created`);
    expect(request['spec']).toEqual({
      podName: 'web-0',
      timeoutSeconds: 120,
      startDeadlineSeconds: 600,
      ttlSecondsAfterFinished: 604_800,
      archivePolicy: 'Delete',
    });
  });

  test('with several files in KUBECONFIG: as kubectl merges them', async () => {
    const { contexts, ...rest } = JSON.parse(plane.kubeconfig('jane')) as Record<string, unknown>;
    const context = { ...(contexts as { context: object }[])[0]?.context, namespace: 'free' };
    const merged = [
      ['1', { 'current-context': 'mine', contexts: [{ name: 'mine', context }] }],
      ['2', rest],
      ['3', { ...(JSON.parse(plane.kubeconfig('stranger')) as object), 'current-context': 'lab' }],
    ] as const;
    for (const [name, config] of merged) writeFileSync(configOf(name), JSON.stringify(config));
    const { exitCode, stdout, stderr } = await run('nowhere:1:2:3', ['checkpoint', 'web-0', '-o', 'json']);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ metadata: { namespace: 'free', generateName: 'web-0-' } });
  });

  test('with all flags, by --kubeconfig and --context', async () => {
    const words = ['checkpoint', 'pod/web-0', '-c', 'app,proxy', '-c', 'log', '-n', 'free', '-o', 'json'];
    const more = ['--container-timeout', '90s', '--start-deadline', '2m', '--on-ghost-limit', 'RaiseOnce'];
    const last = ['--skip-checks', 'FreeSpace,PredictedPause', '--keep-archive', '--context', 'lab'];
    const { exitCode, stdout } = await run('nowhere', [
      ...[...words, ...more, ...last],
      ...['--kubeconfig', configOf('jane')],
    ]);
    expect(exitCode).toBe(0);
    const request = JSON.parse(stdout) as KubeObject;
    expect(request['spec']).toEqual({
      podName: 'web-0',
      containerNames: ['app', 'proxy', 'log'],
      timeoutSeconds: 90,
      startDeadlineSeconds: 120,
      onGhostLimit: 'RaiseOnce',
      skipChecks: ['FreeSpace', 'PredictedPause'],
      ttlSecondsAfterFinished: 604_800,
      archivePolicy: 'Retain',
    });
    expect(request.metadata).not.toHaveProperty('managedFields');
    expect((await requestOf()).metadata.uid).toBe(request.metadata.uid);
  });

  test('for a pod with a name as long as names can be', async () => {
    const pod = `${'a'.repeat(56)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}.eeee`;
    const { exitCode, stdout } = await run('jane', ['checkpoint', pod, '-o', 'name']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^checkpointrequest\.ghostlimit\.dev\/a{56}-[a-z0-9]{5}\n$/);
    expect((await requestOf())['spec']).toMatchObject({ podName: pod });
  });

  test('-o name is what kubectl takes', async () => {
    const { stdout } = await run('jane', ['checkpoint', 'web-0', '-o', 'name']);
    expect(stdout.trim()).toMatch(NAME);
    expect(await plane.kubectl(['-n', 'free', 'get', stdout.trim(), '-o', 'name'])).toBe(stdout);
  });
});

describe('--wait', () => {
  test('each change as the controller writes it, then the result', async () => {
    const plugin = start('jane', ['checkpoint', 'web-0', '--wait']);
    const request = await requestOf();
    await setStatus(request, QUEUED);
    await untilNoted(plugin, 'Queued (3) on node1\n');
    await setStatus(request, RUNNING);
    await untilNoted(plugin, 'Running on node1\n');
    await setStatus(request, COMPLETE);
    const { exitCode, stdout, stderr } = await plugin.ended;
    expect(exitCode).toBe(0);
    // On a busy machine the test is a slow controller.
    expect(stderr.replace(/^nobody has taken .*\n/m, ''))
      .toBe(`checkpointrequest.ghostlimit.dev/${request.metadata.name} created
Queued (3) on node1
Running on node1
app: Succeeded in 0.61 s, 45.3 MiB
Complete
`);
    expect(stdout).toBe(`CONTAINER  RESULT     REASON  DURATION  SIZE      NODE   ARCHIVE
app        Succeeded  -       0.61 s    45.3 MiB  node1  /archives/app.tar
`);
  });

  test('json, of a request that failed: exit 1', async () => {
    const plugin = start('jane', ['checkpoint', 'web-0', '--wait', '-o', 'json']);
    const failed = { conditions: [condition('Failed', 'NoSpace', 'the disk is full')], summary: 'Failed' };
    await setStatus(await requestOf(), failed);
    const { exitCode, stdout } = await plugin.ended;
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'CheckpointRequest', status: failed });
  });

  test('a request that was not started in time: exit 124, and each thing is said once', async () => {
    const plugin = start('jane', ['checkpoint', 'web-0', '--wait']);
    const failed = condition('Failed', 'DeadlineExceeded', 'not started within 600 s');
    await setStatus(await requestOf(), { summary: 'Failed', hint: 'ask for less', conditions: [failed] });
    const { exitCode, stdout } = await plugin.ended;
    expect([exitCode, stdout]).toEqual([
      124,
      'Failed: DeadlineExceeded: not started within 600 s\n  what to do: ask for less\n',
    ]);
  });

  test('the time is up: exit 124, and the request is there', async () => {
    const { exitCode, stdout, stderr } = await run('jane', [
      'checkpoint',
      'web-0',
      '--wait',
      '--timeout',
      '1s',
    ]);
    expect([exitCode, stdout]).toEqual([124, '']);
    const { metadata } = await requestOf();
    expect(stderr).toContain(
      `ghostlimit: timed out after 1 s: checkpointrequest.ghostlimit.dev/${metadata.name} goes on (Waiting): follow it with "kubectl -n free get`,
    );
    expect(metadata.deletionTimestamp).toBeUndefined();
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s: the request goes on, and a script around it ends',
    async (signal) => {
      const plugin = start('jane', ['checkpoint', 'web-0', '--wait']);
      const request = await requestOf();
      await setStatus(request, RUNNING);
      await untilNoted(plugin, 'Running on node1\n');
      plugin.child.kill(signal);
      const ended = await plugin.ended;
      expect([ended.exitCode, ended.signal, ended.stdout]).toEqual([null, signal, '']);
      expect(ended.stderr).toContain(
        `ghostlimit: no longer waiting: checkpointrequest.ghostlimit.dev/${request.metadata.name} goes on (Running): follow it`,
      );
      expect((await requestOf()).metadata.deletionTimestamp).toBeUndefined();
    },
  );

  test('deleted by somebody: exit 1', async () => {
    const plugin = start('jane', ['checkpoint', 'web-0', '--wait']);
    const { metadata } = await requestOf();
    await untilNoted(plugin, 'created\n');
    await plane.kubectl(['-n', 'free', 'delete', 'checkpointrequest', metadata.name]);
    const { exitCode, stderr } = await plugin.ended;
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${metadata.name} was deleted before it was finished (Waiting)`);
  });

  test('an API server that is killed and comes again: nothing is missed', async () => {
    const plugin = start('jane', ['checkpoint', 'web-0', '--wait']);
    const request = await requestOf();
    await setStatus(request, QUEUED);
    await untilNoted(plugin, 'Queued (3) on node1\n');
    await plane.apiServer.kill();
    await untilNoted(plugin, 'still trying; it goes on\n');
    await plane.restartApiServer();
    // Roles are read some time after the server is ready.
    await eventually('the controller to be let in', () =>
      setStatus(request, COMPLETE).then(
        () => true,
        () => null,
      ),
    );
    const { exitCode, stdout, stderr } = await plugin.ended;
    expect(stderr).toContain('\nComplete\n');
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('/archives/app.tar')]);
  });
});

describe('refused: exit 1, nothing on standard output, the reason and what to do', () => {
  const refused = async (config: string, words: readonly string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(config, ['checkpoint', 'web-0', ...words]);
    expect([exitCode, stdout]).toEqual([1, '']);
    return stderr;
  };

  test('by our admission policy: its words', async () => {
    expect(await refused('jane', ['-n', 'shop'])).toBe(
      'ghostlimit: not allowed: spec.podName: web-0: jane may not create pods/exec in the namespace shop, and a checkpoint reads the memory of the pod: have that right granted\n',
    );
  });

  test('by RBAC', async () => {
    expect(await refused('stranger', [])).toBe(
      'ghostlimit: not allowed: checkpointrequests.ghostlimit.dev is forbidden: User "stranger" cannot create resource "checkpointrequests" in API group "ghostlimit.dev" in the namespace "free": have the ClusterRole edit (or ghostlimit-edit, with create of pods/exec) bound to you in the namespace free\n',
    );
  });

  test('by RBAC, only the looking: the request is there', async () => {
    const told = await refused('writer', ['--wait']);
    const { metadata } = await requestOf();
    expect(told).toContain(
      `ghostlimit: checkpointrequest.ghostlimit.dev/${metadata.name} was created and goes on, but cannot be waited for: `,
    );
    expect(told).toContain('have get, list and watch of checkpointrequests granted');
  });

  test('a namespace that is not there', async () => {
    expect(await refused('admin', ['-n', 'nowhere'])).toBe(
      'ghostlimit: there is no namespace "nowhere": "kubectl get namespaces" lists them\n',
    );
  });

  test('a token that nobody knows', async () => {
    const config = JSON.parse(plane.kubeconfig()) as { users: { user: { token: string } }[] };
    for (const { user } of config.users) user.token = 'no-such-token';
    writeConfig('unknown', JSON.stringify(config));
    expect(await refused('unknown', [])).toBe(
      'ghostlimit: the API server does not know you: Unauthorized: log in again, or choose another --context\n',
    );
  });

  test('a cluster without our kinds', async () => {
    const bare = await startControlPlane();
    try {
      writeConfig('bare', bare.kubeconfig());
      expect(await refused('bare', ['-n', 'default'])).toMatch(
        /^ghostlimit: this cluster does not know CheckpointRequests \(.*\): install ghostlimit there \("kubectl apply --server-side -f deploy\/install\.yaml"\)/,
      );
    } finally {
      await bare.stop();
    }
    expect(await refused('bare', [])).toMatch(
      /^ghostlimit: the API server does not answer: .*: nothing was created; /,
    );
  });
});
