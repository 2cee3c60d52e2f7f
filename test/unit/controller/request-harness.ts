// The loops of requests, with their reflectors, on a fake API server in virtual time; the nodes say what the test has them say.
import { expect } from '@jest/globals';
import { readCheckpointNodeSpec, type CheckpointNodeStatus } from '../../../src/api/checkpoint-node.ts';
import {
  readCheckpointRequestStatus,
  type CheckpointRequestStatus,
  type ContainerResult,
} from '../../../src/api/checkpoint-request.ts';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
  CONFIG_MAPS,
  EVENTS,
  NODES,
  PODS,
} from '../../../src/api/kube-resources.ts';
import {
  AGENT_POD_INDEXES,
  PROJECTIONS,
  REPORT_INDEXES,
  REQUEST_INDEXES,
} from '../../../src/controller/cluster-view.ts';
import { createEventRecorder } from '../../../src/controller/event-recorder.ts';
import { CONTROLLER_RIGHTS } from '../../../src/controller/rbac.ts';
import { createRequestLoops } from '../../../src/controller/request-wiring.ts';
import type { Controller } from '../../../src/machinery/controller.ts';
import { createObjectReflector, createReflector } from '../../../src/machinery/reflector.ts';
import { createStore } from '../../../src/machinery/store.ts';
import { NO_MACHINERY_METRICS } from '../../settle/no-metrics.ts';
import { aReport, ControllerFixture } from './controller-fixture.ts';

const SYSTEM = 'ghostlimit-system';
const GRANTS = [
  { rules: CONTROLLER_RIGHTS.cluster },
  { rules: CONTROLLER_RIGHTS.ownNamespace, namespace: SYSTEM },
];
const APPLY = { fieldManager: 'ghostlimit-agent', force: true, subresource: 'status' } as const;

export interface PodWish {
  readonly nodeName?: string;
  readonly containers?: readonly string[];
  /** Of them; default all. */
  readonly running?: readonly string[];
  readonly phase?: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

type NodeWords = Partial<Pick<CheckpointNodeStatus, 'orders' | 'deletions' | 'triggers'>>;

export interface Standby {
  readonly user: string;
  readonly control: AbortController;
  readonly loops: readonly Controller[];
}

export class RequestHarness {
  readonly fixture: ControllerFixture;
  readonly #words = new Map<string, NodeWords>();
  #leader: Standby | null = null;
  #processes = 0;

  /** With a node n1 and an agent on it. */
  constructor(settings: Record<string, unknown> = {}) {
    this.fixture = new ControllerFixture(settings);
    this.node('n1');
  }

  get kube() {
    return this.fixture.kube;
  }

  get time() {
    return this.fixture.time;
  }

  /** A new process takes the lead. */
  async start(): Promise<void> {
    await this.lead(await this.standBy());
  }

  async lead(standby: Standby): Promise<void> {
    this.#leader = standby;
    for (const loop of standby.loops) void loop.run(standby.control.signal);
    await this.time.advance(0);
  }

  /** A new process that keeps its caches and does nothing. */
  async standBy(): Promise<Standby> {
    const { kube, time: clock, log, settings } = this.fixture;
    this.#processes += 1;
    const user = `controller-${this.#processes.toString()}`;
    const control = new AbortController();
    const { signal } = control;
    const api = kube.asUser(user, GRANTS);
    const parts = { api, clock, log, metrics: NO_MACHINERY_METRICS, random: () => 0 };
    const named = (name: string) => ({ namespace: SYSTEM, fieldSelector: `metadata.name=${name}` });
    const reflectors = {
      policies: createReflector(parts, {
        name: 'policies',
        resource: CHECKPOINT_POLICIES,
        project: PROJECTIONS.policies,
      }),
      requests: createReflector(parts, {
        name: 'requests',
        resource: CHECKPOINT_REQUESTS,
        project: PROJECTIONS.requests,
        indexes: REQUEST_INDEXES,
      }),
      reports: createReflector(parts, {
        name: 'reports',
        resource: CHECKPOINT_NODES,
        project: PROJECTIONS.reports,
        indexes: REPORT_INDEXES,
      }),
      nodes: createReflector(parts, { name: 'nodes', resource: NODES, project: PROJECTIONS.nodes }),
      agentPods: createReflector(parts, {
        name: 'agent-pods',
        resource: PODS,
        selection: { namespace: SYSTEM },
        project: PROJECTIONS.agentPods,
        indexes: AGENT_POD_INDEXES,
      }),
      configMap: createObjectReflector(parts, {
        name: 'settings',
        resource: CONFIG_MAPS,
        selection: named('ghostlimit-settings'),
      }),
    };
    reflectors.configMap.subscribe(({ after }) => {
      settings.take(after);
    });
    const caches = {
      plans: createStore<never>(),
      policies: reflectors.policies.store,
      requests: reflectors.requests.store,
      reports: reflectors.reports.store,
      nodes: reflectors.nodes.store,
      agentPods: reflectors.agentPods.store,
    };
    const events = createEventRecorder({ kube: api, clock, log, namespace: SYSTEM, instance: 'c-1' });
    const own = { kube: api, clock, log, metrics: NO_MACHINERY_METRICS, settings, caches, events };
    const loops = createRequestLoops(own, reflectors);
    for (const reflector of Object.values(reflectors)) void reflector.run(signal);
    await Promise.all(Object.values(reflectors).map((reflector) => reflector.whenSynced(signal)));
    return { user, control, loops };
  }

  /** The process that leads is gone; what it has under way comes to nothing more. */
  async stop(): Promise<void> {
    this.#leader?.control.abort();
    this.#leader = null;
    await this.time.advance(0);
  }

  /** The process hears no more of the resource. */
  async deafen({ user }: Standby, resource: string): Promise<void> {
    this.kube.faults.sometimes({ verb: 'watch', user, resource }, 1, [{ kind: 'status', status: 503 }]);
    this.kube.cutWatches({ user, resource });
    await this.time.advance(0);
  }

  node(name: string, { agent = true }: { readonly agent?: boolean } = {}): void {
    const { metadata } = this.fixture.node(name, { agent });
    const owner = {
      apiVersion: 'v1',
      kind: 'Node',
      name,
      uid: metadata.uid ?? '',
      blockOwnerDeletion: false,
    };
    this.kube.seed(CHECKPOINT_NODES, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointNode',
      metadata: { name, ownerReferences: [owner] },
      spec: {},
      status: aReport(),
    });
  }

  pod(name: string, wish: PodWish = {}): KubeObject {
    const { nodeName = 'n1', containers = ['app'], namespace = 'shop', phase = 'Running' } = wish;
    const running = wish.running ?? containers;
    return this.kube.seed(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, annotations: { ...wish.annotations } },
      spec: { nodeName, containers: containers.map((container) => ({ name: container })) },
      status: {
        phase,
        containerStatuses: containers.map((container) => ({
          name: container,
          state: running.includes(container) ? { running: {} } : { waiting: {} },
        })),
      },
    });
  }

  /** Creates a request and lets everybody react. */
  async ask(
    name: string,
    spec: Record<string, unknown> = { podName: 'web-1' },
    metadata: Partial<KubeObject['metadata']> = {},
  ): Promise<KubeObject> {
    const made = await this.create(name, spec, metadata);
    await this.time.advance(200);
    return made;
  }

  create(
    name: string,
    spec: Record<string, unknown> = { podName: 'web-1' },
    metadata: Partial<KubeObject['metadata']> = {},
  ): Promise<KubeObject> {
    return this.kube.direct.create(CHECKPOINT_REQUESTS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointRequest',
      metadata: { namespace: 'shop', name, ...metadata },
      spec,
    });
  }

  request(name: string, namespace = 'shop'): KubeObject | null {
    return this.kube.find(CHECKPOINT_REQUESTS, { namespace, name });
  }

  status(name: string, namespace = 'shop'): CheckpointRequestStatus {
    return readCheckpointRequestStatus(this.request(name, namespace) ?? fail(`no request ${name}`));
  }

  /** "Failed PodNotFound", "Queued (1)". */
  verdict(name: string, namespace = 'shop'): string {
    const { summary = 'New', conditions = [] } = this.status(name, namespace);
    const failed = conditions.find(({ type }) => type === 'Failed');
    return failed === undefined ? summary : `${summary} ${failed.reason}`;
  }

  spec(nodeName = 'n1') {
    const object = this.kube.find(CHECKPOINT_NODES, { name: nodeName }) ?? fail(`no ${nodeName}`);
    return readCheckpointNodeSpec(object) ?? fail('not of its shape');
  }

  /** Names of the requests that the node is ordered. */
  orders(nodeName = 'n1'): string[] {
    return this.spec(nodeName).orders.map(({ requestName }) => requestName);
  }

  uid(name: string, namespace = 'shop'): string {
    return this.request(name, namespace)?.metadata.uid ?? '';
  }

  /** The node's report says this from now on, and everybody reacts. */
  async say(words: NodeWords, nodeName = 'n1'): Promise<void> {
    const all = { ...this.#words.get(nodeName), ...words };
    this.#words.set(nodeName, all);
    await this.kube.direct.apply(
      CHECKPOINT_NODES,
      {
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointNode',
        metadata: { name: nodeName },
        status: aReport(all),
      },
      APPLY,
    );
    await this.time.advance(200);
  }

  async runs(name: string, nodeName = 'n1'): Promise<void> {
    const requestUID = this.uid(name);
    const startTime = this.now();
    await this.say({ orders: [{ requestUID, state: 'Running', startTime, containers: [] }] }, nodeName);
  }

  async finishes(
    name: string,
    containers: readonly ContainerResult[] = [aSuccess()],
    nodeName = 'n1',
  ): Promise<void> {
    const times = { startTime: this.now(), completionTime: this.now() };
    const order = { requestUID: this.uid(name), state: 'Finished', ...times } as const;
    await this.say({ orders: [{ ...order, containers: [...containers] }] }, nodeName);
  }

  async remove(name: string): Promise<void> {
    await this.kube.direct.delete(CHECKPOINT_REQUESTS, { namespace: 'shop', name });
    await this.time.advance(200);
  }

  now(): string {
    return new Date(this.time.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  }

  notes(): string[] {
    return this.kube.all(EVENTS).map((event) => {
      const { kind, name } = event['regarding'] as { readonly kind: string; readonly name: string };
      return `${kind} ${name}: ${String(event['type'])} ${String(event['reason'])}: ${String(event['note'])}`;
    });
  }

  /** Calls of the controllers that were refused for lack of a right. */
  forbidden(): string[] {
    return this.kube.calls
      .filter(({ outcome }) => outcome === 403)
      .map(({ verb, resource }) => `${verb} ${resource}`);
  }

  writes(resource: string): number {
    const verbs = ['apply', 'patch', 'create', 'update', 'delete'];
    return this.kube.calls.filter((call) => verbs.includes(call.verb) && call.resource === resource).length;
  }

  /** At the end of each test. */
  check(): void {
    expect(this.forbidden()).toEqual([]);
    expect(this.fixture.log.messages('error')).toEqual([]);
  }
}

export function aSuccess(name = 'app'): ContainerResult {
  const archive = { path: `/data/${name}.tar`, sizeBytes: 1000, createdTime: '2026-11-23T10:00:00Z' };
  return { name, result: 'Succeeded', archive, durationSeconds: 0.5, attempts: 1 };
}

function fail(message: string): never {
  throw new Error(message);
}
