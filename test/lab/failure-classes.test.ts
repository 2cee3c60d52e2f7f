// Why checkpoints fail, each cause brought about for real: the reason that the product gives, and the container runs on.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder, MAKE_WAITING_PLACE, countEach } from '../../hack/lab/ghost-holders.ts';
import { PROJECT_INSIDE, requireCriu, startLabNode, type LabNode } from '../../hack/lab/lab-node.ts';
import { startRuncContainer, type OciMount, type RuncContainer } from '../../hack/lab/runc.ts';
import { CheckpointRequestSchema, type ContainerResult } from '../../src/api/checkpoint-request.ts';
import { classifyFailure } from '../../src/domain/checkpoint/classify-failure.ts';
import { eventually, limitPolicy, MIB, POLICIES, policyYaml, RUNC_CONF } from './standalone-host.ts';

/** What containers read that are to fail in the dump itself: the product looks at no file that an annotation names. */
const OWN_CONF = '/etc/criu/own.conf';
const ARCHIVES = '/run/lab-archives';
const SMALL_DISK = '/run/lab-small-disk';

let node: LabNode;

beforeAll(async () => {
  node = await startLabNode({ name: 'failures', progress: () => undefined });
  await requireCriu(node);
  await node.run([
    'sh',
    '-ec',
    `mkdir -p ${POLICIES} ${SMALL_DISK}; mount -t tmpfs -o size=192k small ${SMALL_DISK}`,
  ]);
}, 300_000);

afterAll(async () => {
  await node.stop();
});

interface Case {
  /** Perl: what the container does before it counts. Several statements. */
  readonly perl?: string;
  /** A busybox shell's words instead, which go on counting by themselves. */
  readonly shell?: readonly string[];
  /** Run in the bundle's folder before the container is made. */
  readonly prepare?: string;
  /** Content of OWN_CONF, which the container then reads instead of runc.conf; absent: no annotation. */
  readonly ownConf?: string;
  /** A network namespace of its own, which CRIU then locks. */
  readonly ownNetwork?: boolean;
}

/** The node's perl, for what a shell cannot do. */
const USR: readonly OciMount[] = ['/usr', '/lib', '/lib64'].map((destination) => ({
  destination,
  type: 'bind',
  source: destination,
  options: ['bind', 'ro'],
}));

const COUNT =
  "$n=0; while(1){$n++; open(C,'>','/tmp/new'); print C $n; close C; rename('/tmp/new','/tmp/counter'); select(undef,undef,undef,0.1)}";

let started = 0;

async function start({
  perl,
  shell,
  prepare = '',
  ownConf,
  ownNetwork = false,
}: Case): Promise<RuncContainer> {
  started += 1;
  const id = `fails${started.toString()}`;
  if (ownConf !== undefined) await node.writeFile(OWN_CONF, ownConf);
  const folder = `/run/lab-bundles/${id}`;
  await node.run(['sh', '-ec', `mkdir -p ${folder}/rootfs; cd ${folder}; ${prepare}`]);
  const container = await startRuncContainer(node, {
    id,
    args: shell ?? ['/usr/bin/perl', '-MIO::Socket::INET', '-e', `${perl ?? ''}; ${COUNT}`],
    mounts: shell === undefined ? USR : [],
    annotations: { app: id, ...(ownConf !== undefined && { 'org.criu.config': OWN_CONF }) },
    hostNetwork: !ownNetwork,
  });
  await eventually(`${id} to count`, async () => ((await counterOf(container)) > 0 ? true : null));
  return container;
}

async function counterOf({ rootfs }: RuncContainer): Promise<number> {
  return Number((await node.readFile(`${rootfs}/tmp/counter`))?.toString() ?? '0');
}

async function runsOn(container: RuncContainer): Promise<void> {
  const before = await counterOf(container);
  await eventually(`${container.id} to go on`, async () =>
    (await counterOf(container)) > before ? true : null,
  );
}

async function end(container: RuncContainer): Promise<void> {
  await node.exec(['runc', 'delete', '--force', container.id]);
  await node.exec(['umount', '-l', container.rootfs]);
  await container.remove();
}

async function checkpoint(id: string, ...flags: string[]): Promise<ContainerResult> {
  const words = ['checkpoint', id, '--runtime', 'runc', '-f', POLICIES, '--archives-directory', ARCHIVES];
  const { stdout, stderr } = await ghostlimit(...words, ...flags, '-o', 'json');
  if (stdout === '') throw new Error(`nothing printed: ${stderr}`);
  const [result] = CheckpointRequestSchema.parse(JSON.parse(stdout)).status.containers;
  if (result === undefined) throw new Error('no container in the answer');
  return result;
}

function ghostlimit(...words: string[]) {
  return node.exec(['node', `${PROJECT_INSIDE}/dist/ghostlimit.mjs`, ...words]);
}

/** What runc alone comes to: the words of it and of CRIU, by the classifier. */
async function reasonOfRunc(container: RuncContainer): Promise<string> {
  const { code, stderr, workPath } = await container.checkpoint();
  if (code === 0) return 'Checkpointed';
  const dumpLog = (await node.readFile(`${workPath}/dump.log`))?.toString() ?? null;
  return classifyFailure({ runtimeError: stderr, dumpLog, timedOut: false }).reason;
}

// A file on an overlay: the container's root gets a lower layer that holds /image.
const OVERLAY = `mkdir -p lower upper work; head -c ${(3 * MIB).toString()} /dev/zero > lower/image;
  mount -t overlay overlay -o lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work rootfs`;
const IMAGE_FILE: Case = {
  prepare: OVERLAY,
  shell: ['/bin/sh', '-c', `${MAKE_WAITING_PLACE}; exec 3</image; rm /image; ${countEach(0.1)}`],
};
const LOCKED: Case = { perl: `open(F,'>','/tmp/l'); flock(F,2) or die` };
const CONNECTED: Case = {
  perl: `$l=IO::Socket::INET->new(Listen=>1,LocalAddr=>'127.0.0.1:9701',ReuseAddr=>1) or die; $c=IO::Socket::INET->new('127.0.0.1:9701') or die; $a=$l->accept`,
};
const IO_URING: Case = { perl: `$p="\\0" x 120; $f=syscall(425,8,$p); $f>=0 or die` };
const HOLDER: Case = { shell: ghostHolder([{ path: '/tmp/ghost.so', bytes: 3 * MIB }]) };

describe('in the dump: tried once, for nothing that was known before', () => {
  test.each<[string, Case]>([
    ['GhostLimitExceeded', { ...HOLDER, ownConf: '# no limit\n' }],
    ['LinkRemapRequired', { ...IMAGE_FILE, ownConf: 'ghost-limit 8M\n' }],
    ['FileLocks', LOCKED],
    ['TcpEstablished', CONNECTED],
    ['UnsupportedFd', { perl: `$p=pack('QQ',1,0); $f=syscall(444,$p,8,0); $f>=0 or die` }],
    // The two forms in which a file is refused: CRIU gives up without a word, or says so.
    ['ConfigInvalid', { ownConf: 'ghost-limit = 3145728\n' }],
    ['ConfigInvalid', { ownConf: 'ghost-limit 4M\nno-such-option\n' }],
  ])('%s', async (reason, given) => {
    const container = await start(given);
    const result = await checkpoint(container.id);
    expect(result).toMatchObject({ result: 'Failed', reason, attempts: 1 });
    expect(result.hint).not.toBe('');
    await runsOn(container);
    await end(container);
  });

  test('GhostLimitExceeded names the file and its bytes', async () => {
    const container = await start({ ...HOLDER, ownConf: '# no limit\n' });
    expect(await checkpoint(container.id)).toMatchObject({
      ghostFile: { path: '/tmp/ghost.so', bytes: 3 * MIB },
      requiredGhostLimitBytes: 3 * MIB,
      hint: expect.stringContaining(OWN_CONF),
    });
    await end(container);
  });

  test('CriuMissing', async () => {
    const container = await start({});
    const criu = (await node.run(['sh', '-c', 'command -v criu'])).trim();
    await node.run(['mv', criu, `${criu}.away`]);
    try {
      expect(await checkpoint(container.id)).toMatchObject({ reason: 'CriuMissing', attempts: 1 });
    } finally {
      await node.run(['mv', `${criu}.away`, criu]);
    }
    await runsOn(container);
    await end(container);
  });

  test('NoSpace, where the estimate is skipped', async () => {
    const container = await start({ perl: '$m="x" x 2000000' });
    const flags = ['--archives-directory', SMALL_DISK];
    expect(await checkpoint(container.id, ...flags)).toMatchObject({
      reason: 'NoSpace',
      message: expect.stringMatching(
        /^not attempted: .* in \/run\/lab-small-disk and 196608 bytes .* are free there$/,
      ),
      attempts: 0,
    });
    const result = await checkpoint(container.id, ...flags, '--skip-checks', 'FreeSpace');
    expect(result).toMatchObject({ reason: 'NoSpace', attempts: 1 });
    await runsOn(container);
    await end(container);
  });

  test('TimedOut', async () => {
    const script = '/run/lab-slow-dump.sh';
    await node.writeFile(
      script,
      '#!/bin/sh\ncase "$CRTOOLS_SCRIPT_ACTION" in network-lock) sleep 3;; esac\nexit 0\n',
    );
    await node.run(['chmod', '755', script]);
    const container = await start({ ownConf: `action-script ${script}\n`, ownNetwork: true });
    expect(await checkpoint(container.id, '--timeout', '1')).toMatchObject({
      reason: 'TimedOut',
      attempts: 1,
    });
    await runsOn(container);
    await end(container);
  });
});

describe('known before: not tried, and CRIU would have said the same', () => {
  test.each<[string, Case]>([
    ['IoUring', IO_URING],
    ['IoUring', { perl: `${IO_URING.perl ?? ''}; syscall(9,0,4096,3,1,$f,0)` }],
    [
      'NestedNamespace',
      // A user namespace of its own, as the container may not make another one without.
      {
        perl: `if(!fork()){syscall(272,0x14000000)==0 or die; while(1){sleep 1000}}; sleep 1`,
      },
    ],
    ['LinkRemapRequired', IMAGE_FILE],
    ['GhostLimitExceeded', HOLDER],
  ])('%s', async (reason, given) => {
    const container = await start(given);
    expect(await checkpoint(container.id)).toMatchObject({ result: 'Failed', reason, attempts: 0 });
    expect(await reasonOfRunc(container)).toBe(reason);
    await runsOn(container);
    await end(container);
  });

  test('ContainerNotRunning: it ended', async () => {
    const container = await start({});
    await node.run(['runc', 'kill', container.id, 'KILL']);
    await eventually('its end', async () =>
      (await node.run(['runc', 'state', container.id])).includes('"stopped"') ? true : null,
    );
    expect(await checkpoint(container.id)).toMatchObject({ reason: 'ContainerNotRunning', attempts: 0 });
    expect(await reasonOfRunc(container)).toBe('ContainerNotRunning');
    await end(container);
  });

  test('a wrong name: exit 1, and nothing is asked for', async () => {
    const { code, stdout, stderr } = await ghostlimit('checkpoint', 'nobody', '--runtime', 'runc');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('no container or pod is called "nobody"');
    const { stderr: runtimeError } = await node.exec(['runc', 'checkpoint', 'nobody']);
    expect(classifyFailure({ runtimeError, dumpLog: null, timedOut: false }).reason).toBe(
      'ContainerNotRunning',
    );
  });
});

describe('no permission', () => {
  test('runc without root', async () => {
    const container = await start({});
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const { stderr: runtimeError } = await node.exec([...nobody, 'runc', 'checkpoint', container.id]);
    expect(classifyFailure({ runtimeError, dumpLog: null, timedOut: false }).reason).toBe('Unauthorized');
    await runsOn(container);
    await end(container);
  });
});

describe('what helps', () => {
  const policy = (app: string, options: string): string =>
    limitPolicy(app, '{fixed: 8Mi}', `  scope: Checkpoint\n  criuOptions: [${options}]\n`);

  test.each<[string, string, Case]>([
    ['an image file under its whiteout', 'LinkRemap', IMAGE_FILE],
    ['a lock', 'FileLocks', LOCKED],
    ['a connection', 'TcpEstablished', CONNECTED],
    ['a connection', 'TcpClose', CONNECTED],
  ])(
    '%s, with %s of a policy of scope Checkpoint, which nobody else sees',
    async (_sentence, option, given) => {
      const container = await start(given);
      await node.writeFile(`${POLICIES}/helps.yaml`, policy(container.id, option));
      const allowed = ['--allowed-criu-options', option];
      expect(await checkpoint(container.id, ...allowed)).toMatchObject({ result: 'Succeeded', attempts: 1 });
      expect(await node.readFile(RUNC_CONF)).toBeNull();
      await runsOn(container);
      await node.run(['rm', `${POLICIES}/helps.yaml`]);
      await end(container);
    },
  );

  test('opposites: neither is written, both policies are named', async () => {
    const container = await start(CONNECTED);
    await node.writeFile(`${POLICIES}/keep.yaml`, policy(container.id, 'TcpEstablished'));
    await node.writeFile(
      `${POLICIES}/drop.yaml`,
      policyYaml(
        'drop',
        `  scope: Checkpoint\n  criuOptions: [TcpClose]\n  targets: [{name: main, selector: {matchLabels: {app: ${container.id}}}}]`,
      ),
    );
    const result = await checkpoint(container.id, '--allowed-criu-options', 'TcpEstablished,TcpClose');
    expect(result).toMatchObject({ reason: 'TcpEstablished', attempts: 1 });
    expect(result.hint).toContain('neither was in force');
    expect(result.hint).toContain('default/drop');
    await node.run(['rm', `${POLICIES}/keep.yaml`, `${POLICIES}/drop.yaml`]);
    await runsOn(container);
    await end(container);
  });

  test('an auto target is raised once, for this dump; with Fail it is not', async () => {
    const container = await start(HOLDER);
    await node.writeFile(
      `${POLICIES}/auto.yaml`,
      limitPolicy(container.id, '{auto: {maximum: 16Mi}}', '  scope: Checkpoint\n'),
    );
    expect(await checkpoint(container.id, '--on-ghost-limit', 'Fail')).toMatchObject({
      reason: 'GhostLimitExceeded',
      attempts: 0,
    });
    expect(await checkpoint(container.id)).toMatchObject({ result: 'Succeeded', attempts: 1 });
    expect(await node.readFile(RUNC_CONF)).toBeNull();
    await node.run(['rm', `${POLICIES}/auto.yaml`]);
    await runsOn(container);
    await end(container);
  });
});
