// The agents of the profile hardened on a real cluster: no privilege, no namespace of the host, some of its directories. What they do, and what they cannot know.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import type { CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import { checkpointLab, type CheckpointLab } from './checkpoint-lab.ts';
import {
  aPolicy,
  isReady,
  startOperatorLab,
  SYSTEM,
  untilOperatorReady,
  type OperatorLab,
} from './operator-lab.ts';

const MIB = 1024 * 1024;
const NODE = 'node1';
const STATE = '/var/lib/ghostlimit';

let lab: OperatorLab;
let checkpoints: CheckpointLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 1 });
  checkpoints = checkpointLab(lab);
  await checkpoints.changeSettings({ profile: 'hardened' });
  await lab.until('the hardened agent', async () => {
    const text = await agentPods();
    return text.includes('--confined') ? true : null;
  });
  await lab.until('the agent before it to end', async () => {
    const pods = (JSON.parse(await agentPods()) as { items: { spec: unknown }[] }).items;
    return pods.length === 1 && JSON.stringify(pods[0]?.spec).includes('--confined') ? true : null;
  });
  await untilOperatorReady(lab.cluster, { nodes: 1, replicas: 1 });
}, 600_000);
afterAll(async () => {
  await lab.stop();
});

const agentPods = (): Promise<string> =>
  lab.kubectl('-n', SYSTEM, 'get', 'pods', '-l', 'app.kubernetes.io/component=agent', '-o', 'json');

const report = (
  what: string,
  holds: (status: CheckpointNodeStatus) => boolean,
): Promise<CheckpointNodeStatus> =>
  lab.until(`a report of ${NODE}: ${what}`, async () => {
    const status = await lab.report(NODE);
    return status !== null && holds(status) ? status : null;
  });

const conditionOf = ({ conditions }: CheckpointNodeStatus, type: string): string => {
  const { status = '', reason = '', message = '' } = conditions.find((each) => each.type === type) ?? {};
  return `${status} ${reason} ${message}`.trim();
};

describe('a hardened agent', () => {
  test('has no privilege, no namespace of the host and no socket of a runtime', async () => {
    const [name = ''] = (
      await lab.kubectl('-n', SYSTEM, 'get', 'pods', '-l', 'app.kubernetes.io/component=agent', '-o', 'name')
    ).split('\n');
    const script = `const fs = require('node:fs');
      const status = fs.readFileSync('/proc/self/status', 'utf8');
      const bits = BigInt('0x' + /^CapEff:\\t(.*)$/m.exec(status)[1]);
      const capabilities = []; for (let bit = 0; bit < 64; bit++) if (bits >> BigInt(bit) & 1n) capabilities.push(bit);
      let writable = []; for (const path of ['/host/proc/sys/vm/overcommit_memory', '/host/sys/fs/cgroup/x', '/host/sys/fs/cgroup/freezer/freezer.state', '/host/sys/fs/cgroup/freezer/tasks', '/host/sys/fs/cgroup/cgroup.procs', '/host/var/lib/kubelet/pki/x', '/x'])
        { try { fs.writeFileSync(path, '1'); writable.push(path); } catch {} }
      console.log(JSON.stringify({ capabilities, writable, host: fs.readdirSync('/host').sort(), run: fs.readdirSync('/host/run/containerd'), ownPidNamespace: fs.readlinkSync('/proc/self/ns/pid') !== fs.readlinkSync('/host/proc/1/ns/pid') }));`;
    const said = await lab.kubectl('-n', SYSTEM, 'exec', name, '--', 'node', '-e', script);
    expect(JSON.parse(said)).toEqual({
      // DAC_READ_SEARCH, SYS_PTRACE, CHECKPOINT_RESTORE of linux/capability.h.
      capabilities: [2, 19, 40],
      writable: [],
      host: ['etc', 'proc', 'run', 'sys', 'var'],
      run: ['io.containerd.runtime.v2.task'],
      ownPidNamespace: true,
    });
  });

  test('keeps the file, learns limits from processes, and is the only one', async () => {
    await lab.runPod({
      name: 'learner',
      nodeName: NODE,
      command: ghostHolder([{ path: '/tmp/a.so', bytes: 3 * MIB }]),
    });
    await lab.apply(aPolicy('learner', { auto: {} }));
    await lab.untilPolicy('learner', 'to be Ready', isReady);
    await lab.untilConf(
      NODE,
      'a limit over the file',
      (text) => Number(/^ghost-limit (\d+)$/m.exec(text ?? '')?.[1]) >= 3 * MIB,
    );
    const { files, problems } = await report('in force', (status) =>
      status.policies.some(({ state }) => state === 'InForce'),
    );
    expect(files.map(({ path, state }) => `${path} ${state}`)).toEqual(['/etc/criu/runc.conf InSync']);
    expect(problems).toEqual([]);
    // Locks are named by the pid that the host knows the agent by.
    const { stdout: locks } = await lab.cluster.nodeNamed(NODE).exec(['ls', `${STATE}/.locks`]);
    const [, pid = ''] = /^held~engine~(\d+)~/m.exec(locks) ?? [];
    expect((await lab.cluster.nodeNamed(NODE).readFile(`/proc/${pid}/cmdline`))?.toString()).toContain(
      '--confined',
    );
  });

  test('waits for a program of the host that has the file open for writing', async () => {
    const node = lab.cluster.nodeNamed(NODE);
    const writer = node.spawn(['sh', '-c', 'exec 3>> /etc/criu/runc.conf; echo open; read line']);
    try {
      await lab.apply(aPolicy('learner', { fixed: '8Mi' }));
      const { files } = await report('the file is being written', (status) =>
        status.files.some(({ state }) => state === 'FileBeingWritten'),
      );
      expect(files[0]?.message).toMatch(/sh/);
    } finally {
      writer.stdin?.end('\n');
    }
    await lab.untilConf(
      NODE,
      '8 MiB',
      (text) => text?.includes(`ghost-limit ${(8 * MIB).toString()}`) === true,
    );
  });

  test('is ready for checkpoints by the kubelet, and does not claim what it cannot know', async () => {
    const status = await report('ready', (each) => conditionOf(each, 'CheckpointReady').startsWith('True'));
    expect(status.runtime).toMatchObject({
      containerRuntime: 'kubelet://unknown',
      ociRuntime: '',
      criuVersion: '',
    });
  });

  test('takes a checkpoint, and says why another one fails', async () => {
    await lab.runPod({
      name: 'taken',
      nodeName: NODE,
      command: ghostHolder([{ path: '/tmp/b.so', bytes: MIB }]),
    });
    await checkpoints.ask('taken', { podName: 'taken' });
    const { verdict, containers } = await checkpoints.outcome('taken');
    expect(verdict).toMatch(/^Complete /);
    const path = containers[0]?.archive?.path ?? '';
    expect(path).toMatch(/^\/var\/lib\/kubelet\/checkpoints\/checkpoint-taken_default-app-.*\.tar$/);
    expect(await checkpoints.statOf(NODE, path)).toBe(
      `600 0 0 ${(containers[0]?.archive?.sizeBytes ?? 0).toString()}`,
    );
    const talk =
      'mkfifo /tmp/p; exec 5<>/tmp/p; nc -l -p 7000 <&5 & while ! nc 127.0.0.1 7000 <&5; do :; done';
    await lab.runPod({ name: 'refused', nodeName: NODE, command: ['/bin/sh', '-c', talk] });
    await lab.until('its connection', async () => {
      // 01: established. proc_net_tcp of the kernel's documentation.
      const table = await lab.kubectl('exec', 'refused', '--', 'cat', '/proc/net/tcp');
      return / [0-9A-F]+:1B58 01 /.test(table) ? true : null;
    });
    await checkpoints.ask('refused', { podName: 'refused' });
    const refused = await checkpoints.outcome('refused');
    expect(refused.verdict).toMatch(/^Failed /);
    // Only CRIU's log says this: containerd passes none of it on.
    expect(refused.containers[0]?.reason).toBe('TcpEstablished');
  });

  test('says so when the right is taken from it', async () => {
    await lab.kubectl('delete', 'clusterrolebinding', 'ghostlimit-agent-kubelet-checkpoint');
    // Looked at anew by a new agent at once.
    await lab.kubectl('-n', SYSTEM, 'delete', 'pods', '-l', 'app.kubernetes.io/component=agent');
    const status = await report('not ready', (each) =>
      conditionOf(each, 'CheckpointReady').startsWith('False'),
    );
    expect(conditionOf(status, 'CheckpointReady')).toMatch(
      /^False Unauthorized The agent may not take checkpoints by the kubelet \(403\)/,
    );
  });
});
