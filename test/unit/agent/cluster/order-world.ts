// One node of a cluster in virtual time, with the real agent on it, a runtime that takes its time, and a controller that orders and takes results over. The agent can be killed at any call.
import { runClusterAgent } from '../../../../src/agent/cluster/cluster-agent.ts';
import type { RunningAgent } from '../../../../src/agent/run-agent.ts';
import {
  readCheckpointNodeStatus,
  type CheckpointNodeSpec,
  type CheckpointNodeStatus,
  type NodeOrder,
  type OrderReport,
} from '../../../../src/api/checkpoint-node.ts';
import type { KubeObject } from '../../../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, PODS } from '../../../../src/api/kube-resources.ts';
import { parseNodeSettings, type NodeSettings } from '../../../../src/api/settings.ts';
import { createNodeInspector } from '../../../../src/node-engine/node-inspector.ts';
import { noMetrics } from '../../../../src/adapters/metrics/no-metrics.ts';
import { FakeCheckpointArchives } from '../../../fakes/fake-checkpoint-archives.ts';
import { FakeGhostScanner } from '../../../fakes/fake-ghost-scanner.ts';
import { FakeHostFiles } from '../../../fakes/fake-host-files.ts';
import { FakeKube } from '../../../fakes/fake-kube.ts';
import { kindFromCrd } from '../../../fakes/kube/fake-kind.ts';
import { FakeStateStore } from '../../../fakes/fake-state-store.ts';
import { VirtualTime } from '../../../fakes/virtual-time.ts';
import { NO_MACHINERY_METRICS } from '../../../settle/no-metrics.ts';
import { SimulatedProcess, type LoggedLine } from '../../../settle/simulated-process.ts';
import { crdFiles } from '../../codegen/crd-files.ts';
import { DumpingRuntime } from './dumping-runtime.ts';

export const NODE = 'n1';
const AGENT_PID = 100;
const LOOK_MS = 250;
/** Reading them takes longer than most tests. */
const KINDS = crdFiles().map(({ object }) => kindFromCrd(object));

/** Where the agent is killed: at its n-th call of a port, before it has an effect, while it is under way, or when only its answer is missing. */
export interface Crash {
  readonly step: number;
  readonly moment: 'before' | 'during' | 'after';
}
export const MOMENTS = ['before', 'during', 'after'] as const;

export class OrderWorld {
  readonly time = new VirtualTime();
  readonly kube = new FakeKube({
    clock: this.time,
    kinds: KINDS,
    garbage: 'Manual',
  });
  readonly archives = new FakeCheckpointArchives();
  readonly runtime = new DumpingRuntime(this.time, this.archives);
  readonly state = new FakeStateStore(undefined, AGENT_PID);
  readonly lines: LoggedLine[] = [];
  /** What the controller took over, by request. */
  readonly results = new Map<string, OrderReport>();
  /** What must never happen. */
  readonly faults: string[] = [];
  steps = 0;
  crash: Crash | null = null;
  /** How long after a kill the agent is started again; null: not at all. */
  restartMs: number | null = 3_000;
  running: RunningAgent | null = null;
  ended = false;
  readonly #files = new FakeHostFiles({});
  readonly #scanner = new FakeGhostScanner();
  #process: SimulatedProcess | null = null;
  #settings: NodeSettings;
  #read: { readonly object: KubeObject | null; readonly status: CheckpointNodeStatus | null } = {
    object: null,
    status: null,
  };

  constructor(settings: Record<string, unknown> = {}) {
    const parsed = parseNodeSettings(settings);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    this.#settings = parsed.settings;
    this.archives.disk = { freeBytes: 2 ** 40, totalBytes: 2 ** 41 };
    this.runtime.isAnnounced = (podUID) => {
      const ordered = this.spec.orders.filter((order) => order.podUID === podUID);
      // One that was withdrawn meanwhile goes on.
      return (
        ordered.length === 0 || ordered.some(({ requestUID }) => this.report(requestUID)?.state === 'Running')
      );
    };
    this.kube.seed(CHECKPOINT_NODES, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointNode',
      metadata: { name: NODE, uid: 'node-uid' },
      spec: { orders: [], deletions: [], acknowledgedTriggers: [] },
    });
  }

  get spec(): CheckpointNodeSpec {
    const spec = this.kube.find(CHECKPOINT_NODES, { name: NODE })?.['spec'] as Partial<CheckpointNodeSpec>;
    return { orders: [], deletions: [], acknowledgedTriggers: [], ...spec };
  }

  get status(): CheckpointNodeStatus | null {
    const object = this.kube.find(CHECKPOINT_NODES, { name: NODE });
    // The controller looks four times a second, mostly at the same.
    if (object !== this.#read.object)
      this.#read = { object, status: object === null ? null : readCheckpointNodeStatus(object) };
    return this.#read.status;
  }

  report(requestUID: string): OrderReport | undefined {
    return this.status?.orders?.find((order) => order.requestUID === requestUID);
  }

  async write(spec: Partial<CheckpointNodeSpec>): Promise<void> {
    const options = { fieldManager: 'test' };
    await this.kube.direct.mergePatch(CHECKPOINT_NODES, { name: NODE }, { spec }, options);
  }

  async order(given: Partial<NodeOrder> & { readonly requestUID: string }): Promise<void> {
    await this.write({ orders: [...this.spec.orders, anOrder(given)] });
  }

  async withdraw(requestUID: string): Promise<void> {
    await this.write({ orders: this.spec.orders.filter((order) => order.requestUID !== requestUID) });
  }

  /** A running pod; its containers are called `<uid>-<name>` by the runtime. */
  pod(uid: string, names: readonly string[] = ['app'], changes: Record<string, unknown> = {}): void {
    for (const name of names) this.runContainer(uid, name);
    this.kube.seed(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `pod-${uid}`,
        namespace: 'shop',
        uid,
        ...(changes['metadata'] as object | undefined),
      },
      spec: { nodeName: NODE, containers: names.map((name) => ({ name })) },
      status: {
        phase: 'Running',
        containerStatuses: names.map((name) => ({ name, containerID: `containerd://${uid}-${name}` })),
      },
    });
  }

  runContainer(uid: string, name: string): void {
    const labels = { 'io.kubernetes.pod.uid': uid, 'io.kubernetes.container.name': name };
    const { pid } = this.runtime.add({ id: `${uid}-${name}`, name, labels });
    this.#scanner.setProcess(pid ?? 0, { files: [] });
  }

  startAgent(): void {
    const process = new SimulatedProcess('agent', this.time, this.lines);
    this.#process = process;
    this.ended = false;
    const { clock, log } = process;
    const facts = {
      read: () => Promise.resolve({ nodeName: NODE, kernelVersion: '6.12.0', criuVersion: '4.2.1' }),
    };
    const runtimes = [this.#port(process, this.runtime)];
    const reflector = { api: this.#port(process, this.kube), clock, log, random: () => 0.5 };
    this.running = runClusterAgent(
      {
        reflector: { ...reflector, metrics: NO_MACHINERY_METRICS },
        nodeName: NODE,
        runtimes,
        orders: {
          archives: this.#port(process, this.archives),
          isFrozen: (id) => Promise.resolve(this.runtime.isFrozen(id)),
        },
        engine: {
          inspector: createNodeInspector(facts, runtimes, clock),
          criuReaders: { refresh: () => Promise.resolve(), refreshIfUnknown: () => Promise.resolve() },
          scanner: process.port(this.#scanner),
          files: process.port(this.#files),
          state: this.#port(process, this.state),
          clock,
          log,
          metrics: noMetrics,
          settings: this.#settings,
          agentVersion: '0.0.0',
        },
      },
      process.signal,
    );
    void this.running.done.then(() => {
      if (process.isAlive) this.ended = true;
    });
  }

  /** SIGTERM. */
  terminate(): void {
    this.#process?.terminate();
  }

  /** SIGKILL. */
  kill(): void {
    this.#process?.kill();
    this.#process = null;
    this.state.kill(AGENT_PID);
    this.#files.restart();
    this.runtime.callerGone();
    if (this.restartMs !== null)
      this.time.after(this.restartMs, () => {
        this.startAgent();
      });
  }

  /** From now on a controller takes over what is finished, and then drops the order. */
  takeOver(): void {
    for (const report of this.status?.orders ?? []) this.#note(report);
    const done = this.spec.orders.filter(({ requestUID }) => this.results.has(requestUID));
    for (const { requestUID } of done) {
      this.time.after(2 * LOOK_MS, () => {
        void this.withdraw(requestUID);
      });
    }
    this.time.after(LOOK_MS, () => {
      this.takeOver();
    });
  }

  #note(report: OrderReport): void {
    const before = this.results.get(report.requestUID);
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(report))
      this.faults.push(`${report.requestUID} was ${JSON.stringify(before)}, now ${JSON.stringify(report)}`);
    if (report.state === 'Finished') this.results.set(report.requestUID, report);
  }

  async #lastCall(moment: Crash['moment'], call: () => unknown): Promise<void> {
    if (moment !== 'before') {
      const answer = Promise.resolve(call()).catch(() => undefined);
      if (moment === 'after') await answer;
    }
    this.kill();
  }

  /** The port as the agent has it, whose calls are counted, and may be its last. */
  #port<T extends object>(process: SimulatedProcess, port: T): T {
    const counted = new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || name === 'watch') return bound(value, target);
        return (...args: unknown[]): unknown => {
          const call = (): unknown => Reflect.apply(value, target, args) as unknown;
          this.steps += 1;
          if (this.crash?.step !== this.steps) return call();
          const { moment } = this.crash;
          this.crash = null;
          // The lock of a dead process is free, which the fake sees only if it has it already.
          void this.#lastCall(moment === 'during' && name === 'lock' ? 'after' : moment, call);
          return new Promise(() => undefined);
        };
      },
    });
    return process.port(counted);
  }
}

function bound(value: unknown, target: object): unknown {
  return typeof value === 'function' ? (value.bind(target) as unknown) : value;
}

export function anOrder(given: Partial<NodeOrder> & { readonly requestUID: string }): NodeOrder {
  const { requestUID } = given;
  const podUID = given.podUID ?? requestUID;
  return {
    requestNamespace: 'shop',
    requestName: `request-${requestUID}`,
    podName: `pod-${podUID}`,
    timeoutSeconds: 120,
    ...given,
    podUID,
  };
}
