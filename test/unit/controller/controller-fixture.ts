// What reconcilers of the controller are tested on: a fake API server, and caches that show what it has when the test says so.
import { parse } from 'yaml';
import { cronerCron } from '../../../src/adapters/cron/croner-cron.ts';
import type { CheckpointNodeStatus, PolicyReport } from '../../../src/api/checkpoint-node.ts';
import { objectKey, type KubeObject, type KubeResource } from '../../../src/api/kube-object.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
  CONFIG_MAPS,
  NODES,
  PODS,
} from '../../../src/api/kube-resources.ts';
import { AGENT_POD_LABELS } from '../../../src/api/names.ts';
import {
  AGENT_POD_INDEXES,
  POLICY_INDEXES,
  PROJECTIONS,
  REPORT_INDEXES,
  REQUEST_INDEXES,
  type CachedAgentPod,
  type CachedNode,
  type CachedPlan,
  type CachedReport,
} from '../../../src/controller/cluster-view.ts';
import { createSettingsSource } from '../../../src/controller/settings-view.ts';
import { createStore, type ObjectStore } from '../../../src/machinery/store.ts';
import { FakeKube } from '../../fakes/fake-kube.ts';
import { kindFromCrd } from '../../fakes/kube/fake-kind.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { crdFiles } from '../codegen/crd-files.ts';
import { RecordingLog } from '../machinery/recording.ts';

export const MI = 2 ** 20;
export const NEVER = new AbortController().signal;
const SYSTEM = 'ghostlimit-system';

export class ControllerFixture {
  readonly time = new VirtualTime();
  readonly kube = new FakeKube({
    clock: this.time,
    kinds: crdFiles().map(({ object }) => kindFromCrd(object)),
    garbage: 'Manual',
  });
  readonly log = new RecordingLog();
  readonly settings = createSettingsSource(parse, this.log);
  readonly caches = {
    policies: createStore<KubeObject>(POLICY_INDEXES),
    plans: createStore<CachedPlan>(),
    reports: createStore<CachedReport>(REPORT_INDEXES),
    nodes: createStore<CachedNode>(),
    agentPods: createStore<CachedAgentPod>(AGENT_POD_INDEXES),
    requests: createStore<KubeObject>(REQUEST_INDEXES),
  };

  constructor(settings: Record<string, unknown> = {}) {
    this.set(settings);
  }

  /** For parts that take several of them. */
  get parts() {
    const { time: clock, kube, log, settings, caches } = this;
    return { clock, kube, log, settings, caches, cron: cronerCron };
  }

  set(settings: Record<string, unknown>): void {
    this.settings.take(
      this.kube.seed(CONFIG_MAPS, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'ghostlimit-settings', namespace: SYSTEM },
        data: { 'settings.yaml': JSON.stringify(settings) },
      }),
    );
  }

  /** The caches show what the server has now. */
  sync(): void {
    this.#fill(CHECKPOINT_POLICIES, this.caches.policies, PROJECTIONS.policies);
    this.#fill(CHECKPOINT_PLANS, this.caches.plans, PROJECTIONS.plans);
    this.#fill(CHECKPOINT_NODES, this.caches.reports, PROJECTIONS.reports);
    this.#fill(CHECKPOINT_REQUESTS, this.caches.requests, PROJECTIONS.requests);
    this.#fill(NODES, this.caches.nodes, PROJECTIONS.nodes);
    this.#fill(
      PODS,
      this.caches.agentPods,
      PROJECTIONS.agentPods,
      ({ metadata }) => metadata.namespace === SYSTEM,
    );
  }

  #fill<T>(
    resource: KubeResource,
    store: ObjectStore<T>,
    project: (object: KubeObject) => T,
    selects: (object: KubeObject) => boolean = () => true,
  ): void {
    const objects = this.kube.all(resource).filter(selects);
    const keys = new Set(objects.map(({ metadata }) => objectKey(metadata)));
    for (const key of store.keys()) if (!keys.has(key)) store.remove(key);
    for (const object of objects)
      store.put(objectKey(object.metadata), project(object), object.metadata.resourceVersion ?? '');
  }

  node(
    name: string,
    { ready = true, agent = true }: { readonly ready?: boolean; readonly agent?: boolean } = {},
  ): KubeObject {
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
    const node = this.kube.seed(NODES, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      status: { conditions },
    });
    if (agent)
      this.kube.seed(PODS, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `agent-${name}`, namespace: SYSTEM, labels: AGENT_POD_LABELS },
        spec: { nodeName: name },
        status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
      });
    return node;
  }

  pod(name: string, nodeName: string, { app = 'web', phase = 'Running', owner = '' } = {}): void {
    const ownerReferences =
      owner === ''
        ? []
        : [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: 'rs', controller: true }];
    this.kube.seed(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop', labels: { app, 'pod-template-hash': 'abc' }, ownerReferences },
      spec: { nodeName, containers: [{ name: 'app' }] },
      status: { phase },
    });
  }

  policy(
    name: string,
    spec: Record<string, unknown> = aSpec('3Mi'),
    namespace = 'shop',
  ): Promise<KubeObject> {
    const metadata = { name, namespace };
    const existing = this.kube.find(CHECKPOINT_POLICIES, metadata);
    if (existing !== null) return this.kube.direct.update(CHECKPOINT_POLICIES, { ...existing, spec });
    return this.kube.direct.create(CHECKPOINT_POLICIES, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointPolicy',
      metadata,
      spec,
    });
  }

  /** The CheckpointNode of a node, with what it reports. */
  report(nodeName: string, changes: Partial<CheckpointNodeStatus> = {}): void {
    this.kube.seed(CHECKPOINT_NODES, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointNode',
      metadata: { name: nodeName },
      status: aReport(changes),
    });
  }

  plans(): Record<string, unknown> {
    return Object.fromEntries(
      this.kube.all(CHECKPOINT_PLANS).map(({ metadata, spec }) => [metadata.name, spec]),
    );
  }

  find(name: string): KubeObject | null {
    return this.kube.find(CHECKPOINT_POLICIES, { namespace: 'shop', name });
  }
}

/** One target for everything. */
export function aSpec(fixed: string): Record<string, unknown> {
  return { targets: [{ name: 'all', selector: {}, ghostLimit: { fixed } }] };
}

export function aReport(changes: Partial<CheckpointNodeStatus> = {}): CheckpointNodeStatus {
  return {
    observedGeneration: 1,
    conditions: [],
    agentVersion: '0.0.0',
    runtime: { containerRuntime: '', ociRuntime: '', criuVersion: '4.2', kernelVersion: '6.12' },
    files: [],
    policies: [],
    problems: [],
    ...changes,
  };
}

export function aPolicyReport(changes: Partial<PolicyReport> = {}): PolicyReport {
  return {
    namespace: 'shop',
    name: 'p',
    observedGeneration: 1,
    state: 'InForce',
    reason: 'InSync',
    matchedPods: 1,
    targets: [{ name: 'all', matchedPods: 1, effectiveLimitBytes: 3 * MI, requiredBytes: 0 }],
    ...changes,
  };
}
