// `npm run bench:checkpoint -- [SECTION [COUNT]]`: what a CheckpointRequest costs on a real cluster beyond the bare call of the kubelet, how long its container stands still, and a queue of 500. Needs root and the lab.
// Sections: overhead, pause, queue.
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../src/adapters/clock/system-clock.ts';
import { createKubeApi, type ConnectedKubeApi } from '../src/adapters/kube/kube-api.ts';
import { readCheckpointRequestStatus, type CheckpointRequestStatus } from '../src/api/checkpoint-request.ts';
import { apiVersionOf, type KubeObject } from '../src/api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../src/api/kube-resources.ts';
import { ghostHolder } from '../hack/lab/ghost-holders.ts';
import { PROJECT_INSIDE } from '../hack/lab/lab-node.ts';
import { aPolicy, startOperatorLab, type OperatorLab } from '../test/kube/operator-lab.ts';
import type { FrozenTime } from './inside/frozen-time.ts';
import { comparison, summary, type Pair } from './statistics.ts';

const NODE = 'node1';
const MIB = 2 ** 20;
const GHOST_BYTES = 8 * MIB;
/** The kubelet names archives by the second, and two checkpoints of one container are 2 s apart. */
const REST_MS = 2_500;

type Print = (line: string) => void;

const print: Print = (line) => {
  process.stdout.write(`${line}\n`);
};

interface Bench {
  readonly lab: OperatorLab;
  readonly kube: ConnectedKubeApi;
}

/** Milliseconds from the call that creates the request to the change that says it is finished. */
async function byRequest({ kube }: Bench, name: string, podName: string): Promise<number> {
  const { resourceVersion } = await kube.list(CHECKPOINT_REQUESTS, { namespace: 'default' });
  const stop = new AbortController();
  const startedMs = performance.now();
  const changes = kube.watch(CHECKPOINT_REQUESTS, {
    namespace: 'default',
    fieldSelector: `metadata.name=${name}`,
    resourceVersion,
    timeoutSeconds: 600,
    signal: stop.signal,
  });
  await kube.create(CHECKPOINT_REQUESTS, requestFor(name, podName));
  for await (const { object } of changes) {
    const verdict = verdictOf(readCheckpointRequestStatus(object));
    if (verdict === null) continue;
    if (verdict !== 'Complete') throw new Error(`${name}: ${JSON.stringify(object['status'])}`);
    break;
  }
  stop.abort();
  return performance.now() - startedMs;
}

function requestFor(name: string, podName: string): KubeObject {
  return {
    apiVersion: apiVersionOf(CHECKPOINT_REQUESTS),
    kind: CHECKPOINT_REQUESTS.kind,
    metadata: { name, namespace: 'default' },
    spec: { podName, skipChecks: ['FreeSpace', 'PredictedPause'], startDeadlineSeconds: 7_200 },
  };
}

/** null: not finished. */
function verdictOf({ conditions = [] }: CheckpointRequestStatus): 'Complete' | 'Failed' | null {
  const isTrue = (type: string): boolean =>
    conditions.some((condition) => condition.type === type && condition.status === 'True');
  return isTrue('Complete') ? 'Complete' : isTrue('Failed') ? 'Failed' : null;
}

/** The bare call: the kubelet's own API, through the API server as `kubectl` would. */
async function byKubelet({ lab }: Bench, podName: string): Promise<number> {
  const startedMs = performance.now();
  const { status, text } = await lab.checkpoint(NODE, podName);
  if (status !== 200) throw new Error(text);
  return performance.now() - startedMs;
}

async function benchOverhead(bench: Bench, rounds: number): Promise<void> {
  await startHolder(bench, 'overhead');
  const pairs: Pair[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const otherMs = await byKubelet(bench, 'overhead');
    await sleep(REST_MS);
    const oursMs = await byRequest(bench, `overhead-${(round + 1).toString()}`, 'overhead');
    await sleep(REST_MS);
    // The first is for warming up.
    if (round >= 0) pairs.push({ otherMs, oursMs });
  }
  printPairs(
    'from the creation of a request to Complete, against the bare call of the kubelet on the same pod',
    pairs,
  );
}

function printPairs(title: string, pairs: readonly Pair[]): void {
  const line = (name: string, values: readonly number[]): void => {
    print(`  ${name}: ${summary(values, 'ms')}`);
  };
  print(title);
  line(
    'kubelet',
    pairs.map(({ otherMs }) => otherMs),
  );
  line(
    'request',
    pairs.map(({ oursMs }) => oursMs),
  );
  print(`  ${comparison(pairs)}`);
}

async function benchPause(bench: Bench, rounds: number): Promise<void> {
  await startHolder(bench, 'pause');
  const pairs: Pair[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const otherMs = await frozenDuring(bench, 'pause', () => byKubelet(bench, 'pause'));
    await sleep(REST_MS);
    const oursMs = await frozenDuring(bench, 'pause', () =>
      byRequest(bench, `pause-${(round + 1).toString()}`, 'pause'),
    );
    await sleep(REST_MS);
    if (round >= 0) pairs.push({ otherMs, oursMs });
  }
  printPairs('how long the container stands still (its freezer, looked at about each millisecond)', pairs);
}

async function frozenDuring(
  { lab }: Bench,
  podName: string,
  action: () => Promise<unknown>,
): Promise<number> {
  const node = lab.cluster.nodeNamed(NODE);
  const id = await containerIdOf(lab, podName);
  const meter = node.spawn(['node', `${PROJECT_INSIDE}/bench/inside/frozen-time.ts`, id]);
  let said = '';
  meter.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => {
    meter.once('close', () => {
      resolve();
    });
  });
  while (!said.includes('looking')) await sleep(10);
  await action();
  meter.stdin?.end();
  await ended;
  const { frozenMs } = JSON.parse(said.slice(said.indexOf('{'))) as FrozenTime;
  return frozenMs;
}

async function benchQueue(bench: Bench, count: number): Promise<void> {
  const pods = Array.from({ length: 25 }, (_, index) => `queue-${index.toString().padStart(2, '0')}`);
  for (const name of pods) await bench.lab.runPod({ name, nodeName: NODE, command: ghostHolder([]) });
  const rssBefore = await residentMiB(bench.lab);
  const startedMs = performance.now();
  for (let index = 0; index < count; index += 1) {
    const podName = pods[index % pods.length] ?? '';
    await bench.kube.create(
      CHECKPOINT_REQUESTS,
      requestFor(`queue-${index.toString().padStart(3, '0')}`, podName),
    );
  }
  const createdMs = performance.now() - startedMs;
  let rssMost = rssBefore;
  let requests = await queued(bench);
  while (!requests.every((request) => verdictOf(readCheckpointRequestStatus(request)) !== null)) {
    await sleep(1_000);
    rssMost = maximum(rssMost, await residentMiB(bench.lab));
    requests = await queued(bench);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const statuses = requests.map(readCheckpointRequestStatus);
  const complete = statuses.filter((status) => verdictOf(status) === 'Complete').length;
  const starts = requests
    .toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))
    .map((request) => readCheckpointRequestStatus(request).startTime ?? '');
  const outOfOrder = starts.filter((start, index) => start < (starts[index - 1] ?? '')).length;
  print(
    `${count.toString()} requests for ${pods.length.toString()} pods of one node, made in ${(createdMs / 1000).toFixed(1)} s`,
  );
  print(
    `  ${complete.toString()} Complete, ${(requests.length - complete).toString()} Failed, ${(count - requests.length).toString()} lost; ${outOfOrder.toString()} started before an earlier one; ${seconds.toFixed(0)} s in all, ${((seconds / count) * 1000).toFixed(0)} ms each`,
  );
  for (const [reason, requests] of Map.groupBy(statuses, failureOf))
    if (reason !== null) print(`  ${requests.length.toString()} failed: ${reason}`);
  print(
    `  RSS before and at most: controller ${rssBefore.controller.toFixed(0)} and ${rssMost.controller.toFixed(0)} MiB, agent ${rssBefore.agent.toFixed(0)} and ${rssMost.agent.toFixed(0)} MiB`,
  );
}

/** null: it has not failed. */
function failureOf({ conditions = [] }: CheckpointRequestStatus): string | null {
  const failed = conditions.find(({ type, status }) => type === 'Failed' && status === 'True');
  return failed === undefined ? null : failed.reason;
}

async function queued({ kube }: Bench): Promise<KubeObject[]> {
  const { items } = await kube.list(CHECKPOINT_REQUESTS, { namespace: 'default' });
  return items.filter(({ metadata }) => metadata.name.startsWith('queue-'));
}

interface Resident {
  readonly controller: number;
  readonly agent: number;
}

const maximum = (one: Resident, other: Resident): Resident => ({
  controller: Math.max(one.controller, other.controller),
  agent: Math.max(one.agent, other.agent),
});

/** Of the two programs, by their command lines on the only node. */
async function residentMiB(lab: OperatorLab): Promise<Resident> {
  const of = async (program: string): Promise<number> => {
    const script = `for pid in $(pgrep -f '[g]hostlimit(.mjs)? ${program}'); do grep VmRSS /proc/$pid/status; done`;
    const said = await lab.cluster.nodeNamed(NODE).exec(['sh', '-c', script]);
    const kib = [...said.stdout.matchAll(/(\d+) kB/g)].map(([, number]) => Number(number));
    return Math.max(0, ...kib) / 1024;
  };
  return { controller: await of('controller'), agent: await of('agent') };
}

async function containerIdOf(lab: OperatorLab, podName: string): Promise<string> {
  const id = await lab.kubectl(
    'get',
    'pod',
    podName,
    '-o',
    'jsonpath={.status.containerStatuses[0].containerID}',
  );
  return id.replace('containerd://', '');
}

async function startHolder({ lab }: Bench, name: string): Promise<void> {
  const command = ghostHolder([{ path: '/tmp/ghost.so', bytes: GHOST_BYTES }]);
  await lab.runPod({ name, nodeName: NODE, command });
  await lab.apply(aPolicy(name, { fixed: '16Mi' }));
  await lab.untilConf(NODE, 'our limit', (text) => text?.includes('\nghost-limit 16777216\n') === true);
}

const SECTIONS: Readonly<Record<string, { readonly count: number; readonly run: typeof benchOverhead }>> = {
  overhead: { count: 20, run: benchOverhead },
  pause: { count: 20, run: benchPause },
  queue: { count: 500, run: benchQueue },
};

const [asked, count] = process.argv.slice(2);
if (asked !== undefined && !(asked in SECTIONS))
  throw new Error(`no section ${asked}; there are ${Object.keys(SECTIONS).join(', ')}`);
const lab = await startOperatorLab({ nodes: 1 });
const kube = createKubeApi({
  source: { from: 'Text', text: lab.cluster.kubeconfig() },
  version: '0.0.0',
  component: 'bench',
  clock: systemClock,
});
try {
  for (const [name, section] of Object.entries(SECTIONS))
    if (asked === undefined || asked === name)
      await section.run({ lab, kube }, Number(count ?? section.count));
} finally {
  await kube.close();
  await lab.stop();
}
