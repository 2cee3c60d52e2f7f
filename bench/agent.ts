// What the agent costs at rest, and how long it takes from its start to lines in the file. Beside it, a bare Node process measured in the same run.
import { setTimeout as sleep } from 'node:timers/promises';
import { PROJECT_INSIDE, type LabNode } from '../hack/lab/lab-node.ts';
import { eventually, limitPolicy, MIB, POLICIES, startStandaloneHost } from '../test/lab/standalone-host.ts';
import { timed } from './checkpoint.ts';

const SETTLE_MS = 45_000;
const REST_MS = 60_000;
/** USER_HZ of every Linux that Node runs on. */
const MS_PER_TICK = 10;

export async function benchAgent(print: (line: string) => void): Promise<void> {
  const host = await startStandaloneHost('bench-agent');
  try {
    await host.startGhostContainer('web', 2 * MIB, '--label', 'app=web');
    await host.node.writeFile(`${POLICIES}/web.yaml`, limitPolicy('web', '{fixed: 4Mi}'));
    const program = [
      'node',
      `${PROJECT_INSIDE}/dist/ghostlimit.mjs`,
      'agent',
      '--standalone',
      '--policies',
      POLICIES,
      '--log-level',
      'error',
    ];
    const startMs = await timed(async () => {
      host.node.spawn(program);
      await eventually('the line', async () =>
        (await host.conf())?.includes('ghost-limit 4194304') === true ? true : null,
      );
    });
    print(`agent: start to file written ${startMs.toFixed(0)} ms (looked at every 50 ms)`);
    host.node.spawn(['node', '-e', 'setInterval(() => {}, 1e9)']);
    await sleep(SETTLE_MS);
    await reportRest('agent', `^node ${PROJECT_INSIDE}/dist/ghostlimit.mjs agent`, host.node, print);
    await reportRest('bare Node', '^node -e setInterval', host.node, print);
  } finally {
    await host.stop();
  }
}

export async function reportRest(
  name: string,
  pattern: string,
  node: LabNode,
  print: (line: string) => void,
): Promise<void> {
  const pid = (await node.run(['pgrep', '-f', pattern])).trim().split('\n')[0] ?? '';
  const before = await cpuTicks(pid, node);
  await sleep(REST_MS);
  const ticks = (await cpuTicks(pid, node)) - before;
  const rssKb = Number(
    /^VmRSS:\s+(\d+) kB/m.exec((await node.readFile(`/proc/${pid}/status`))?.toString() ?? '')?.[1] ?? 'NaN',
  );
  const milliCpu = (ticks * MS_PER_TICK * 1000) / REST_MS;
  print(
    `${name} at rest: RSS ${(rssKb / 1024).toFixed(1)} MiB, CPU ${milliCpu.toFixed(2)} mCPU over ${(REST_MS / 1000).toString()} s`,
  );
}

/** utime + stime of /proc/PID/stat. */
export async function cpuTicks(pid: string, node: LabNode): Promise<number> {
  const fields =
    ((await node.readFile(`/proc/${pid}/stat`))?.toString() ?? '').split(') ').at(-1)?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
