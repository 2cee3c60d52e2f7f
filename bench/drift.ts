// How fast lines of ours that somebody rewrote away are back (goal: within 2 s), and what the agent costs with 100 containers, from its start until it rests.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PROJECT_INSIDE, type LabNode } from '../hack/lab/lab-node.ts';
import { startRuncContainer } from '../hack/lab/runc.ts';
import { eventually, limitPolicy, POLICIES, startStandaloneHost } from '../test/lab/standalone-host.ts';
import { cpuTicks, reportRest } from './agent.ts';
import { timed } from './checkpoint.ts';
import { summary } from './statistics.ts';

const CONTAINERS = 100;
const ROUNDS = 200;
const QUICK_ROUNDS = 8;
/** After each of our own writes the agent waits 0.5 s before it answers the directory again: at rest it has, right after it has not. */
const AT_REST_MS = 900;
const RIGHT_AFTER_MS = 20;
/** All first scans of a container are over: they come at once, after 5 s and after 30 s. */
const SETTLE_MS = 45_000;
const MS_PER_TICK = 10;

export async function benchDrift(print: (line: string) => void): Promise<void> {
  const host = await startStandaloneHost('bench-drift');
  const { node } = host;
  try {
    for (let index = 0; index < CONTAINERS; index += 1)
      await startRuncContainer(node, {
        id: `web-${index}`,
        args: ['/bin/sleep', '1000000'],
        annotations: { app: 'web' },
        hostNetwork: true,
      });
    await node.writeFile(`${POLICIES}/web.yaml`, limitPolicy('web', '{fixed: 4Mi}'));
    const startMs = await timed(async () => {
      await host.startAgent('--log-level', 'error');
      await eventually('the line', async () =>
        (await host.conf())?.includes('ghost-limit 4194304') === true ? true : null,
      );
    });
    print(`agent beside ${CONTAINERS} containers: start to file written ${startMs.toFixed(0)} ms`);
    await sleep(SETTLE_MS);
    const pid = (await node.run(['pgrep', '-f', AGENT])).trim().split('\n')[0] ?? '';
    const cpuMs = (await cpuTicks(pid, node)) * MS_PER_TICK;
    print(`  CPU from its start until all first scans are over: ${cpuMs.toFixed(0)} ms`);
    await reportRest('agent beside 100 containers', AGENT, node, print);
    print(
      `rewritten by rename, at rest: ours are back after ${summary(await drift(node, ROUNDS, AT_REST_MS), 'ms')}`,
    );
    print(
      `rewritten right after ours were back: ${summary(await drift(node, QUICK_ROUNDS, RIGHT_AFTER_MS), 'ms')}`,
    );
  } finally {
    await host.stop();
  }
}

const AGENT = `^node ${PROJECT_INSIDE}/dist/ghostlimit.mjs agent`;

async function drift(node: LabNode, count: number, restMs: number): Promise<number[]> {
  const program = `${PROJECT_INSIDE}/bench/inside/drift.ts`;
  const answer = await node.run(['node', program, count.toString(), restMs.toString()]);
  return z.array(z.number()).parse(JSON.parse(answer));
}
