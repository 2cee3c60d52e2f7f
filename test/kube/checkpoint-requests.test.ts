// What a user sees who asks for checkpoints of pods on a real cluster: each request ends, and says what came of it, why, and what to do.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { checkpointLab, type CheckpointLab } from './checkpoint-lab.ts';
import { readCheckpointRequestStatus } from '../../src/api/checkpoint-request.ts';
import { REASONS } from '../../src/api/reasons.ts';
import { aPolicy, conditionOf, isReady, startOperatorLab, SYSTEM, type OperatorLab } from './operator-lab.ts';

interface RequestObject {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly podName: string };
  readonly status?: { readonly startTime?: string; readonly completionTime?: string };
}

/** Of netty-tcnative-boringssl-static on x86-64, as `ls` says. */
const NETTY_LIBRARY_BYTES = 2_797_568;

const NODES = ['node1', 'node2', 'node3'];

const container = (name: string): Record<string, unknown> => ({
  name,
  image: 'docker.io/ghostlimit-lab/busybox:1',
  imagePullPolicy: 'Never',
  command: ghostHolder([]),
});

let lab: OperatorLab;
let checkpoints: CheckpointLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: NODES.length, withNetty: true });
  checkpoints = checkpointLab(lab);
  await startScheduled();
});
afterAll(() => lab.stop());

/** A DaemonSet, and a policy that has its pods checkpointed each minute, one at a time, two archives of each kept. Its rounds are looked at last. */
async function startScheduled(): Promise<void> {
  const labels = { app: 'daily' };
  await checkpoints.changeSettings({ minimumScheduleIntervalSeconds: 60 });
  await lab.apply(
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'daily', namespace: 'default' },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { terminationGracePeriodSeconds: 0, containers: [container('app')] },
        },
      },
    },
    aPolicy(
      'daily',
      { fixed: '2Mi' },
      {
        checkpoint: {
          schedule: '* * * * *',
          timeZone: 'Etc/UTC',
          maxConcurrent: 1,
          historyLimit: 2,
          retention: { keepLast: 2 },
        },
      },
    ),
  );
}

describe('a healthy pod', () => {
  test('is checkpointed, runs on, and the archive is where the request says', async () => {
    const holder = ghostHolder([{ path: '/tmp/small.so', bytes: 65_536 }]);
    await lab.runPod({ name: 'healthy', nodeName: 'node2', command: holder });
    await lab.until('it to count', async () => ((await checkpoints.counterOf('healthy')) > 0 ? true : null));
    await checkpoints.ask('healthy-1', { podName: 'healthy' });
    const { verdict, status, containers } = await checkpoints.outcome('healthy-1');
    expect(verdict).toBe('Complete Checkpointed');
    expect(status).toMatchObject({ nodeName: 'node2', summary: 'Complete' });
    expect(containers).toHaveLength(1);
    const [{ name, result, attempts, archive }] = containers as [(typeof containers)[0]];
    expect({ name, result, attempts }).toEqual({ name: 'app', result: 'Succeeded', attempts: 1 });
    expect(await checkpoints.statOf('node2', archive?.path ?? '')).toBe(
      `600 0 0 ${String(archive?.sizeBytes)}`,
    );
    const counted = await checkpoints.counterOf('healthy');
    await lab.until('it to count on', async () =>
      (await checkpoints.counterOf('healthy')) > counted ? true : null,
    );
    await lab.kubectl('wait', '--for=condition=Complete', 'checkpointrequest/healthy-1', '--timeout=10s');
    expect(await lab.kubectl('get', 'ckptreq', 'healthy-1', '--no-headers')).toMatch(
      /^healthy-1\s+Complete\s+\S*\s+healthy\s+node2\s/,
    );
  });

  test('events on the request and on the pod say so', async () => {
    const reasons = async (kind: string, name: string): Promise<string> =>
      lab.kubectl(
        'get',
        'events',
        `--field-selector=involvedObject.kind=${kind},involvedObject.name=${name},reason=Checkpointed`,
        '-o',
        'name',
      );
    await lab.until('the event on the request', async () =>
      (await reasons('CheckpointRequest', 'healthy-1')) === '' ? null : true,
    );
    await lab.until('the event on the pod', async () =>
      (await reasons('Pod', 'healthy')) === '' ? null : true,
    );
  });

  test('deleting the request deletes the archive, unless it is to be kept', async () => {
    await checkpoints.ask('healthy-kept', { podName: 'healthy', archivePolicy: 'Retain' });
    const kept = await checkpoints.outcome('healthy-kept');
    const made = await checkpoints.outcome('healthy-1');
    const pathOf = ({ containers: [container] }: typeof kept): string => container?.archive?.path ?? '';
    expect(pathOf(kept)).not.toBe(pathOf(made));
    await lab.kubectl('delete', 'checkpointrequest', 'healthy-1', 'healthy-kept', '--timeout=60s');
    expect(await checkpoints.statOf('node2', pathOf(made))).toBeNull();
    expect(await checkpoints.statOf('node2', pathOf(kept))).toMatch(/^600 0 0 /);
  });
});

describe('what cannot be', () => {
  test.each([
    ['no-pod', { podName: 'nobody' }, 'PodNotFound'],
    ['no-container', { podName: 'healthy', containerNames: ['web'] }, 'ContainerNotFound'],
  ] as const)('%s is refused with its reason, and what to do', async (name, spec, reason) => {
    await checkpoints.ask(name, spec);
    const { verdict, status } = await checkpoints.outcome(name);
    expect(verdict).toBe(`Failed ${reason}`);
    expect(status.hint).toBe(REASONS[reason].remedy);
    expect(status.conditions?.map(({ message }) => message).join()).not.toContain(REASONS[reason].remedy);
  });
});

describe('a JVM that deleted its JNI library', () => {
  beforeAll(async () => {
    await lab.runPod({ name: 'tls', nodeName: 'node1', image: 'netty' });
    await lab.until('Netty to have loaded its library', async () =>
      (await lab.kubectl('logs', 'tls')).includes('tick') ? true : null,
    );
  });

  test('without a policy: not frozen for nothing, and told which file and how big', async () => {
    await checkpoints.ask('tls-none', { podName: 'tls' });
    const { verdict, containers } = await checkpoints.outcome('tls-none');
    expect(verdict).toBe('Failed GhostLimitExceeded');
    expect(containers[0]).toMatchObject({
      attempts: 0,
      ghostFile: { bytes: NETTY_LIBRARY_BYTES, path: expect.stringMatching(/^\/tmp\/.*netty_tcnative/) },
      requiredGhostLimitBytes: NETTY_LIBRARY_BYTES,
      hint: expect.stringContaining(NETTY_LIBRARY_BYTES.toString()),
    });
  });

  test('a policy of scope Checkpoint holds for its dump alone: RaiseOnce, and the file as before', async () => {
    await lab.apply(aPolicy('tls', { auto: {} }, { scope: 'Checkpoint' }));
    await lab.untilPolicy('tls', 'known to its node', isReady);
    const before = await lab.conf('node1');
    await checkpoints.ask('tls-raised', { podName: 'tls', onGhostLimit: 'RaiseOnce' });
    const { verdict } = await checkpoints.outcome('tls-raised');
    expect(verdict).toBe('Complete Checkpointed');
    await lab.untilConf('node1', 'to be as before', (text) => text === before);
    // Others who checkpoint the pod have nothing of it.
    expect((await lab.checkpoint('node1', 'tls')).status).toBe(500);
    await lab.kubectl('delete', 'checkpointpolicy', 'tls', '--timeout=60s');
  });
});

test('two containers of a pod are taken one after the other', async () => {
  await lab.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'two', namespace: 'default' },
    spec: {
      nodeName: 'node2',
      terminationGracePeriodSeconds: 0,
      containers: [container('app'), container('helper')],
    },
  });
  await lab.kubectl('wait', '--for=condition=Ready', 'pod/two', '--timeout=60s');
  await checkpoints.ask('two-all', { podName: 'two' });
  const { verdict, containers } = await checkpoints.outcome('two-all');
  expect(verdict).toBe('Complete Checkpointed');
  expect(containers.map(({ name, result }) => [name, result])).toEqual([
    ['app', 'Succeeded'],
    ['helper', 'Succeeded'],
  ]);
});

describe('a schedule of a minute over a DaemonSet', () => {
  interface Made {
    readonly name: string;
    readonly pod: string;
    readonly startTime: string;
    readonly completionTime: string;
  }

  /** The scheduled requests that were finished so far, oldest first. */
  async function finished(): Promise<Made[]> {
    const list = JSON.parse(
      await lab.kubectl('get', 'ckptreq', '-l', 'ghostlimit.dev/policy=daily', '-o', 'json'),
    ) as { readonly items: readonly RequestObject[] };
    return list.items
      .flatMap(({ metadata, spec, status: { startTime, completionTime } = {} }) =>
        startTime === undefined || completionTime === undefined
          ? []
          : [{ name: metadata.name, pod: spec.podName, startTime, completionTime }],
      )
      .sort((one, other) => (one.completionTime < other.completionTime ? -1 : 1));
  }

  test('two rounds take each pod twice, one at a time', async () => {
    const seen = new Map<string, Made>();
    const byPod = (): Map<string, Made[]> => Map.groupBy(seen.values(), ({ pod }) => pod);
    await lab.until('two rounds', async () => {
      for (const made of await finished()) seen.set(made.name, made);
      const pods = [...byPod().values()];
      return pods.length === NODES.length && pods.every((made) => made.length >= 2) ? true : null;
    });
    const inOrder = [...seen.values()].sort((one, other) => (one.startTime < other.startTime ? -1 : 1));
    for (const [index, made] of inOrder.entries())
      expect(made.startTime >= (inOrder[index - 1]?.completionTime ?? '')).toBe(true);
    const status = await lab.untilPolicy(
      'daily',
      'its last round',
      ({ lastCheckpoint }) => lastCheckpoint !== undefined,
    );
    expect(status).toMatchObject({ lastCheckpoint: { succeeded: NODES.length, failed: 0 } });
    expect(conditionOf(status, 'CheckpointsHealthy')).toMatch(/^True/);
    expect(status.nextScheduleTime).toMatch(/:00Z$/);
  });

  test('three rounds leave two archives and two finished requests of each pod', async () => {
    const archives = async (nodeName: string): Promise<number> => {
      const found = await lab.cluster
        .nodeNamed(nodeName)
        .run([
          'sh',
          '-c',
          'find /var/lib/ghostlimit/checkpoints -name "*.tar" -exec grep -l daily- {} + | wc -l',
        ]);
      return Number(found.trim());
    };
    const done = new Set<string>();
    await lab.until('three rounds', async () => {
      for (const { name } of await finished()) done.add(name);
      return done.size >= 3 * NODES.length ? true : null;
    });
    await lab.kubectl(
      'patch',
      'ckptpol',
      'daily',
      '--type=merge',
      '-p',
      '{"spec":{"checkpoint":{"suspend":true}}}',
    );
    await lab.until('what is over to go', async () => {
      const left = [...(await Promise.all(NODES.map(archives))), (await finished()).length];
      return left.join() === '2,2,2,6' ? true : null;
    });
  });
});

test('while checkpoints are paused nothing starts', async () => {
  await checkpoints.changeSettings({ checkpointsPaused: true });
  await lab.until('the pause', async () =>
    (await lab.kubectl('get', 'checkpointplan', 'plan-00', '-o', 'json')).includes(
      '"checkpointsPaused": true',
    )
      ? true
      : null,
  );
  await checkpoints.ask('paused', { podName: 'healthy' });
  expect((await checkpoints.outcome('paused')).verdict).toBe('Failed CheckpointsPaused');
  await checkpoints.changeSettings({ checkpointsPaused: false });
  await lab.until('the end of the pause', async () =>
    (await lab.kubectl('get', 'checkpointplan', 'plan-00', '-o', 'json')).includes(
      '"checkpointsPaused": true',
    )
      ? null
      : true,
  );
});

test('a namespace that goes while a node is away: its request says on what it waits, and what it says lets it go', async () => {
  const names = (await lab.kubectl('get', 'nodes', '-o', 'name')).trim().split('\n');
  const pods = await lab.kubectl('-n', SYSTEM, 'get', 'pods', '-o', 'json');
  const { items } = JSON.parse(pods) as {
    readonly items: readonly { metadata: { name: string }; spec: { nodeName?: string } }[];
  };
  const busy = items
    .filter(({ metadata }) => metadata.name.startsWith('ghostlimit-controller'))
    .map(({ spec }) => `node/${spec.nodeName ?? ''}`);
  // The controller has to live.
  const nodeName = names.find((name) => !busy.includes(name))?.slice('node/'.length) ?? '';
  expect(nodeName).not.toBe('');
  await lab.kubectl('create', 'namespace', 'leaving');
  await lab.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'last', namespace: 'leaving' },
    spec: { nodeName, terminationGracePeriodSeconds: 0, containers: [container('app')] },
  });
  await lab.kubectl('-n', 'leaving', 'wait', '--for=condition=Ready', 'pod/last', '--timeout=60s');
  await checkpoints.ask('last', { podName: 'last' }, 'leaving');
  expect((await checkpoints.outcome('last', 'leaving')).verdict).toBe('Complete Checkpointed');
  await lab.kubectl('-n', 'leaving', 'delete', 'pod', 'last', '--timeout=60s');
  await lab.cluster.nodeNamed(nodeName).kill();
  await lab.kubectl('delete', 'namespace', 'leaving', '--wait=false');
  const message = await lab.until('the request to say on what it waits', async () => {
    const request = await checkpoints.request('last', 'leaving');
    const { conditions = [] } = request === null ? {} : readCheckpointRequestStatus(request);
    return conditions.find(({ reason }) => reason === 'ArchiveDeletionWaits')?.message ?? null;
  });
  expect(message).toContain(`waits for the node ${nodeName} `);
  const [, words = '', patch = ''] = /kubectl (patch .*) -p '([^']*)'$/.exec(message) ?? [];
  await lab.kubectl(...words.split(' '), '-p', patch);
  await lab.until('the namespace to go', async () => {
    const { status } = await lab.cluster.request({ path: '/api/v1/namespaces/leaving' });
    return status === 404 ? true : null;
  });
});
