// What a user sees who applies a policy to a real cluster of three nodes: the file on the nodes, the checkpoint through the kubelet, the status.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { aPolicy, conditionOf, isReady, startOperatorLab, type OperatorLab } from './operator-lab.ts';

/** Of netty-tcnative-boringssl-static on x86-64, as `ls` says; on disk and in the image. */
const NETTY_LIBRARY_BYTES = 2_797_568;
const SLEEP = ['/bin/sleep', '1000000'];

let lab: OperatorLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 3, withNetty: true });
});
afterAll(() => lab.stop());

describe('a JVM that deleted its JNI library', () => {
  test('its checkpoint fails before and works after the policy; the status tells the way', async () => {
    await lab.runPod({ name: 'tls', nodeName: 'node2', image: 'netty' });
    await lab.until('Netty to have loaded its library', async () =>
      (await lab.kubectl('logs', 'tls')).includes('tick') ? true : null,
    );
    const refused = await lab.checkpoint('node2', 'tls');
    expect(refused).toMatchObject({ status: 500, text: expect.stringContaining('criu failed: type DUMP') });

    const recording = new AbortController();
    const statuses = await lab.recordStatuses(recording.signal);
    await lab.apply(aPolicy('tls', { auto: {} }));
    const text = await lab.untilConf(
      'node2',
      'the learned limit',
      (conf) => conf?.includes('\nghost-limit') === true,
    );
    // 2,797,568 bytes and 25 % are 3,496,960, rounded up to whole MiB.
    expect(text).toContain('\nghost-limit 4194304\n');
    expect((await lab.checkpoint('node2', 'tls')).status).toBe(200);

    const status = await lab.untilPolicy(
      'tls',
      'what was learned',
      ({ targets }) => (targets[0]?.requiredBytes ?? 0) > 0,
    );
    expect(status).toMatchObject({
      nodes: { matched: 1, inSync: 1, failing: 0, unreachable: 0 },
      summary: '1/1',
      limit: '4Mi (Auto)',
      targets: [
        {
          name: 'main',
          matchedPods: 1,
          requiredBytes: NETTY_LIBRARY_BYTES,
          learnedLimitBytes: 4_194_304,
          largestGhostFile: { podName: 'tls', containerName: 'app', nodeName: 'node2' },
        },
      ],
    });
    recording.abort();
    const ways = statuses
      .filter(({ name }) => name === 'tls')
      .map(({ status: seen }) => [conditionOf(seen, 'Reconciling'), conditionOf(seen, 'Ready')]);
    expect(ways[0]).toEqual(['True RollingOut', 'False RollingOut']);
    expect(ways.at(-1)).toEqual(['', 'True AllNodesInSync']);
    expect(await lab.kubectl('get', 'checkpointpolicy', 'tls', '--no-headers')).toMatch(
      /^tls\s+True\s+4Mi \(Auto\)\s+1\/1/,
    );
    expect(await lab.conf('node1')).toBeNull();
    await lab.kubectl('wait', '--for=condition=Ready', 'checkpointpolicy/tls', '--timeout=10s');
  });

  test('and with the policy gone the node is as it was', async () => {
    await lab.kubectl('delete', 'checkpointpolicy', 'tls', '--timeout=60s');
    await lab.untilConf('node2', 'to be gone', (conf) => conf === null);
    await lab.deletePod('tls');
  });
});

test('the lines move with the pod, and the old node has its file back byte for byte', async () => {
  const original = '# kept by the platform team\nskip-in-flight\n';
  await lab.writeConf('node1', original);
  await lab.runPod({ name: 'mover', nodeName: 'node1', command: SLEEP });
  await lab.apply(aPolicy('mover', { fixed: '3Mi' }));
  const conf = await lab.untilConf(
    'node1',
    'our lines',
    (text) => text?.includes('\nghost-limit 3145728\n') === true,
  );
  expect(conf?.startsWith(original)).toBe(true);

  await lab.deletePod('mover');
  await lab.runPod({ name: 'mover', nodeName: 'node3', command: SLEEP });
  await lab.untilConf('node3', 'our lines', (text) => text?.includes('\nghost-limit 3145728\n') === true);
  expect(await lab.untilConf('node1', 'the original', (text) => text?.includes('ghostlimit') !== true)).toBe(
    original,
  );
  const status = await lab.untilPolicy(
    'mover',
    'one node',
    (seen) => seen.summary === '1/1' && isReady(seen),
  );
  expect(status.nodes.matched).toBe(1);
  await lab.deletePod('mover');
  await lab.untilPolicy('mover', 'no node', (seen) => conditionOf(seen, 'Ready') === 'True NoMatchingPods');
  await lab.untilConf('node3', 'to be gone', (text) => text === null);
  await lab.kubectl('delete', 'checkpointpolicy', 'mover', '--timeout=60s');
});

describe('several who ask', () => {
  beforeAll(async () => {
    await lab.runPod({ name: 'small', nodeName: 'node1', command: SLEEP });
    await lab.runPod({ name: 'large', nodeName: 'node1', command: SLEEP });
  });

  test('the higher limit wins, and the status of the other says whose it is', async () => {
    await lab.apply(aPolicy('small', { fixed: '3Mi' }), aPolicy('large', { fixed: '32Mi' }));
    await lab.untilConf(
      'node1',
      'the higher limit',
      (text) => text?.includes('\nghost-limit 33554432\n') === true,
    );
    const small = await lab.untilPolicy('small', 'the word about the other', (seen) =>
      seen.conditions.some(({ message }) => message.includes('default/large main')),
    );
    expect(conditionOf(small, 'Ready')).toBe('True AllNodesInSync');
    expect(small.conditions[0]?.message).toBe(
      'in force on 1 node; a higher limit, 32Mi by default/large main, holds on node1',
    );
    expect(small.limit).toBe('3Mi');
    const large = await lab.untilPolicy('large', 'in force', isReady);
    expect(large.conditions[0]?.message).toBe('in force on 1 node');
    await lab.kubectl('delete', 'checkpointpolicy', 'large', '--timeout=60s');
    await lab.untilConf(
      'node1',
      'the lower limit',
      (text) => text?.includes('\nghost-limit 3145728\n') === true,
    );
  });

  test('a foreign limit that is higher is never lowered: nothing of ours is written', async () => {
    const foreign = '# by hand\nghost-limit 64M\n';
    await lab.writeConf('node2', foreign);
    await lab.runPod({ name: 'beside', nodeName: 'node2', labels: { app: 'small' }, command: SLEEP });
    const status = await lab.untilPolicy(
      'small',
      'two nodes',
      (seen) => seen.summary === '2/2' && isReady(seen),
    );
    expect(status.problems).toEqual([]);
    expect(await lab.conf('node2')).toBe(foreign);
    const report = await lab.report('node2');
    expect(report?.files[0]).toMatchObject({
      state: 'ForeignLimitSuffices',
      managed: false,
      effectiveLimitBytes: 67_108_864,
      desiredLimitBytes: 3_145_728,
    });
    await lab.deletePod('beside');
    await lab.kubectl('delete', 'checkpointpolicy', 'small', '--timeout=60s');
  });

  test('a limit over the cap is refused, with the field, the value and what to do', async () => {
    await expect(lab.apply(aPolicy('huge', { fixed: '2Gi' }))).rejects.toThrow(
      /ghostLimit.*2Gi.*1Gi.*maxGhostLimit/s,
    );
    expect(await lab.policy('huge')).toBeNull();
  });

  test('Audit says what would be done and writes nothing', async () => {
    const before = await lab.untilConf(
      'node1',
      'no lines of ours',
      (text) => text?.includes('ghostlimit') !== true,
    );
    await lab.apply(aPolicy('audit', { fixed: '3Mi' }, { app: 'small', mode: 'Audit' }));
    const status = await lab.untilPolicy(
      'audit',
      'audited',
      (seen) => conditionOf(seen, 'Ready') === 'True Audited',
    );
    expect(status).toMatchObject({ summary: '1/1', problems: [] });
    expect(await lab.conf('node1')).toBe(before);
    const report = await lab.report('node1');
    expect(report?.policies).toMatchObject([
      {
        name: 'audit',
        state: 'Audited',
        message: 'would ask for ghost-limit 3145728 (3Mi); nothing is written',
      },
    ]);
    await lab.kubectl('delete', 'checkpointpolicy', 'audit', '--timeout=60s');
    await lab.deletePod('small');
    await lab.deletePod('large');
  });
});

describe('other writers of the file on a node', () => {
  const ours = (text: string | null): boolean => text?.includes('\nghost-limit 3145728\n') === true;

  beforeAll(async () => {
    for (const nodeName of ['node1', 'node3']) {
      await lab.writeConf(nodeName, '# theirs\n');
      await lab.runPod({
        name: `kept-${nodeName}`,
        nodeName,
        labels: { app: 'kept' },
        command: ghostHolder([]),
      });
    }
    await lab.apply(aPolicy('kept', { fixed: '3Mi' }));
    await lab.untilPolicy('kept', 'both nodes', (seen) => seen.summary === '2/2' && isReady(seen));
  });

  test('lines of ours that somebody takes out come back, his own stay', async () => {
    await lab.writeConf('node1', '# theirs\nskip-in-flight\n');
    const text = await lab.untilConf('node1', 'our lines again', ours);
    expect(text?.startsWith('# theirs\nskip-in-flight\n')).toBe(true);
  });

  test('a line after our block that overrules it is reported, not fought over', async () => {
    const before = (await lab.conf('node1')) ?? '';
    await lab.writeConf('node1', `${before}ghost-limit 1M\n`);
    const status = await lab.untilPolicy('kept', 'the problem', ({ problems }) => problems.length > 0);
    expect(status.problems).toEqual([
      { nodeName: 'node1', reason: 'OverriddenByForeignLine', message: expect.stringContaining('runc.conf') },
    ]);
    expect(conditionOf(status, 'Ready')).toBe('False NodesFailing');
    expect(status.nodes).toMatchObject({ matched: 2, inSync: 1, failing: 1 });
    expect(await lab.conf('node1')).toBe(`${before}ghost-limit 1M\n`);
    await lab.writeConf('node1', before);
    await lab.untilPolicy('kept', 'in force again', isReady);
  });

  test('a file that cannot be changed is a problem of its node only, and goes by itself', async () => {
    const node = lab.cluster.nodeNamed('node3');
    await node.run(['chattr', '+i', '/etc/criu/runc.conf']);
    await lab.apply(aPolicy('kept', { fixed: '5Mi' }));
    const status = await lab.untilPolicy('kept', 'the problem', ({ problems }) => problems.length > 0);
    expect(status.problems).toEqual([
      {
        nodeName: 'node3',
        reason: 'FileImmutable',
        message: expect.stringContaining('/etc/criu/runc.conf'),
      },
    ]);
    expect(ours(await lab.conf('node3'))).toBe(true);
    await node.run(['chattr', '-i', '/etc/criu/runc.conf']);
    await lab.untilConf(
      'node3',
      'the new limit',
      (text) => text?.includes('\nghost-limit 5242880\n') === true,
    );
    await lab.untilPolicy('kept', 'in force again', isReady);
  });
});
