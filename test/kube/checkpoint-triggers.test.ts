// What users see of requests before anything is dumped: asked for by annotation, once for each token; queued with a place that is shown, fairly; or refused with a reason.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import {
  readCheckpointRequestStatus,
  type CheckpointRequestStatus,
} from '../../src/api/checkpoint-request.ts';
import type { KubeObject } from '../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_REQUESTS } from '../../src/api/kube-resources.ts';
import { checkpointLab, GATE_LINE, type CheckpointLab, type DumpGate } from './checkpoint-lab.ts';
import { pathOf } from './installed-plane.ts';
import { startOperatorLab, SYSTEM, type OperatorLab } from './operator-lab.ts';

const NODE = 'node1';
const ANNOTATION = 'ghostlimit.dev/checkpoint';
const PODS = ['asks', 'fence', 'third', 'fourth'] as const;
const OTHER = 'shop';
/** What a node is ordered at a time. */
const ORDERED = 32;

let lab: OperatorLab;
let checkpoints: CheckpointLab;
let gate: DumpGate;
/** Every version of every request that there ever was. */
let seen: readonly KubeObject[];
const recording = new AbortController();

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 2 });
  checkpoints = checkpointLab(lab);
  seen = await lab.recordObjects(CHECKPOINT_REQUESTS, recording.signal);
  gate = await checkpoints.dumpGate(NODE);
  await lab.writeConf(NODE, `${GATE_LINE}\n`);
  for (const name of PODS) await lab.runPod({ name, nodeName: NODE, command: ghostHolder([]) });
  await lab.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: OTHER } });
  await lab.kubectl(
    ...['run', 'other', '-n', OTHER, '--image=docker.io/ghostlimit-lab/busybox:1'],
    ...['--image-pull-policy=Never', `--overrides={"spec":{"nodeName":"${NODE}"}}`],
  );
  await lab.kubectl('wait', '-n', OTHER, '--for=condition=Ready', 'pod/other', '--timeout=60s');
});
afterAll(async () => {
  recording.abort();
  await lab.stop();
});

/** Of all requests for the pod that there ever were, the oldest first. */
function uidsFor(podName: string): string[] {
  const own = seen.filter(({ spec }) => (spec as { readonly podName: string }).podName === podName);
  return [...new Set(own.map(({ metadata }) => metadata.uid ?? ''))];
}

async function statusOf(name: string, namespace?: string): Promise<CheckpointRequestStatus | null> {
  const found = await checkpoints.request(name, namespace);
  return found === null ? null : readCheckpointRequestStatus(found);
}

/** e.g. "Accepted=True Queued", in the order of their types. */
function conditionsOf({ conditions = [] }: CheckpointRequestStatus): string[] {
  return conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).sort();
}

describe('asked for by annotation', () => {
  const annotate = (podName: string, token: string): Promise<string> =>
    lab.kubectl('annotate', '--overwrite', 'pod', podName, `${ANNOTATION}=${token}`);
  /** The annotation goes and comes back. */
  const repeat = async (podName: string, token: string): Promise<void> => {
    await lab.kubectl('annotate', 'pod', podName, `${ANNOTATION}-`);
    await annotate(podName, token);
  };
  /** The next request for the pod, when it is Complete. */
  const nextFor = async (podName: string, count: number): Promise<string> => {
    const uid = await lab.until(`request ${count.toString()} for ${podName}`, () =>
      Promise.resolve(uidsFor(podName)[count - 1] ?? null),
    );
    const name = seen.find(({ metadata }) => metadata.uid === uid)?.metadata.name ?? '';
    expect((await checkpoints.outcome(name)).verdict).toBe('Complete Checkpointed');
    return name;
  };
  let fences = 0;
  /** What another pod of the node asks for afterwards is done: whatever was asked for before it was told and heard. */
  const allIsHeard = async (): Promise<void> => {
    fences += 1;
    await annotate('fence', `fence-${fences.toString()}`);
    await nextFor('fence', fences);
  };
  let first = '';

  test('a token asks once: a request, its checkpoint, its archive', async () => {
    await annotate('asks', 'token-1');
    first = await nextFor('asks', 1);
    expect((await checkpoints.request(first))?.metadata.labels).toEqual({
      'ghostlimit.dev/trigger': 'annotation',
    });
    const { status, containers } = await checkpoints.outcome(first);
    expect(status.nodeName).toBe(NODE);
    const { path = '', sizeBytes = 0 } = containers[0]?.archive ?? {};
    expect(await checkpoints.statOf(NODE, path)).toBe(`600 0 0 ${sizeBytes.toString()}`);
    await allIsHeard();
    expect(uidsFor('asks')).toHaveLength(1);
  });

  test('the same token asks no more: written again, after the end of the agent, after that of the request', async () => {
    await repeat('asks', 'token-1');
    await allIsHeard();
    await killAgent();
    await repeat('asks', 'token-1');
    await allIsHeard();
    await lab.kubectl('delete', 'checkpointrequest', first, '--timeout=60s');
    await repeat('asks', 'token-1');
    await allIsHeard();
    await killAgent();
    await allIsHeard();
    expect(uidsFor('asks')).toHaveLength(1);
  });

  test('another token asks once more', async () => {
    await annotate('asks', 'token-2');
    expect(await nextFor('asks', 2)).not.toBe(first);
    await allIsHeard();
    expect(uidsFor('asks')).toHaveLength(2);
  });

  test('nothing of ours ever writes to the pod', async () => {
    const path = '/api/v1/namespaces/default/pods/asks';
    const { text } = await lab.cluster.request({ path });
    const { metadata } = JSON.parse(text) as {
      metadata: { managedFields: readonly { readonly manager: string }[] };
    };
    const managers = metadata.managedFields.map(({ manager }) => manager);
    expect(managers).toContain('kubectl-annotate');
    expect(managers.filter((manager) => /ghostlimit/i.test(manager))).toEqual([]);
  });
});

interface PodObject {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly containerStatuses?: readonly {
      readonly containerID?: string;
      readonly ready: boolean;
      readonly restartCount: number;
    }[];
  };
}

async function agentPods(nodeName: string): Promise<readonly PodObject[]> {
  const labels = 'app.kubernetes.io/component=agent';
  const words = ['get', 'pods', '-l', labels, '--field-selector', `spec.nodeName=${nodeName}`, '-o', 'json'];
  return (JSON.parse(await lab.kubectl('-n', SYSTEM, ...words)) as { items: readonly PodObject[] }).items;
}

/** SIGKILL to its process; returns when the next one is ready. */
async function killAgent(): Promise<void> {
  const [pod] = await agentPods(NODE);
  const [container] = pod?.status.containerStatuses ?? [];
  const id = (container?.containerID ?? '').replace('containerd://', '');
  await lab.cluster
    .nodeNamed(NODE)
    .run(['runc', '--root', '/run/containerd/runc/k8s.io', 'kill', id, 'KILL']);
  await lab.until('another process of the agent', async () => {
    const [now] = (await agentPods(NODE)).flatMap(({ status }) => status.containerStatuses ?? []);
    return now?.ready === true && now.restartCount > (container?.restartCount ?? 0) ? true : null;
  });
}

describe('the queue of a node', () => {
  afterEach(() => gate.open());

  const waiting = async (name: string, namespace?: string): Promise<CheckpointRequestStatus> =>
    lab.until(`${name} to be queued`, async () => {
      const status = await statusOf(name, namespace);
      return status?.queuePosition === undefined ? null : status;
    });
  const running = async (name: string): Promise<CheckpointRequestStatus> =>
    lab.until(`${name} to run`, async () => {
      if (!(await gate.isHolding())) return null;
      const status = await statusOf(name);
      return status?.startTime === undefined ? null : status;
    });

  test('each says where it is: running, its place, Complete; and kubectl waits for it', async () => {
    await gate.close();
    await checkpoints.ask('line-1', { podName: 'asks' });
    const head = await running('line-1');
    await checkpoints.ask('line-2', { podName: 'fence' });
    await waiting('line-2');
    await checkpoints.ask('line-3', { podName: 'third' });
    await waiting('line-3');
    await checkpoints.ask('line-4', { podName: 'other' }, OTHER);
    const tail = [await waiting('line-2'), await waiting('line-3'), await waiting('line-4', OTHER)];
    const complete = lab.kubectl('wait', '--for=condition=Complete', 'ckptreq/line-3', '--timeout=120s');
    await gate.open();

    expect(head.queuePosition).toBeUndefined();
    expect(conditionsOf(head)).toEqual([
      'Accepted=True Queued',
      'Reconciling=True CheckpointRunning',
      'Running=True CheckpointRunning',
    ]);
    expect(tail.map(({ queuePosition, summary }) => [queuePosition, summary])).toEqual([
      [1, 'Queued (1)'],
      [2, 'Queued (2)'],
      [3, 'Queued (3)'],
    ]);
    for (const status of tail)
      expect(conditionsOf(status)).toEqual(['Accepted=True Queued', 'Reconciling=True Queued']);
    expect(await complete).toContain('line-3 condition met');
    for (const [name, namespace] of [['line-1'], ['line-2'], ['line-3'], ['line-4', OTHER]] as const) {
      const { status } = await checkpoints.outcome(name, namespace);
      expect(conditionsOf(status)).toEqual(['Accepted=True Queued', 'Complete=True Checkpointed']);
      expect(status.queuePosition).toBeUndefined();
    }
  });

  test('one of a namespace that has none there is before the many of another', async () => {
    const names = Array.from({ length: ORDERED + 3 }, (_, index) => `many-${(index + 10).toString()}`);
    await gate.close();
    const [first = '', ...others] = names;
    await checkpoints.ask(first, { podName: 'asks' });
    await running(first);
    await lab.apply(
      ...others.map((name, index) => ({
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointRequest',
        metadata: { name, namespace: 'default' },
        spec: { podName: PODS[(index + 1) % PODS.length], archivePolicy: 'Retain' },
      })),
    );
    for (const name of others) await waiting(name);
    const ordered = await lab.until('a full list of orders', async () => {
      const { text } = await lab.cluster.request({ path: pathOf(CHECKPOINT_NODES, { name: NODE }) });
      const { spec } = JSON.parse(text) as { spec: { orders: readonly { readonly requestName: string }[] } };
      return spec.orders.length === ORDERED ? spec.orders.map(({ requestName }) => requestName) : null;
    });
    await checkpoints.ask('single', { podName: 'other' }, OTHER);
    const single = await waiting('single', OTHER);
    await gate.open();

    // 31 that wait are ordered already; it is the next, and places beyond 10 are shown to the nearest 10.
    expect([single.queuePosition, single.summary]).toEqual([30, 'Queued (~30)']);
    const startedAt = async (name: string, namespace?: string): Promise<string> => {
      const { verdict, containers } = await checkpoints.outcome(name, namespace);
      expect(verdict).toBe('Complete Checkpointed');
      return containers[0]?.archive?.createdTime ?? '';
    };
    const startedSingle = await startedAt('single', OTHER);
    const behind = names.filter((name) => !ordered.includes(name));
    expect(behind).toHaveLength(3);
    for (const name of behind) expect((await startedAt(name)) > startedSingle).toBe(true);
    for (const name of ordered) expect((await startedAt(name)) < startedSingle).toBe(true);
  });
});

describe('refused at once', () => {
  const refused = async (name: string, spec: Readonly<Record<string, unknown>>): Promise<string> => {
    await checkpoints.ask(name, spec);
    const { verdict, status } = await checkpoints.outcome(name);
    const reason = verdict.replace('Failed ', '');
    expect(conditionsOf(status)).toEqual([
      `Accepted=False ${reason}`,
      `Failed=True ${reason}`,
      `Stalled=True ${reason}`,
    ]);
    expect(status).toMatchObject({ summary: 'Failed', completionTime: expect.stringMatching(/Z$/) });
    return verdict;
  };

  test('a pod that is not there', async () => {
    expect(await refused('refused-pod', { podName: 'nobody' })).toBe('Failed PodNotFound');
  });

  test('a container that does not run', async () => {
    await lab.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'half', namespace: 'default' },
      spec: {
        nodeName: NODE,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: ['app', 'over'].map((name) => ({
          name,
          image: 'docker.io/ghostlimit-lab/busybox:1',
          imagePullPolicy: 'Never',
          command: name === 'app' ? ghostHolder([]) : ['/bin/true'],
        })),
      },
    });
    const over = '{.status.containerStatuses[?(@.name=="over")].state.terminated.reason}';
    await lab.kubectl('wait', `--for=jsonpath=${over}=Completed`, 'pod/half', '--timeout=60s');
    const spec = { podName: 'half', containerNames: ['over'] };
    expect(await refused('refused-container', spec)).toBe('Failed ContainerNotRunning');
  });

  test('a node without an agent', async () => {
    await lab.runPod({ name: 'alone', nodeName: 'node2', command: ghostHolder([]) });
    await lab.kubectl('label', 'node', NODE, 'agents=here');
    await checkpoints.changeSettings({ agent: { nodeSelector: { agents: 'here' } } });
    await lab.until('the agent of node2 to go', async () =>
      (await agentPods('node2')).length === 0 ? true : null,
    );
    expect(await refused('refused-node', { podName: 'alone' })).toBe('Failed AgentMissing');
    await checkpoints.changeSettings({ agent: {} });
    const selector = 'jsonpath={.spec.template.spec.nodeSelector}';
    const daemonSet = ['-n', SYSTEM, 'daemonset/ghostlimit-agent'] as const;
    await lab.until('the agents to be wanted everywhere', async () =>
      (await lab.kubectl('get', ...daemonSet, '-o', selector)).includes('agents') ? null : true,
    );
    await lab.kubectl('rollout', 'status', ...daemonSet, '--timeout=120s');
    await checkpoints.ask('served-node', { podName: 'alone' });
    expect((await checkpoints.outcome('served-node')).verdict).toBe('Complete Checkpointed');
  });

  test('while checkpoints are paused', async () => {
    const paused = (): Promise<string> =>
      lab.kubectl(
        'get',
        'checkpointplan',
        'plan-00',
        '-o',
        'jsonpath={.spec.nodeSettings.checkpointsPaused}',
      );
    await checkpoints.changeSettings({ checkpointsPaused: true });
    await lab.until('the pause', async () => ((await paused()) === 'true' ? true : null));
    expect(await refused('refused-paused', { podName: 'asks' })).toBe('Failed CheckpointsPaused');
    await checkpoints.changeSettings({ checkpointsPaused: false });
    await lab.until('the end of the pause', async () => ((await paused()) === 'true' ? null : true));
    await checkpoints.ask('not-paused', { podName: 'asks' });
    expect((await checkpoints.outcome('not-paused')).verdict).toBe('Complete Checkpointed');
  });
});

test('no version of a request ever says two things', () => {
  const statuses = seen
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(readCheckpointRequestStatus)
    .filter(({ conditions }) => conditions !== undefined);
  expect(statuses.length).toBeGreaterThan(100);
  for (const status of statuses) {
    const holding = conditionsOf(status)
      .filter((condition) => condition.includes('=True'))
      .map((condition) => condition.split('=')[0]);
    const stage = holding.filter((type) => ['Running', 'Complete', 'Failed'].includes(type ?? ''));
    expect(stage.length).toBeLessThanOrEqual(1);
    const isOver = stage.includes('Complete') || stage.includes('Failed');
    expect([holding.includes('Reconciling'), status.queuePosition !== undefined]).toEqual([
      !isOver,
      stage.length === 0,
    ]);
    expect(status.completionTime !== undefined).toBe(isOver);
    expect(holding.includes('Stalled')).toBe(stage.includes('Failed'));
  }
});
