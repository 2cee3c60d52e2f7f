// A whole cluster in memory: the real controller and the real agents on one FakeKube in virtual time, with what Kubernetes itself would do beside them
// (kubelets, the DaemonSet controller, restarts of pods), each process with the rights of its RBAC data and no others.
import { parse as parseYaml } from 'yaml';
import { cronerCron } from '../../src/adapters/cron/croner-cron.ts';
import { AGENT_RIGHTS } from '../../src/agent/rbac.ts';
import { readCheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import { readCheckpointPlan } from '../../src/api/checkpoint-plan.ts';
import { readCheckpointPolicyStatus } from '../../src/api/checkpoint-policy.ts';
import { CheckpointRequestStatusSchema } from '../../src/api/checkpoint-request.ts';
import type { KubeObject, KubeResource } from '../../src/api/kube-object.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
  CONFIG_MAPS,
  DAEMON_SETS,
  DEPLOYMENTS,
  NODES,
  PODS,
} from '../../src/api/kube-resources.ts';
import {
  AGENT_NAME,
  AGENT_POD_LABELS,
  CHECKPOINT_ANNOTATION,
  CONTROLLER_NAME,
  POLICY_LABEL,
  SETTINGS_CONFIG_MAP,
  SETTINGS_KEY,
  SYSTEM_NAMESPACE,
} from '../../src/api/names.ts';
import { parseOperatorSettings, type OperatorSettings } from '../../src/api/settings.ts';
import { CONTROLLER_RIGHTS } from '../../src/controller/rbac.ts';
import { runController } from '../../src/controller/run-controller.ts';
import { wireController } from '../../src/controller/wiring.ts';
import { FakeKube } from '../fakes/fake-kube.ts';
import type { AccessGrant } from '../fakes/kube/access-rules.ts';
import { kindFromCrd, type FakeKind } from '../fakes/kube/fake-kind.ts';
import type { AdmissionReview } from '../fakes/kube/object-writes.ts';
import { VirtualTime } from '../fakes/virtual-time.ts';
import { seededRandom, type Random } from '../histories/random.ts';
import { crdFiles } from '../unit/codegen/crd-files.ts';
import { NO_MACHINERY_METRICS } from './no-metrics.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { SimulatedProcess, type LoggedLine } from './simulated-process.ts';

/** How often kubelets and controllers of Kubernetes look, milliseconds. */
const TICK_MS = 5_000;
const NAMESPACE = SYSTEM_NAMESPACE;

const CONTROLLER_GRANTS: readonly AccessGrant[] = [
  { rules: CONTROLLER_RIGHTS.cluster },
  { rules: CONTROLLER_RIGHTS.ownNamespace, namespace: NAMESPACE },
];
const AGENT_GRANTS: readonly AccessGrant[] = [
  { rules: AGENT_RIGHTS.cluster },
  { rules: AGENT_RIGHTS.ownNamespace, namespace: NAMESPACE },
];

const REPLICA_SETS: KubeResource = {
  group: 'apps',
  version: 'v1',
  plural: 'replicasets',
  kind: 'ReplicaSet',
  namespaced: true,
};

const workloadKind = (resource: KubeResource): FakeKind => ({
  resource,
  hasStatus: true,
  hasGeneration: true,
  updatesUnconditionally: true,
  lists: {},
  selectableFields: [],
});

/** Ours as their definitions say. */
const KINDS = [
  ...[DEPLOYMENTS, REPLICA_SETS].map(workloadKind),
  ...crdFiles().map(({ object }) => kindFromCrd(object)),
];

export interface PodWish {
  readonly namespace: string;
  readonly app: string;
  readonly nodeName: string;
  /** Bytes of its largest ghost file; 0: it holds none. */
  readonly ghostBytes: number;
}

export interface WorldPod extends PodWish {
  readonly name: string;
  readonly containerId: string;
}

interface Replica {
  process: SimulatedProcess | null;
  /** The Deployment wants it. */
  wanted: boolean;
}

export class SettleWorld {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly kube: FakeKube;
  /** The machines whose Node is there, by name. */
  readonly nodes = new Map<string, SimulatedNode>();
  readonly pods = new Map<string, WorldPod>();
  readonly replicas: readonly Replica[] = [
    { process: null, wanted: true },
    { process: null, wanted: false },
  ];
  readonly logged: LoggedLine[] = [];
  /** What must not happen whatever goes wrong around. */
  readonly faults: string[] = [];
  /** By uid of the policy: its specs, with their generations. */
  readonly specs = new Map<string, KubeObject[]>();
  readonly settingsHistory: OperatorSettings[] = [];
  /** Every request that ever was, by uid, as it was written last. */
  readonly requests = new Map<string, KubeObject>();
  /** What stands in the ConfigMap is no settings. */
  settingsBroken = false;
  #count = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.kube = new FakeKube({ clock: this.time, seed, kinds: KINDS, historySize: 400 });
    this.kube.admit((review) => this.#judge(review));
    this.kube.seed(DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: CONTROLLER_NAME, namespace: NAMESPACE },
    });
  }

  /** Starts the clock of Kubernetes. */
  start(): void {
    this.#tick();
  }

  get settings(): OperatorSettings {
    const current = this.settingsHistory.at(-1);
    if (current === undefined) throw new Error('no settings were written yet');
    return current;
  }

  // What users do.

  /** `text` that is no settings leaves the last good ones in force. */
  writeSettings(text: string): void {
    this.kube.seed(CONFIG_MAPS, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: SETTINGS_CONFIG_MAP, namespace: NAMESPACE },
      data: { [SETTINGS_KEY]: text },
    });
    const parsed = parseOperatorSettings(parseYaml(text));
    this.settingsBroken = !parsed.ok;
    if (parsed.ok) this.settingsHistory.push(parsed.settings);
  }

  policies(): readonly KubeObject[] {
    return this.kube.all(CHECKPOINT_POLICIES);
  }

  async createPolicy(namespace: string, name: string, spec: Record<string, unknown>): Promise<void> {
    this.#remember(
      await this.kube.direct.create(CHECKPOINT_POLICIES, {
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointPolicy',
        metadata: { namespace, name },
        spec,
      }),
    );
  }

  async changePolicy(policy: KubeObject, spec: Record<string, unknown>): Promise<void> {
    this.#remember(await this.kube.direct.update(CHECKPOINT_POLICIES, { ...policy, spec }));
  }

  async deletePolicy({ metadata: { namespace = '', name } }: KubeObject): Promise<void> {
    await this.kube.direct.delete(CHECKPOINT_POLICIES, { namespace, name });
  }

  async createRequest(
    namespace: string,
    spec: Record<string, unknown>,
    policy: string | null,
  ): Promise<string> {
    this.#count += 1;
    const name = `r${this.#count.toString()}`;
    const labels = policy === null ? {} : { labels: { [POLICY_LABEL]: policy } };
    await this.kube.direct.create(CHECKPOINT_REQUESTS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointRequest',
      metadata: { namespace, name, ...labels },
      spec,
    });
    return name;
  }

  /** The pod asks for a checkpoint. */
  async annotate({ namespace, name }: WorldPod): Promise<string> {
    this.#count += 1;
    const token = `token-${this.#count.toString()}`;
    const patch = { metadata: { annotations: { [CHECKPOINT_ANNOTATION]: token } } };
    await this.kube.direct.mergePatch(PODS, { namespace, name }, patch, { fieldManager: 'kubectl-annotate' });
    return token;
  }

  #remember(policy: KubeObject): void {
    const { uid = '' } = policy.metadata;
    this.specs.set(uid, [...(this.specs.get(uid) ?? []), policy]);
  }

  startPod(wish: PodWish): WorldPod {
    this.#count += 1;
    const name = `${wish.app}-${this.#count.toString()}`;
    const pod = { ...wish, name, containerId: `id-${name}` };
    this.pods.set(name, pod);
    this.#runPod(pod);
    return pod;
  }

  /** Where no kubelet answers it is scheduled, and waits. */
  #runPod(pod: WorldPod): void {
    const node = this.nodes.get(pod.nodeName);
    if (node?.ready === true) node.run(pod.containerId, pod.ghostBytes);
    this.kube.seed(PODS, podObject(pod, this.#replicaSet(pod), node?.ready === true ? 'Running' : 'Pending'));
  }

  /** The owner of the pods of an app, without which the garbage collector would take them. */
  #replicaSet({ namespace, app }: WorldPod): KubeObject {
    const metadata = { namespace, name: `${app}-${TEMPLATE_HASH}` };
    return (
      this.kube.find(REPLICA_SETS, metadata) ??
      this.kube.seed(REPLICA_SETS, { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata })
    );
  }

  /** Its containers have ended; the object stays. */
  finishPod(pod: WorldPod): void {
    this.pods.delete(pod.name);
    this.nodes.get(pod.nodeName)?.end(pod.containerId);
    this.kube.seed(PODS, podObject(pod, this.#replicaSet(pod), 'Succeeded'));
  }

  async deletePod(pod: WorldPod): Promise<void> {
    this.pods.delete(pod.name);
    this.nodes.get(pod.nodeName)?.end(pod.containerId);
    await this.kube.direct.delete(PODS, pod);
  }

  // What happens to machines and processes.

  addNode(node: SimulatedNode): void {
    this.nodes.set(node.name, node);
    node.ready = true;
    this.#writeNode(node);
  }

  setReady(node: SimulatedNode, ready: boolean): void {
    node.ready = ready;
    this.#writeNode(node);
    if (!ready) return;
    for (const pod of this.pods.values())
      if (pod.nodeName === node.name && !node.ghosts.has(pod.containerId)) this.#runPod(pod);
  }

  /** The Node is deleted, and what ran there is gone; its disk stays. */
  async deleteNode(node: SimulatedNode): Promise<void> {
    this.nodes.delete(node.name);
    this.killAgent(node);
    await this.kube.direct.delete(NODES, { name: node.name });
    const left = [...this.pods.values()].filter((pod) => pod.nodeName === node.name);
    for (const pod of left) this.pods.delete(pod.name);
    // Of a Node that comes back at once, too: the collector of pods goes by what it saw.
    this.time.after(this.random.pick([0, 20_000]), () => {
      for (const pod of left) {
        node.end(pod.containerId);
        void this.kube.direct.delete(PODS, pod);
      }
    });
    await this.kube.direct.delete(PODS, { namespace: NAMESPACE, name: agentPodName(node) });
  }

  killAgent(node: SimulatedNode): void {
    const process = node.agent?.process;
    if (process === undefined) return;
    node.clearAgent();
    this.kube.cutWatches({ user: process.name });
  }

  killController(replica: Replica): void {
    const { process } = replica;
    if (process === null) return;
    replica.process = null;
    process.kill();
    this.kube.cutWatches({ user: process.name });
  }

  /** Processes that run or end now are named apart, in the log and as users. */
  #nextName(what: string): string {
    this.#count += 1;
    return `${what}#${this.#count.toString()}`;
  }

  // What Kubernetes does.

  #tick(): void {
    for (const [index, replica] of this.replicas.entries()) this.#keepReplica(replica, index);
    const rollsOut = this.kube.find(DAEMON_SETS, { namespace: NAMESPACE, name: AGENT_NAME }) !== null;
    for (const node of this.nodes.values()) {
      node.files.wait(TICK_MS);
      this.#keepAgent(node, rollsOut);
      this.#keepAgentPod(node, rollsOut);
    }
    this.time.after(TICK_MS, () => {
      this.#tick();
    });
  }

  #keepReplica(replica: Replica, index: number): void {
    if (!replica.wanted) replica.process?.terminate();
    else if (replica.process === null) this.#startController(replica, index);
  }

  #startController(replica: Replica, index: number): void {
    const process = new SimulatedProcess(
      this.#nextName(`controller-${index.toString()}`),
      this.time,
      this.logged,
    );
    replica.process = process;
    const parts = {
      kube: process.port(this.kube.asUser(process.name, CONTROLLER_GRANTS)),
      clock: process.clock,
      random: () => this.random.next(),
      log: process.log,
      metrics: NO_MACHINERY_METRICS,
      parseYaml: (text: string): unknown => parseYaml(text),
      cron: cronerCron,
      namespace: NAMESPACE,
      instance: process.name,
      image: 'ghostlimit:test',
      deploymentName: CONTROLLER_NAME,
    };
    const ended = (error: Error | null): void => {
      if (error !== null && !EXPECTED_ENDS.has(error.name))
        this.faults.push(`${process.name} ended: ${error.stack ?? error.message}`);
      if (replica.process === process) this.killController(replica);
    };
    runController(parts, wireController(parts), process.signal).then(
      () => {
        ended(null);
      },
      (error: unknown) => {
        ended(error as Error);
      },
    );
  }

  #keepAgent(node: SimulatedNode, rollsOut: boolean): void {
    if (node.agent?.ended === true) this.killAgent(node);
    if (!node.ready) return;
    if (!rollsOut) node.agent?.process.terminate();
    else if (node.agent === null) {
      const process = new SimulatedProcess(this.#nextName(`agent-${node.name}`), this.time, this.logged);
      node.startAgent(process, this.kube.asUser(process.name, AGENT_GRANTS), () => this.random.next());
    }
  }

  #keepAgentPod(node: SimulatedNode, rollsOut: boolean): void {
    const name = agentPodName(node);
    const existing = this.kube.find(PODS, { namespace: NAMESPACE, name });
    if (!rollsOut) {
      if (existing !== null) void this.kube.direct.delete(PODS, { namespace: NAMESPACE, name });
      return;
    }
    const status = node.ready && node.isAgentReady ? 'True' : 'False';
    const seen = existing?.['status'] as
      { readonly conditions: readonly { readonly status: string }[] } | undefined;
    if (seen?.conditions[0]?.status === status) return;
    this.kube.seed(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: NAMESPACE, labels: AGENT_POD_LABELS },
      spec: { nodeName: node.name, containers: [{ name: 'agent' }] },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status }] },
    });
  }

  #writeNode({ name, ready }: SimulatedNode): void {
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }];
    this.kube.seed(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name }, status: { conditions } });
  }

  #note(object: KubeObject | null): void {
    if (object?.kind === CHECKPOINT_REQUESTS.kind) this.requests.set(object.metadata.uid ?? '', object);
  }

  /** What the API server checks by schema and by admission policy: an agent writes the status of its own object only. */
  #judge(review: AdmissionReview): { readonly status: 403 | 422; readonly message: string } | null {
    const { user, subresource, object } = review;
    this.#note(object);
    if (user.startsWith('agent-') && object?.metadata.name !== user.slice('agent-'.length).split('#')[0])
      return { status: 403, message: `${user} may not write ${object?.metadata.name ?? ''}` };
    return object === null || isReadable(object, subresource)
      ? null
      : { status: 422, message: 'not of its shape' };
  }
}

/** A leader that cannot end its work in time exits, and comes back. */
const EXPECTED_ENDS: ReadonlySet<string> = new Set(['LeaderWorkStuck', 'StopTimedOut']);

/** What we write can be read again, all of it. */
function isReadable(object: KubeObject, subresource: 'status' | null): boolean {
  if (object.kind === CHECKPOINT_PLANS.kind) {
    const { policies = [] } = object['spec'] as { readonly policies?: readonly unknown[] };
    return readCheckpointPlan(object).length === policies.length;
  }
  if (subresource === null) return true;
  if (object.kind === CHECKPOINT_POLICIES.kind) return readCheckpointPolicyStatus(object) !== null;
  if (object.kind === CHECKPOINT_REQUESTS.kind)
    return CheckpointRequestStatusSchema.safeParse(object['status']).success;
  return object.kind !== CHECKPOINT_NODES.kind || readCheckpointNodeStatus(object) !== null;
}

function agentPodName({ name }: SimulatedNode): string {
  return `${AGENT_NAME}-${name}`;
}

const TEMPLATE_HASH = 'abc12';

/** As a Deployment named as the app makes them. */
function podObject(
  { namespace, name, app, nodeName, containerId }: WorldPod,
  { apiVersion, kind, metadata: { name: ownerName, uid = '' } }: KubeObject,
  phase: string,
): KubeObject {
  const containerID = `containerd://${containerId}`;
  const state = phase === 'Running' ? { running: {} } : { terminated: {} };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { app, 'pod-template-hash': TEMPLATE_HASH },
      ownerReferences: [{ apiVersion, kind, name: ownerName, uid, controller: true }],
    },
    spec: { nodeName, containers: [{ name: 'app' }] },
    status: { phase, containerStatuses: phase === 'Pending' ? [] : [{ name: 'app', containerID, state }] },
  };
}
