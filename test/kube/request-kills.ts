// Kills of the agent and of the controller at random moments of a request on a real cluster, and whether what the request says is true. Asserts nothing by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { countEach, ghostHolder, MAKE_WAITING_PLACE } from '../../hack/lab/ghost-holders.ts';
import { createHostCheckpointArchives } from '../../src/adapters/archives/host-checkpoint-archives.ts';
import type { LedgerEntry } from '../../src/node-engine/orders/order-ledger.ts';
import { seededRandom } from '../histories/random.ts';
import { checkpointLab, type Outcome } from './checkpoint-lab.ts';
import { startOperatorLab, SYSTEM, type OperatorLab } from './operator-lab.ts';

const ARCHIVES = '/var/lib/ghostlimit/checkpoints';
const STATE = '/var/lib/ghostlimit';
const NODE = 'node1';
export const AGENT = 'app.kubernetes.io/component=agent';
export const CONTROLLER = 'app.kubernetes.io/component=controller';

/** A program on the first node that counts, and how long a request for it takes at most: kills come before, in and after its dump. */
export interface KillTarget {
  readonly podName: string;
  readonly latestKillMs: number;
}
/** From `kubectl create` to the result it takes half a second. */
export const STEADY: KillTarget = { podName: 'steady', latestKillMs: 900 };
/** Its archive takes a while to be written. */
export const LARGE: KillTarget = { podName: 'large', latestKillMs: 2_500 };
const LARGE_BYTES = 64 * 2 ** 20;

export interface RequestKills {
  /** Runs the program, until it counts. */
  readonly run: (target: KillTarget) => Promise<void>;
  /** Asks for a checkpoint, kills what has the labels on the nodes then, and gives what came of it. */
  readonly killDuring: (order: KillOrder) => Promise<KillEnd>;
  /** Where the archive should be that the agent's ledger still looks out for; null: it does not. */
  readonly lookedFor: (requestName: string) => Promise<string | null>;
  /** Where the controller runs; waits until it does. */
  readonly controllerNode: () => Promise<string>;
  /** Archives on the node that are not whole. */
  readonly parts: () => Promise<readonly string[]>;
}

export interface KillOrder {
  readonly requestName: string;
  readonly target: KillTarget;
  readonly labels: string;
  readonly nodeNames: readonly string[];
  /** Milliseconds from the end of `kubectl create`; InCall: as soon as the ledger says that the runtime is about to be called. */
  readonly when: number | 'InCall';
}

export interface KillEnd {
  readonly outcome: Outcome;
  /** What is not as the request says; null: it says the truth, and the program counts on. */
  readonly untruth: string | null;
}

export function requestKills(lab: OperatorLab): RequestKills {
  const checkpoints = checkpointLab(lab);
  const { counterOf } = checkpoints;
  return {
    run: async (target) => {
      const { podName } = target;
      await lab.runPod({ name: podName, nodeName: NODE, command: programOf(target) });
      // Until it has filled its memory there is no counter.
      await lab.until('it to count', async () =>
        (await counterOf(podName).catch(() => 0)) > 0 ? true : null,
      );
    },
    killDuring: async ({ requestName, target, labels, nodeNames, when }) => {
      const { podName } = target;
      const before = await archivesOf(lab);
      const victims = await podsWith(lab, labels, nodeNames);
      await checkpoints.ask(requestName, { podName, archivePolicy: 'Retain' });
      if (when === 'InCall')
        await lab.until(
          'the runtime to be called',
          async () => (await entryOf(lab, requestName))?.open ?? null,
        );
      else await sleep(when);
      for (const victim of victims) await kill(lab, victim);
      const outcome = await checkpoints.outcome(requestName);
      const made = (await archivesOf(lab)).filter((path) => !before.includes(path));
      const counted = await counterOf(podName);
      await lab.until('the program to count on', async () =>
        (await counterOf(podName)) > counted ? true : null,
      );
      return { outcome, untruth: untruthOf(outcome, made) };
    },
    lookedFor: async (requestName) => {
      const [call] = (await entryOf(lab, requestName))?.remains ?? [];
      return call === undefined
        ? null
        : `${call.archiveDirectory}/${call.containerId}/${call.checkpointName}.tar`;
    },
    controllerNode: async () => {
      const everyNode = lab.cluster.nodes.map(({ name }) => name);
      const [pod] = await podsWith(lab, CONTROLLER, everyNode);
      return pod.nodeName;
    },
    parts: async () => {
      const archives = createHostCheckpointArchives({ hostRoot: lab.cluster.nodeNamed(NODE).lab().rootPath });
      const found = [];
      for (const path of await archivesOf(lab)) found.push(await archives.inspect(path));
      return found.flatMap((info) =>
        info === null || info.fault === null ? [] : [`${info.path} ${info.fault}`],
      );
    },
  };
}

function programOf({ podName }: KillTarget): readonly string[] {
  if (podName !== LARGE.podName) return ghostHolder([{ path: '/tmp/small.so', bytes: 65_536 }]);
  const fill = `memory=$(head -c ${LARGE_BYTES.toString()} /dev/zero | tr "\\0" x)`;
  return ['/bin/sh', '-c', [MAKE_WAITING_PLACE, fill, countEach(1)].join('; ')];
}

/** At most one dump was made, and none that the request does not tell of. */
function untruthOf({ verdict, containers }: Outcome, made: readonly string[]): string | null {
  const [container] = containers;
  const said = `${verdict}, ${JSON.stringify(containers)}, made: ${made.join(' ')}`;
  if (made.length > 1) return `made more than once: ${said}`;
  if (verdict === 'Complete Checkpointed')
    return made.length === 1 && made[0] === container?.archive?.path ? null : `not that archive: ${said}`;
  return container?.result === 'Unknown' && container.reason === 'OutcomeUnknown' ? null : said;
}

interface PodObject {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly containerStatuses?: readonly { readonly containerID?: string }[] };
}

interface Victim {
  readonly nodeName: string;
  readonly podName: string;
  readonly containerId: string;
}

/** Those that run on one of the nodes; waits for one. */
function podsWith(
  lab: OperatorLab,
  labels: string,
  nodeNames: readonly string[],
): Promise<readonly [Victim, ...Victim[]]> {
  return lab.until(`a pod with ${labels} on ${nodeNames.join(' or ')}`, async () => {
    const list = JSON.parse(
      await lab.kubectl(
        ...['-n', SYSTEM, 'get', 'pods', '-l', labels, '-o', 'json'],
        ...['--field-selector', 'status.phase=Running'],
      ),
    ) as { readonly items: readonly PodObject[] };
    const found = list.items.flatMap(({ metadata, spec: { nodeName }, status }) => {
      const containerId = status.containerStatuses?.[0]?.containerID?.replace('containerd://', '') ?? '';
      const isThere = nodeNames.includes(nodeName) && containerId !== '';
      return isThere ? [{ nodeName, podName: metadata.name, containerId }] : [];
    });
    const [first, ...others] = found;
    return first === undefined ? null : [first, ...others];
  });
}

/** SIGKILL to its program, then a new pod instead of it: one that is started again would wait longer each time. */
async function kill(lab: OperatorLab, { nodeName, podName, containerId }: Victim): Promise<void> {
  const node = lab.cluster.nodeNamed(nodeName);
  await node.exec(['runc', '--root', '/run/containerd/runc/k8s.io', 'kill', containerId, 'KILL']);
  await lab.kubectl('-n', SYSTEM, 'delete', 'pod', podName, '--grace-period=0', '--force');
}

/** What the agent's ledger says of the request; null: nothing. */
async function entryOf(lab: OperatorLab, requestName: string): Promise<LedgerEntry | null> {
  const uid = (await checkpointLab(lab).request(requestName))?.metadata.uid ?? '';
  const text = await lab.cluster.nodeNamed(NODE).readFile(`${STATE}/order-${uid}.json`);
  return text === null ? null : (JSON.parse(text.toString()) as LedgerEntry);
}

async function archivesOf(lab: OperatorLab): Promise<readonly string[]> {
  const found = await lab.cluster
    .nodeNamed(NODE)
    .run(['sh', '-c', `find ${ARCHIVES} -type f -name '*.tar' 2>/dev/null || true`]);
  return found.split('\n').filter((line) => line !== '');
}

export interface RequestKillTotals {
  kills: number;
  succeeded: number;
  unknown: number;
  /** Programs that counted on after the kill. */
  ranOn: number;
  /** Kills after which a part of an archive lay there; none is left in the end. */
  parts: number;
}

/** Kills the agent so often, on a cluster of its own. Rejects with the seed and what is wrong. */
export async function runRequestKills(order: {
  readonly seed: number;
  readonly kills: number;
}): Promise<RequestKillTotals> {
  const random = seededRandom(order.seed);
  const totals: RequestKillTotals = { kills: 0, succeeded: 0, unknown: 0, ranOn: 0, parts: 0 };
  const lab = await startOperatorLab({ nodes: 1 });
  try {
    const rig = requestKills(lab);
    for (const target of [STEADY, LARGE]) await rig.run(target);
    while (totals.kills < order.kills) {
      const target = random.pick([STEADY, LARGE]);
      const when = random.chance(0.25) ? 'InCall' : random.below(target.latestKillMs);
      const requestName = `kill-${totals.kills.toString()}`;
      const where = { labels: AGENT, nodeNames: [NODE] };
      const { outcome, untruth } = await rig.killDuring({ requestName, target, when, ...where });
      if (untruth !== null) throw new Error(`${requestName}, ${when}, ${target.podName}: ${untruth}`);
      totals.kills += 1;
      totals.ranOn += 1;
      if (outcome.verdict === 'Complete Checkpointed') totals.succeeded += 1;
      else totals.unknown += 1;
      if ((await rig.parts()).length > 0) totals.parts += 1;
    }
    await lab.until('all parts of archives to be gone', async () =>
      (await rig.parts()).length === 0 ? true : null,
    );
    return totals;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${order.seed}, after ${totals.kills} kills: ${why}`, { cause: error });
  } finally {
    await lab.stop();
  }
}
