// Agent, controller and node are killed at random moments of a checkpoint: each request ends in one truthful state, the container runs on, and nothing is done twice.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { seededRandom } from '../histories/random.ts';
import { checkpointLab, type CheckpointLab, type Outcome } from './checkpoint-lab.ts';
import { startOperatorLab, SYSTEM, type OperatorLab } from './operator-lab.ts';

const KILLS = 20;
/** A request takes about half a second from `kubectl create` to the result: kills come before, in and after its dump. */
const LATEST_KILL_MS = 900;
const ARCHIVES = '/var/lib/ghostlimit/checkpoints';

let lab: OperatorLab;
let checkpoints: CheckpointLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 2 });
  checkpoints = checkpointLab(lab);
  const holder = ghostHolder([{ path: '/tmp/small.so', bytes: 65_536 }]);
  await lab.runPod({ name: 'steady', nodeName: 'node1', command: holder });
  await lab.until('it to count', async () => ((await checkpoints.counterOf('steady')) > 0 ? true : null));
});
afterAll(() => lab.stop());

interface PodObject {
  readonly metadata: { readonly name: string };
  readonly status: { readonly containerStatuses?: readonly { readonly containerID?: string }[] };
}

/** SIGKILL to the program of the pod that has the labels on the node, then a new pod instead of it: one that is started again would wait longer each time. */
async function killPod(labels: string, nodeName: string): Promise<void> {
  const list = JSON.parse(
    await lab.kubectl(
      ...['-n', SYSTEM, 'get', 'pods', '-l', labels, '-o', 'json'],
      ...['--field-selector', `spec.nodeName=${nodeName},status.phase=Running`],
    ),
  ) as { readonly items: readonly PodObject[] };
  for (const { metadata, status } of list.items) {
    const id = (status.containerStatuses?.[0]?.containerID ?? '').replace('containerd://', '');
    await lab.cluster
      .nodeNamed(nodeName)
      .exec(['runc', '--root', '/run/containerd/runc/k8s.io', 'kill', id, 'KILL']);
    await lab.kubectl('-n', SYSTEM, 'delete', 'pod', metadata.name, '--grace-period=0', '--force');
  }
}

const AGENT = 'app.kubernetes.io/component=agent';
const CONTROLLER = 'app.kubernetes.io/component=controller';

async function archives(): Promise<readonly string[]> {
  const found = await lab.cluster
    .nodeNamed('node1')
    .run(['sh', '-c', `find ${ARCHIVES} -type f -name '*.tar' 2>/dev/null || true`]);
  return found.split('\n').filter((line) => line !== '');
}

/** What the request says agrees with what is on the node, and the program counts on. */
async function expectTruth({ verdict, containers }: Outcome, before: readonly string[]): Promise<void> {
  const [container] = containers;
  const made = (await archives()).filter((path) => !before.includes(path));
  // At most one dump was made, and none that the request does not tell of.
  expect(made.length).toBeLessThanOrEqual(1);
  if (verdict === 'Complete Checkpointed') expect(made).toEqual([container?.archive?.path]);
  else expect([container?.result, container?.reason]).toEqual(['Unknown', 'OutcomeUnknown']);
  const counted = await checkpoints.counterOf('steady');
  await lab.until('the program to count on', async () =>
    (await checkpoints.counterOf('steady')) > counted ? true : null,
  );
}

describe('the agent is killed at random', () => {
  test(`${KILLS.toString()} times: each request ends, once, and says the truth`, async () => {
    const random = seededRandom(7);
    const verdicts = new Set<string>();
    for (let round = 0; round < KILLS; round += 1) {
      const name = `kill-${round.toString()}`;
      const before = await archives();
      await checkpoints.ask(name, { podName: 'steady', archivePolicy: 'Retain' });
      await sleep(random.next() * LATEST_KILL_MS);
      await killPod(AGENT, 'node1');
      const outcome = await checkpoints.outcome(name);
      await expectTruth(outcome, before);
      verdicts.add(outcome.verdict);
    }
    expect(verdicts).toContain('Complete Checkpointed');
  });
});

describe('the controller is killed at random', () => {
  test('between accept and order, and later: the request is done once', async () => {
    const random = seededRandom(11);
    for (let round = 0; round < 4; round += 1) {
      const name = `leader-${round.toString()}`;
      const before = await archives();
      await checkpoints.ask(name, { podName: 'steady', archivePolicy: 'Retain' });
      await sleep(random.next() * 400);
      for (const nodeName of ['node1', 'node2']) await killPod(CONTROLLER, nodeName);
      const outcome = await checkpoints.outcome(name);
      expect(outcome.verdict).toBe('Complete Checkpointed');
      await expectTruth(outcome, before);
    }
  });
});

test('the node goes while a request waits: it fails within its deadline and says why', async () => {
  await lab.runPod({ name: 'lost', nodeName: 'node2', command: ['/bin/sleep', '1000000'] });
  await lab.cluster.nodeNamed('node2').kill();
  await checkpoints.ask('lost', { podName: 'lost', startDeadlineSeconds: 20 });
  const { verdict, status } = await checkpoints.outcome('lost');
  expect(verdict).toMatch(/^Failed (DeadlineExceeded|AgentMissing|NodeGone)$/);
  expect(status.conditions?.find(({ type }) => type === 'Failed')?.message).toContain('node2');
});
