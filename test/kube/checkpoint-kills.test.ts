// Agent, controller and node are killed at random moments of a checkpoint: each request ends in one truthful state, the container runs on, and nothing is done twice.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { seededRandom } from '../histories/random.ts';
import { checkpointLab } from './checkpoint-lab.ts';
import { startOperatorLab, type OperatorLab } from './operator-lab.ts';
import { AGENT, CONTROLLER, LARGE, requestKills, STEADY, type RequestKills } from './request-kills.ts';

const KILLS = 20;

let lab: OperatorLab;
let kills: RequestKills;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 3 });
  kills = requestKills(lab);
  for (const target of [STEADY, LARGE]) await kills.run(target);
});
afterAll(() => lab.stop());

describe('the agent is killed at random', () => {
  test(`${KILLS.toString()} times: each request ends, once, and says the truth`, async () => {
    const random = seededRandom(7);
    const verdicts = new Set<string>();
    for (let round = 0; round < KILLS; round += 1) {
      const target = random.chance(0.7) ? STEADY : LARGE;
      const { outcome, untruth } = await kills.killDuring({
        requestName: `kill-${round.toString()}`,
        target,
        labels: AGENT,
        nodeNames: ['node1'],
        when: random.next() * target.latestKillMs,
      });
      expect(untruth).toBeNull();
      verdicts.add(outcome.verdict);
    }
    expect(verdicts).toContain('Complete Checkpointed');
  });

  test('in the call of the runtime: what is left of an archive that nobody was told of goes', async () => {
    const node = lab.cluster.nodeNamed('node1');
    let path: string | null = null;
    for (let round = 0; path === null && round < 10; round += 1) {
      const requestName = `left-${round.toString()}`;
      const where = { target: LARGE, labels: AGENT, nodeNames: ['node1'] };
      const { untruth } = await kills.killDuring({ requestName, when: 'InCall', ...where });
      expect(untruth).toBeNull();
      path = await kills.lookedFor(requestName);
    }
    if (path === null) throw new Error('the outcome was known each time');
    // containerd leaves such a part only when its disk is full or it is killed too.
    await node.run([
      'sh',
      '-c',
      `umask 077; mkdir -p "$(dirname ${path})"; head -c 20000 /dev/zero > ${path}`,
    ]);
    expect(await kills.parts()).toEqual([`${path} is no tar archive`]);
    await lab.until('all parts of archives to be gone', async () =>
      (await kills.parts()).length === 0 ? true : null,
    );
  });
});

describe('the controller is killed at random', () => {
  test('between accept and order, and later: the request is done once', async () => {
    const random = seededRandom(11);
    for (let round = 0; round < 4; round += 1) {
      const { outcome, untruth } = await kills.killDuring({
        requestName: `leader-${round.toString()}`,
        target: STEADY,
        labels: CONTROLLER,
        nodeNames: lab.cluster.nodes.map(({ name }) => name),
        when: random.next() * 400,
      });
      expect([outcome.verdict, untruth]).toEqual(['Complete Checkpointed', null]);
    }
  });
});

test('the node goes while a request waits: it fails within its deadline and says why', async () => {
  const checkpoints = checkpointLab(lab);
  const lost = (await kills.controllerNode()) === 'node2' ? 'node3' : 'node2';
  await lab.runPod({ name: 'lost', nodeName: lost, command: ['/bin/sleep', '1000000'] });
  await lab.cluster.nodeNamed(lost).kill();
  await checkpoints.ask('lost', { podName: 'lost', startDeadlineSeconds: 20 });
  const { verdict, status } = await checkpoints.outcome('lost');
  expect(verdict).toMatch(/^Failed (DeadlineExceeded|AgentMissing|NodeGone)$/);
  expect(status.conditions?.find(({ type }) => type === 'Failed')?.message).toContain(lost);
});
