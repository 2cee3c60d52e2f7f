// Runs the programs of this folder inside throwaway nodes, for the tests and `npm run soak`: whatever happens, their mounts and processes end with the node.
import { PROJECT_INSIDE, startLabNode, type LabNode } from '../lab/lab-node.ts';
import { startRuncContainer } from '../lab/runc.ts';
import type { AgentKillTotals } from './agent-under-kills.ts';
import type { Mutation } from './disturbed-calls.ts';
import type { PowerCutTotals } from './power-cut-history.ts';

export interface PowerCutOrder {
  readonly fileSystem: 'ext4' | 'xfs';
  readonly mountOptions?: string;
  readonly seed: number;
  /** At least so many; the last history is run to its end. */
  readonly cuts: number;
  /** A step of the writer to leave out. */
  readonly mutation?: Mutation;
}

const POLICIES = '/etc/ghostlimit/policies';
const APPS = ['a', 'b'];
/** A trial takes 35 ms; one that hangs is a fault too. */
const CUT_TIMEOUT_MS = 500;
const KILL_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 60_000;

/** Rejects with the seed of the first history that goes wrong, and what happened in it. */
export function runPowerCuts(order: PowerCutOrder): Promise<PowerCutTotals> {
  const { fileSystem, mountOptions = '-', seed, cuts, mutation } = order;
  const words = [fileSystem, mountOptions, seed.toString(), cuts.toString()];
  return inNode('power-cuts', (node) =>
    runTrials<PowerCutTotals>(
      node,
      ['power-cuts.ts', ...words, ...(mutation === undefined ? [] : [mutation])],
      START_TIMEOUT_MS + cuts * CUT_TIMEOUT_MS,
    ),
  );
}

/** Over the built program in dist. Rejects with the seed and what is wrong. */
export function runAgentKills(order: {
  readonly seed: number;
  readonly kills: number;
}): Promise<AgentKillTotals> {
  const { seed, kills } = order;
  return inNode('agent-kills', async (node) => {
    await node.run(['mkdir', '-p', POLICIES, '/etc/criu']);
    for (const app of APPS)
      await startRuncContainer(node, {
        id: app,
        args: ['/bin/sleep', '1000000'],
        annotations: { app },
        hostNetwork: true,
      });
    const words = [`${PROJECT_INSIDE}/dist/ghostlimit.mjs`, POLICIES, seed.toString(), kills.toString()];
    return runTrials<AgentKillTotals>(
      node,
      ['agent-kills.ts', ...words, ...APPS],
      START_TIMEOUT_MS + kills * KILL_TIMEOUT_MS,
    );
  });
}

async function inNode<T>(name: string, act: (node: LabNode) => Promise<T>): Promise<T> {
  const node = await startLabNode({ name, progress: () => undefined });
  try {
    return await act(node);
  } finally {
    await node.stop();
  }
}

async function runTrials<T>(
  node: LabNode,
  [program = '', ...args]: readonly string[],
  timeoutMs: number,
): Promise<T> {
  const argv = ['node', `${PROJECT_INSIDE}/hack/crash/${program}`, ...args];
  const { code, stdout, stderr, timedOut } = await node.exec(argv, { timeoutMs });
  if (timedOut) throw new Error(`${program} ${args.join(' ')} hangs:\n${stderr}`);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as T;
}
