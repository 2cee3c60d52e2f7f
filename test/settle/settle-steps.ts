// The random steps of a history of a cluster: what users do, what happens to machines and processes, and what goes wrong with the API server.
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
  DAEMON_SETS,
} from '../../src/api/kube-resources.ts';
import { AGENT_NAME, SYSTEM_NAMESPACE } from '../../src/api/names.ts';
import type { OperatorSettings } from '../../src/api/settings.ts';
import type { Fault } from '../fakes/kube/faults.ts';
import type { Random } from '../histories/random.ts';
import type { SettleWorld, WorldPod } from './settle-world.ts';
import { RUNC_CONF, SimulatedNode } from './simulated-node.ts';

const MI = 2 ** 20;
/** The first and the last share a plan. */
export const NAMESPACES = ['shop', 'bank', 'depot'] as const;
const APPS = ['web', 'batch', 'cache'] as const;
const NODE_NAMES = ['n1', 'n2', 'n3', 'n4'] as const;
const POLICY_NAMES = ['p1', 'p2', 'p3'] as const;
const FOREIGN = [
  null,
  '',
  '# kept by the site\nskip-in-flight\n',
  'ghost-limit 4M\n',
  'link-remap',
  'ghost-limit = 3145728\n',
] as const;
const GHOSTS = [0, 0, 700_000, 2_797_568, 5 * MI, 20 * MI] as const;

/** In words, for a history that failed. */
export type Step = (world: SettleWorld) => string | Promise<string>;

/** How often each comes, and what it is. */
const STEPS: readonly (readonly [number, Step])[] = [
  [6, createPolicy],
  [5, changePolicy],
  [3, deletePolicy],
  [6, startPod],
  [4, movePod],
  [3, endPod],
  [16, createRequest],
  [4, deleteRequest],
  [3, annotatePod],
  [3, changeDumps],
  [5, changeSettings],
  [1, breakSettings],
  [5, changeReadiness],
  [2, deleteNode],
  [3, addNode],
  [3, restartAgent],
  [4, restartController],
  [2, changeReplicas],
  [2, editFile],
  [1, editDaemonSet],
  [2, deleteOurs],
  [5, disturbCalls],
  [4, disturbWatches],
  [2, stopServer],
  [3, calmDown],
];

export function randomStep(random: Random): Step {
  let left = random.next() * STEPS.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, step] of STEPS) {
    left -= weight;
    if (left < 0) return step;
  }
  return calmDown;
}

// Users.

function someLimit({ random }: SettleWorld): Record<string, unknown> {
  if (random.chance(0.1)) return {};
  if (random.chance(0.65))
    return { ghostLimit: { fixed: random.pick(['1Mi', '2Mi', '3Mi', '6Mi', '100Mi']) } };
  const auto = random.pick([
    {},
    { minimum: '2Mi' },
    { maximum: '4Mi' },
    { minimum: '2Mi', maximum: '16Mi', headroomPercent: 0 },
  ]);
  return { ghostLimit: { auto } };
}

function someTarget(world: SettleWorld, name: string): Record<string, unknown> {
  const { random } = world;
  const app = random.pick(APPS);
  const who = random.pick([
    { selector: {} },
    { selector: { matchLabels: { app } } },
    { selector: { matchExpressions: [{ key: 'app', operator: 'In', values: [app, 'other'] }] } },
    { workloadRef: { kind: 'Deployment', name: app } },
  ]);
  return { name, ...who, ...someLimit(world) };
}

function someSpec(world: SettleWorld): Record<string, unknown> {
  const { random } = world;
  const targets = ['one', 'two'].slice(0, 1 + random.below(2)).map((name) => someTarget(world, name));
  return {
    mode: random.chance(0.15) ? 'Audit' : 'Enforce',
    scope: random.chance(0.15) ? 'Checkpoint' : 'Node',
    targets,
    ...(random.chance(0.25) && { criuOptions: [random.pick(['FileLocks', 'TcpEstablished', 'TcpClose'])] }),
  };
}

async function createPolicy(world: SettleWorld): Promise<string> {
  const namespace = world.random.pick(NAMESPACES);
  const name = world.random.pick(POLICY_NAMES);
  if (world.kube.find(CHECKPOINT_POLICIES, { namespace, name }) !== null) return changePolicy(world);
  const spec = someSpec(world);
  await world.createPolicy(namespace, name, spec);
  return `create ${namespace}/${name} ${JSON.stringify(spec)}`;
}

async function changePolicy(world: SettleWorld): Promise<string> {
  const live = world.policies().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (live.length === 0) return 'no policy to change';
  const policy = world.random.pick(live);
  const spec = someSpec(world);
  await world.changePolicy(policy, spec);
  return `change ${policy.metadata.namespace ?? ''}/${policy.metadata.name} ${JSON.stringify(spec)}`;
}

async function deletePolicy(world: SettleWorld): Promise<string> {
  const policies = world.policies();
  if (policies.length === 0) return 'no policy to delete';
  const policy = world.random.pick(policies);
  await world.deletePolicy(policy);
  return `delete ${policy.metadata.namespace ?? ''}/${policy.metadata.name}`;
}

function readyNodes(world: SettleWorld): SimulatedNode[] {
  return [...world.nodes.values()].filter(({ ready }) => ready);
}

function startPod(world: SettleWorld): string {
  const { random } = world;
  // Now and then to one that went silent just now.
  const nodes = random.chance(0.2) ? [...world.nodes.values()] : readyNodes(world);
  if (nodes.length === 0) return 'no node for a pod';
  const wish = {
    namespace: random.pick(NAMESPACES),
    app: random.pick(APPS),
    nodeName: random.pick(nodes).name,
    ghostBytes: random.pick(GHOSTS),
  };
  const { name } = world.startPod(wish);
  return `start ${name} ${JSON.stringify(wish)}`;
}

function somePod({ pods, random }: SettleWorld): WorldPod | null {
  return pods.size === 0 ? null : random.pick([...pods.values()]);
}

async function movePod(world: SettleWorld): Promise<string> {
  const pod = somePod(world);
  const nodes = readyNodes(world);
  if (pod === null || nodes.length === 0) return 'no pod to move';
  const nodeName = world.random.pick(nodes).name;
  if (world.random.chance(0.5)) await world.deletePod(pod);
  const { name } = world.startPod({ ...pod, nodeName });
  if (world.pods.has(pod.name)) await world.deletePod(pod);
  return `move ${pod.name} from ${pod.nodeName} to ${nodeName} as ${name}`;
}

async function endPod(world: SettleWorld): Promise<string> {
  const pod = somePod(world);
  if (pod === null) return 'no pod to end';
  if (world.random.chance(0.3)) {
    world.finishPod(pod);
    return `finish ${pod.name} on ${pod.nodeName}`;
  }
  await world.deletePod(pod);
  return `end ${pod.name} on ${pod.nodeName}`;
}

async function createRequest(world: SettleWorld): Promise<string> {
  const { random } = world;
  const pod = somePod(world);
  if (pod === null) return 'no pod to ask for';
  const spec = {
    podName: random.chance(0.1) ? 'nobody' : pod.name,
    ...(random.chance(0.5) && { containerNames: [random.chance(0.1) ? 'other' : 'app'] }),
    timeoutSeconds: random.pick([1, 10, 30]),
    startDeadlineSeconds: random.pick([2, 30, 120]),
    ttlSecondsAfterFinished: random.pick([0, 60, 604_800, 604_800]),
    archivePolicy: random.pick(['Delete', 'Delete', 'Retain']),
  };
  const name = await world.createRequest(pod.namespace, spec, random.pick([null, 'p1']));
  return `ask for ${pod.name} as ${name} ${JSON.stringify(spec)}`;
}

async function deleteRequest({ kube, random }: SettleWorld): Promise<string> {
  const all = kube.all(CHECKPOINT_REQUESTS);
  if (all.length === 0) return 'no request to delete';
  const { namespace = '', name } = random.pick(all).metadata;
  await kube.direct.delete(CHECKPOINT_REQUESTS, { namespace, name });
  return `delete the request ${name}`;
}

async function annotatePod(world: SettleWorld): Promise<string> {
  const pod = somePod(world);
  if (pod === null) return 'no pod to annotate';
  return `annotate ${pod.name} with ${await world.annotate(pod)}`;
}

/** From now on dumps on a node are quick, or take long. */
function changeDumps({ nodes, random }: SettleWorld): string {
  const all = [...nodes.values()];
  if (all.length === 0) return 'no node to change dumps on';
  const node = random.pick(all);
  node.runtime.dumpMs = random.pick([0, 300, 3_000, 8_000]);
  return `dumps on ${node.name} take ${node.runtime.dumpMs.toString()} ms`;
}

export function someSettings({ random }: SettleWorld): string {
  return JSON.stringify({
    maxGhostLimit: random.pick(['1Gi', '1Gi', '64Mi', '5Mi']),
    baseGhostLimit: random.pick([null, null, '2Mi', '5Mi']),
    allowedCriuOptions: random.pick([[], ['FileLocks', 'TcpEstablished', 'TcpClose']]),
    namespaces: random.pick([null, null, ['shop'], ['shop', 'depot']]),
    checkpointsPaused: random.chance(0.15),
    removal: random.chance(0.15),
    agent: { image: random.pick([null, 'ghostlimit:other']) },
  });
}

function changeSettings(world: SettleWorld): string {
  const text = someSettings(world);
  world.writeSettings(text);
  return `settings ${text}`;
}

function breakSettings(world: SettleWorld): string {
  world.writeSettings('maxGhostLimit: 3 bananas');
  return 'settings that are none';
}

/** A line of a user, above ours. */
function editFile(world: SettleWorld): string {
  const nodes = [...world.nodes.values()];
  if (nodes.length === 0) return 'no node to edit a file on';
  const node = world.random.pick(nodes);
  const line = `# note ${world.random.below(1000).toString()}\n`;
  node.files.put(RUNC_CONF, line + (node.conf ?? ''));
  node.foreign = line + (node.foreign ?? '');
  return `edit the file of ${node.name}`;
}

async function editDaemonSet({ kube }: SettleWorld): Promise<string> {
  const ref = { namespace: SYSTEM_NAMESPACE, name: AGENT_NAME };
  if (kube.find(DAEMON_SETS, ref) === null) return 'no DaemonSet to edit';
  await kube.direct.mergePatch(
    DAEMON_SETS,
    ref,
    { spec: { minReadySeconds: 7 } },
    { fieldManager: 'kubectl-edit' },
  );
  return 'edit the DaemonSet';
}

async function deleteOurs(world: SettleWorld): Promise<string> {
  const { random, kube } = world;
  const what = random.below(3);
  if (what === 0) {
    await kube.direct.delete(DAEMON_SETS, { namespace: SYSTEM_NAMESPACE, name: AGENT_NAME });
    return 'delete the DaemonSet';
  }
  const resource = what === 1 ? CHECKPOINT_PLANS : CHECKPOINT_NODES;
  const objects = kube.all(resource);
  if (objects.length === 0) return `no ${resource.kind} to delete`;
  const { name } = random.pick(objects).metadata;
  await kube.direct.delete(resource, { name });
  return `delete ${resource.kind} ${name}`;
}

// Machines and processes.

export function someNode(world: SettleWorld, name: string): SimulatedNode {
  return new SimulatedNode(name, world.random.pick(FOREIGN), world.time);
}

function changeReadiness(world: SettleWorld): string {
  const { random, nodes } = world;
  if (nodes.size === 0) return 'no node to lose';
  const node = random.pick([...nodes.values()]);
  if (!node.ready) {
    world.setReady(node, true);
    return `${node.name} is ready again`;
  }
  world.setReady(node, false);
  if (random.chance(0.3)) return `the kubelet of ${node.name} is gone`;
  world.killAgent(node);
  return `${node.name} is gone`;
}

async function deleteNode(world: SettleWorld): Promise<string> {
  if (world.nodes.size < 2) return 'too few nodes to delete one';
  const all = [...world.nodes.values()];
  const silent = all.filter(({ ready }) => !ready);
  const node = world.random.pick(silent.length > 0 && world.random.chance(0.6) ? silent : all);
  await world.deleteNode(node);
  if (world.random.chance(0.5)) {
    world.addNode(node);
    return `${node.name} registers anew`;
  }
  return `delete ${node.name}`;
}

function addNode(world: SettleWorld): string {
  const free = NODE_NAMES.filter((name) => !world.nodes.has(name));
  if (free.length === 0) return 'no room for a node';
  const node = someNode(world, world.random.pick(free));
  world.addNode(node);
  return `add ${node.name} with ${JSON.stringify(node.foreign)}`;
}

function restartAgent(world: SettleWorld): string {
  const running = [...world.nodes.values()].filter(({ agent }) => agent !== null);
  if (running.length === 0) return 'no agent to restart';
  const node = world.random.pick(running);
  if (world.random.chance(0.5)) {
    world.killAgent(node);
    return `kill the agent of ${node.name}`;
  }
  node.agent?.process.terminate();
  return `end the agent of ${node.name}`;
}

function restartController(world: SettleWorld): string {
  const replica = world.random.pick(world.replicas);
  const name = replica.process?.name ?? 'no controller';
  if (world.random.chance(0.6)) {
    world.killController(replica);
    return `kill ${name}`;
  }
  replica.process?.terminate();
  return `end ${name}`;
}

function changeReplicas(world: SettleWorld): string {
  const wanted = world.random.below(3);
  world.replicas.forEach((replica, index) => {
    replica.wanted = index < wanted;
  });
  return `${wanted.toString()} controllers`;
}

// The API server.

const FAULTS: readonly Fault[] = [
  { kind: 'status', status: 409 },
  { kind: 'status', status: 410 },
  { kind: 'status', status: 429, retryAfterMs: 3_000 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, moment: 'after' },
  { kind: 'status', status: 504 },
  { kind: 'unreachable' },
  { kind: 'unreachable', moment: 'after' },
  { kind: 'delay', ms: 400 },
  { kind: 'delay', ms: 7_000 },
];

function disturbCalls({ random, kube }: SettleWorld): string {
  const probability = random.pick([0.05, 0.2, 0.5, 0.9]);
  const faults = FAULTS.filter(() => random.chance(0.4));
  if (faults.length === 0) return 'no disturbance';
  const verb = random.chance(0.5)
    ? null
    : random.pick(['list', 'watch', 'apply', 'patch', 'create', 'update'] as const);
  kube.faults.sometimes(verb === null ? {} : { verb }, probability, faults);
  return `${probability.toString()} of ${verb ?? 'all'} calls: ${JSON.stringify(faults)}`;
}

function disturbWatches(world: SettleWorld): string {
  const { random, kube } = world;
  const match = random.chance(0.5)
    ? {}
    : {
        resource: random.pick([
          'pods',
          'nodes',
          CHECKPOINT_PLANS.plural,
          CHECKPOINT_NODES.plural,
          CHECKPOINT_POLICIES.plural,
          CHECKPOINT_REQUESTS.plural,
        ]),
      };
  const where = match.resource ?? 'everything';
  switch (random.below(5)) {
    case 0:
      kube.cutWatches(match);
      return `cut the watches of ${where}`;
    case 1:
      kube.endWatches(match);
      return `end the watches of ${where}`;
    case 2:
      kube.forgetHistory();
      kube.cutWatches(match);
      return `compact, and cut the watches of ${where}`;
    case 3:
      kube.dropsBookmarks = true;
      return 'no bookmarks';
    default:
      kube.cacheLag = 1 + random.below(4);
      return `lists lag ${kube.cacheLag.toString()} changes behind`;
  }
}

function stopServer({ random, kube, time }: SettleWorld): string {
  const seconds = random.pick([2, 20, 120, 400, 1_500]);
  kube.goDown();
  time.after(seconds * 1000, () => {
    kube.comeUp();
  });
  return `the API server is down for ${seconds.toString()} s`;
}

function calmDown({ kube }: SettleWorld): string {
  kube.faults.clear();
  kube.dropsBookmarks = false;
  kube.cacheLag = 0;
  return 'calm';
}

/** The end of all trouble: what is wanted stands from now on. */
export function heal(world: SettleWorld): string {
  const { random, replicas, kube, nodes } = world;
  calmDown(world);
  kube.comeUp();
  const two = random.chance(0.5);
  replicas.forEach((replica, index) => {
    replica.wanted = index === 0 || two;
  });
  // Only then: a change of the settings makes the controller look at everything.
  if (world.settingsBroken) world.writeSettings(textOf(world.settings));
  const silent = [...nodes.values()].filter((node) => {
    if (!node.ready && random.chance(0.7)) world.setReady(node, true);
    return !node.ready;
  });
  return `healed, with ${two ? 'two controllers' : 'one controller'}, silent: [${silent.map(({ name }) => name).join(' ')}]`;
}

function textOf(settings: OperatorSettings): string {
  const { maxGhostLimit, baseGhostLimit, allowedCriuOptions, namespaces, checkpointsPaused, removal, agent } =
    settings;
  return JSON.stringify({
    maxGhostLimit,
    baseGhostLimit,
    allowedCriuOptions,
    namespaces,
    checkpointsPaused,
    removal,
    agent: { image: agent.image },
  });
}
