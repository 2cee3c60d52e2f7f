// Limits and CRIU options that are in force for one container's dump alone: its neighbour on the node and whoever else takes checkpoints have nothing of them.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { countEach, MAKE_WAITING_PLACE } from '../../hack/lab/ghost-holders.ts';
import {
  checkpointLab,
  GATE_LINE,
  type CheckpointLab,
  type DumpGate,
  type Outcome,
} from './checkpoint-lab.ts';
import {
  aPolicy,
  conditionOf,
  isReady,
  RUNC_CONF,
  startOperatorLab,
  type OperatorLab,
} from './operator-lab.ts';

const NODE = 'node1';
const MIB = 2 ** 20;
/** Without a newline at its end, so that to put lines below it and to take them back is no plain matter. */
const USERS_FILE = `# kept by the platform team\r\n\n${GATE_LINE}`;

const untilListed = (file: string, line: string): string =>
  `until grep -qE '${line}' /proc/net/${file}; do read -t 0.1 nothing <> /tmp/nothing; done`;
/** Words of a shell: two processes that are connected over 127.0.0.1 of the pod, and stay so. 9701 is 25E5, 01 connected, 0A listening. */
const CONNECT = [
  'nc -l -p 9701 <> /tmp/nothing &',
  `${untilListed('tcp6', ':25E5 0+:0000 0A')};`,
  'nc 127.0.0.1 9701 <> /tmp/nothing &',
  untilListed('tcp', '0100007F:25E5 01'),
].join(' ');
const HOLD_GHOST = `exec 3<> /tmp/ghost.so; head -c ${(3 * MIB).toString()} /dev/zero >&3; rm /tmp/ghost.so`;
/** Opened by a name that is gone, while another one is still there: on a tmpfs, as a volume in memory is. */
const LINK =
  'echo text > /dev/shm/opened; ln /dev/shm/opened /dev/shm/kept; exec 8< /dev/shm/opened; rm /dev/shm/opened';
/** The node's perl, as busybox has no program that locks: it holds a lock and counts. */
const PERL_FOLDERS = ['/usr/bin', '/usr/lib', '/lib', '/lib64'];
const LOCKER = [
  '/usr/bin/perl',
  '-e',
  `open(F,'>','/tmp/locked'); flock(F,2) or die; $n=0; while(1){$n++; open(C,'>','/tmp/new'); print C $n; close C; rename('/tmp/new','/tmp/counter'); select(undef,undef,undef,0.2)}`,
];
const program = (...parts: readonly string[]): string[] => [
  '/bin/sh',
  '-c',
  [MAKE_WAITING_PLACE, ...parts, countEach(0.2)].join('; '),
];

let lab: OperatorLab;
let checkpoints: CheckpointLab;
let gate: DumpGate;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 1 });
  checkpoints = checkpointLab(lab);
  await checkpoints.changeSettings({
    allowedCriuOptions: ['TcpEstablished', 'TcpClose', 'FileLocks', 'LinkRemap'],
  });
  gate = await checkpoints.dumpGate(NODE);
  await lab.writeConf(NODE, USERS_FILE);
});
afterAll(() => lab.stop());

async function start(
  name: string,
  command: readonly string[],
  nodeFolders: readonly string[] = [],
): Promise<void> {
  await lab.runPod({ name, nodeName: NODE, command, nodeFolders });
  await lab.until(`${name} to count`, async () => ((await countOf(name)) > 0 ? true : null));
}

/** 0: it does not count yet. */
async function countOf(podName: string): Promise<number> {
  const words = ['exec', podName, '-c', 'app', '--', 'sh', '-c', 'cat /tmp/counter || echo 0'] as const;
  return Number((await lab.kubectl(...words)).trim());
}

async function expectRunsOn(podName: string): Promise<void> {
  const before = await countOf(podName);
  await lab.until(`${podName} to go on`, async () => ((await countOf(podName)) > before ? true : null));
}

let asked = 0;

async function checkpointOf(podName: string): Promise<Outcome> {
  asked += 1;
  const name = `${podName}-${asked.toString()}`;
  await checkpoints.ask(name, { podName });
  return checkpoints.outcome(name);
}

/** What the file is: bytes, mode, owner. */
async function fileNow(): Promise<string> {
  const node = lab.cluster.nodeNamed(NODE);
  const bytes = (await node.readFile(RUNC_CONF))?.toString('base64') ?? 'none';
  return `${bytes} ${(await checkpoints.statOf(NODE, RUNC_CONF)) ?? ''}`;
}

/** It is in force before the next dump. */
async function put(
  name: string,
  ghostLimit: unknown,
  spec: Readonly<Record<string, unknown>>,
): Promise<void> {
  await lab.apply(aPolicy(name, ghostLimit, spec));
  await lab.untilPolicy(name, 'known to its node', isReady);
}

const remove = (...names: readonly string[]): Promise<string> =>
  lab.kubectl('delete', 'checkpointpolicy', ...names, '--timeout=60s');

describe('two pods of a node, each with a connection, and a policy of scope Checkpoint for one', () => {
  beforeAll(async () => {
    await start('kept', program(HOLD_GHOST, CONNECT));
    await start('neighbour', program(CONNECT));
    await put('kept', { fixed: '8Mi' }, { scope: 'Checkpoint', criuOptions: ['TcpEstablished'] });
  });

  test('while it is dumped its lines are in the file, and only then; the neighbour fails without', async () => {
    const before = await fileNow();
    expect(await lab.conf(NODE)).toBe(USERS_FILE);
    await gate.close();
    await checkpoints.ask('kept', { podName: 'kept' });
    await lab.until('its dump', async () => ((await gate.isHolding()) ? true : null));
    const meanwhile = await lab.conf(NODE);
    await checkpoints.ask('neighbour', { podName: 'neighbour' });
    await gate.open();

    expect(meanwhile?.startsWith(`${USERS_FILE}\n# BEGIN ghostlimit`)).toBe(true);
    expect(meanwhile).toContain(`\nghost-limit ${(8 * MIB).toString()}\n`);
    expect(meanwhile).toContain('\ntcp-established\n');
    const kept = await checkpoints.outcome('kept');
    expect(kept.verdict).toBe('Complete Checkpointed');
    expect(kept.containers).toMatchObject([{ result: 'Succeeded', attempts: 1 }]);
    const neighbour = await checkpoints.outcome('neighbour');
    expect(neighbour.verdict).toBe('Failed TcpEstablished');
    expect(neighbour.containers).toMatchObject([
      { result: 'Failed', attempts: 1, hint: expect.stringContaining('Allow the option TcpEstablished') },
    ]);
    expect(await fileNow()).toBe(before);
    for (const podName of ['kept', 'neighbour']) await expectRunsOn(podName);
  });

  test('a bare call of the kubelet has nothing of them', async () => {
    const { status, text } = await lab.checkpoint(NODE, 'kept');
    expect(status).toBe(500);
    expect(text).toContain('criu failed');
    await expectRunsOn('kept');
  });

  test('a policy of the neighbour that does not ask for the option is named in the hint', async () => {
    await put('neighbour', { fixed: '2Mi' }, { scope: 'Checkpoint' });
    const { verdict, containers } = await checkpointOf('neighbour');
    expect(verdict).toBe('Failed TcpEstablished');
    expect(containers[0]?.hint).toContain(
      'Add TcpEstablished or TcpClose to criuOptions of CheckpointPolicy default/neighbour',
    );
    await remove('neighbour');
  });

  test('opposites of scope Node: neither is written, and both policies say so', async () => {
    const before = await fileNow();
    await lab.apply(
      aPolicy('opposite-keep', { fixed: '4Mi' }, { app: 'neighbour', criuOptions: ['TcpEstablished'] }),
      aPolicy('opposite-drop', { fixed: '2Mi' }, { app: 'neighbour', criuOptions: ['TcpClose'] }),
    );
    for (const name of ['opposite-keep', 'opposite-drop']) {
      const status = await lab.untilPolicy(name, 'the conflict', ({ problems }) =>
        problems.some(({ reason }) => reason === 'OptionConflict'),
      );
      expect(conditionOf(status, 'Accepted')).toBe('True Accepted');
      expect(conditionOf(status, 'Ready')).toBe('False NodesFailing');
      expect(status.problems).toMatchObject([
        { nodeName: NODE, message: expect.stringContaining('neither is written') },
      ]);
    }
    const text = await lab.untilConf(
      NODE,
      'the limit',
      (content) => content?.includes('ghost-limit') === true,
    );
    expect(text).toContain(`\nghost-limit ${(4 * MIB).toString()}\n`);
    expect(text).not.toMatch(/^tcp-/m);
    const { verdict, containers } = await checkpointOf('neighbour');
    expect(verdict).toBe('Failed TcpEstablished');
    expect(containers[0]?.hint).toMatch(/default\/opposite-(keep|drop) and .*: neither was in force/);
    await remove('opposite-keep', 'opposite-drop');
    await lab.until('the file to be as before', async () => ((await fileNow()) === before ? true : null));
  });
});

describe('other options, the same way', () => {
  test.each<{ name: string; option: string; without: string; command: string[]; folders?: string[] }>([
    {
      name: 'locked',
      option: 'FileLocks',
      without: 'Failed FileLocks',
      command: LOCKER,
      folders: PERL_FOLDERS,
    },
    { name: 'linked', option: 'LinkRemap', without: 'Failed LinkRemapRequired', command: program(LINK) },
  ])('$name: Complete with $option, and not without', async ({ name, option, without, command, folders }) => {
    await start(name, command, folders);
    const before = await fileNow();
    expect((await checkpointOf(name)).verdict).toBe(without);
    await put(name, { fixed: '2Mi' }, { scope: 'Checkpoint', criuOptions: [option] });
    expect((await checkpointOf(name)).verdict).toBe('Complete Checkpointed');
    expect(await fileNow()).toBe(before);
    expect((await lab.checkpoint(NODE, name)).status).toBe(500);
    await remove(name);
    const { verdict, containers } = await checkpointOf(name);
    expect(verdict).toBe(without);
    expect(containers[0]?.hint).toContain(`Allow the option ${option}`);
    expect(await fileNow()).toBe(before);
    await expectRunsOn(name);
  });
});

test('an option that the settings do not allow: the policy is not accepted, and nothing of it counts', async () => {
  await lab.apply(aPolicy('denied', { fixed: '16Mi' }, { app: 'kept', criuOptions: ['ShellJob'] }));
  const status = await lab.untilPolicy('denied', 'an answer', ({ conditions }) => conditions.length > 0);
  expect(conditionOf(status, 'Accepted')).toBe('False OptionNotAllowed');
  expect(conditionOf(status, 'Ready')).toBe('False OptionNotAllowed');
  expect(status.conditions.find(({ type }) => type === 'Accepted')?.message).toContain('ShellJob');
  await checkpoints.changeSettings({
    allowedCriuOptions: ['TcpEstablished', 'TcpClose', 'FileLocks', 'LinkRemap', 'ShellJob'],
  });
  await lab.untilConf(
    NODE,
    'its lines, once it is allowed',
    (text) => text?.includes('\nshell-job\n') === true,
  );
  await remove('denied');
  await lab.untilConf(NODE, 'to be as before', (text) => text === USERS_FILE);
});
