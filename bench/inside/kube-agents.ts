// Many agents of a cluster in one process: the real agent core, each with its own client and so its own connection, on hosts that are in memory.
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi } from '../../src/adapters/kube/kube-api.ts';
import { runClusterAgent } from '../../src/agent/cluster/cluster-agent.ts';
import type { RunningAgent } from '../../src/agent/run-agent.ts';
import { RUNC_CONF_PATH } from '../../src/api/names.ts';
import { parseNodeSettings, type NodeSettings } from '../../src/api/settings.ts';
import { createNodeInspector } from '../../src/node-engine/node-inspector.ts';
import type { HostFileSnapshot, ReplaceOptions, ReplaceOutcome } from '../../src/ports/host-files.ts';
import type { KubeApi } from '../../src/ports/kube-api.ts';
import type { Log } from '../../src/ports/log.ts';
import { noMetrics } from '../../src/adapters/metrics/no-metrics.ts';
import { FakeContainerRuntime } from '../../test/fakes/fake-container-runtime.ts';
import { aGhostFile, FakeGhostScanner } from '../../test/fakes/fake-ghost-scanner.ts';
import { FakeHostFiles } from '../../test/fakes/fake-host-files.ts';
import { FakeStateStore } from '../../test/fakes/fake-state-store.ts';
import { NO_MACHINERY_METRICS } from '../../test/settle/no-metrics.ts';
import { machineMs, serve } from './kube-worker.ts';

export interface AgentPlan {
  readonly nodeName: string;
  readonly kubeconfig: string;
  /** Of the one container of the node. */
  readonly containerId: string;
  readonly ghostBytes: number;
}

export interface AgentsState {
  readonly ready: number;
  /** Calls of the clients since the start, by name; `apply` are the reports. */
  readonly calls: Readonly<Record<string, number>>;
  /** Reports that were answered. */
  readonly reports: number;
  /** Of the reports that were sent: those that say word by word what the one before said. */
  readonly repeated: number;
  /** When each node's file had the limit, by the clock of the machine. */
  readonly wroteMs: readonly number[];
  /** Warnings and errors of the agents, by what they say. */
  readonly complaints: Readonly<Record<string, number>>;
}

const running: RunningAgent[] = [];
const calls: Record<string, number> = {};
let [reports, repeated] = [0, 0];
const complaints: Record<string, number> = {};
/** When it was first written, by limit and node. */
const wroteMs = new Map<string, Map<string, number>>();

serve({
  start: (plans: readonly AgentPlan[]) => {
    running.push(...plans.map(startAgent));
  },
  state: (limit: number): AgentsState => ({
    ready: running.filter(({ health }) => health.ready()).length,
    calls,
    reports,
    repeated,
    wroteMs: [...(wroteMs.get(limit.toString())?.values() ?? [])],
    complaints,
  }),
});

class ObservedFiles extends FakeHostFiles {
  readonly #nodeName: string;

  constructor(nodeName: string) {
    super();
    this.#nodeName = nodeName;
  }

  override async replace(
    snapshot: HostFileSnapshot,
    content: Uint8Array,
    options?: ReplaceOptions,
  ): Promise<ReplaceOutcome> {
    const outcome = await super.replace(snapshot, content, options);
    const [, limit] = /^ghost-limit (\d+)$/m.exec(this.text(RUNC_CONF_PATH) ?? '') ?? [];
    if (limit !== undefined) {
      const times = wroteMs.get(limit) ?? new Map<string, number>();
      wroteMs.set(limit, times);
      if (!times.has(this.#nodeName)) times.set(this.#nodeName, machineMs());
    }
    return outcome;
  }
}

function startAgent({ nodeName, kubeconfig, containerId, ghostBytes }: AgentPlan): RunningAgent {
  const source = { from: 'Text', text: kubeconfig } as const;
  const api = counted(createKubeApi({ source, version: '0.0.0', component: 'agent', clock: systemClock }));
  const runtime = new FakeContainerRuntime('containerd');
  const scanner = new FakeGhostScanner();
  const { pid } = runtime.add({ id: containerId });
  scanner.setProcess(pid ?? 0, { files: [aGhostFile('/tmp/lib.so', ghostBytes)] });
  const facts = {
    read: () => Promise.resolve({ nodeName, kernelVersion: '6.12.0', criuVersion: '4.2.1' }),
  };
  return runClusterAgent(
    {
      reflector: { api, clock: systemClock, log: LOG, metrics: NO_MACHINERY_METRICS, random: Math.random },
      nodeName,
      runtimes: [runtime],
      engine: {
        inspector: createNodeInspector(facts, [runtime], systemClock),
        criuReaders: { refresh: () => Promise.resolve(), refreshIfUnknown: () => Promise.resolve() },
        scanner,
        files: new ObservedFiles(nodeName),
        state: new FakeStateStore(),
        clock: systemClock,
        log: LOG,
        metrics: noMetrics,
        settings: defaultSettings(),
        agentVersion: '0.0.0',
      },
    },
    new AbortController().signal,
  );
}

/** The same client, whose calls are counted by name. */
function counted(api: KubeApi): KubeApi {
  let lastReport = '';
  return new Proxy(api, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const name = String(key);
        calls[name] = (calls[name] ?? 0) + 1;
        const answer = Reflect.apply(value, target, args) as unknown;
        if (name === 'apply') {
          const report = JSON.stringify(args[1]);
          if (report === lastReport) repeated += 1;
          lastReport = report;
          void (answer as Promise<unknown>).then(() => (reports += 1), nothing);
        }
        return answer;
      };
    },
  });
}

function defaultSettings(): NodeSettings {
  const parsed = parseNodeSettings({});
  if (!parsed.ok) throw new Error('the defaults are not settings');
  return parsed.settings;
}

const nothing = (): void => undefined;
const complain = (message: string, fields?: unknown): void => {
  const { source = '', error = '' } = (fields ?? {}) as Readonly<Record<string, unknown>>;
  const text = [
    message,
    String(source),
    String(error)
      .replaceAll(/node-\d+/g, 'NODE')
      .slice(0, 160),
  ].join(' | ');
  complaints[text] = (complaints[text] ?? 0) + 1;
};
const LOG: Log = { debug: nothing, info: nothing, warn: complain, error: complain };
