// One machine of the simulated cluster: its disk, its containers, what they hold, and the agent that may run on it.
import type { CriuReadersSource } from '../../src/node-engine/criu-readers.ts';
import { createNodeInspector } from '../../src/node-engine/node-inspector.ts';
import { parseNodeSettings, type NodeSettings } from '../../src/api/settings.ts';
import { runClusterAgent } from '../../src/agent/cluster/cluster-agent.ts';
import type { RunningAgent } from '../../src/agent/run-agent.ts';
import type { KubeApi } from '../../src/ports/kube-api.ts';
import { noMetrics } from '../../src/adapters/metrics/no-metrics.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { CheckpointArchive, CheckpointCall } from '../../src/ports/container-runtime.ts';
import { FakeCheckpointArchives } from '../fakes/fake-checkpoint-archives.ts';
import { FakeContainerRuntime } from '../fakes/fake-container-runtime.ts';
import { FakeGhostScanner } from '../fakes/fake-ghost-scanner.ts';
import { FakeHostFiles } from '../fakes/fake-host-files.ts';
import { FakeStateStore } from '../fakes/fake-state-store.ts';
import { NO_MACHINERY_METRICS } from './no-metrics.ts';
import type { SimulatedProcess } from './simulated-process.ts';

export const RUNC_CONF = '/etc/criu/runc.conf';
const AGENT_PID = 100;
const NO_READERS: CriuReadersSource = {
  refresh: () => Promise.resolve(),
  refreshIfUnknown: () => Promise.resolve(),
};

export class SimulatedNode {
  readonly name: string;
  readonly files: FakeHostFiles;
  readonly archives = new FakeCheckpointArchives();
  readonly runtime: DumpingRuntime;
  readonly scanner = new FakeGhostScanner();
  readonly #state = new FakeStateStore(undefined, AGENT_PID);
  /** Whether its kubelet answers. */
  ready = true;
  agent: { readonly process: SimulatedProcess; readonly running: RunningAgent; ended: boolean } | null = null;
  /** What users wrote into runc.conf; null: there is no such file. */
  foreign: string | null;
  /** Bytes of the largest ghost file, by container, of all containers that ever ran here. */
  readonly ghosts = new Map<string, number>();

  constructor(name: string, foreign: string | null, time: Clock) {
    this.name = name;
    this.runtime = new DumpingRuntime(time, this.archives);
    this.archives.disk = { freeBytes: 2 ** 40, totalBytes: 2 ** 40 };
    this.foreign = foreign;
    this.files = new FakeHostFiles(foreign === null ? {} : { [RUNC_CONF]: foreign });
  }

  get conf(): string | null {
    return this.files.text(RUNC_CONF);
  }

  run(containerId: string, ghostBytes: number): void {
    const { pid } = this.runtime.add({ id: containerId });
    this.ghosts.set(containerId, ghostBytes);
    this.scanner.setProcess(pid ?? 0, { files: ghostBytes === 0 ? [] : [aGhost(ghostBytes)] });
  }

  end(containerId: string): void {
    this.runtime.remove(containerId);
  }

  startAgent(process: SimulatedProcess, kube: KubeApi, random: () => number): void {
    const { clock, log } = process;
    const facts = {
      read: () => Promise.resolve({ nodeName: this.name, kernelVersion: '6.12.0', criuVersion: '4.2.1' }),
    };
    const runtimes = [process.port(this.runtime)];
    const running = runClusterAgent(
      {
        reflector: { api: process.port(kube), clock, log, metrics: NO_MACHINERY_METRICS, random },
        nodeName: this.name,
        runtimes,
        orders: {
          archives: process.port(this.archives),
          isFrozen: (containerId) => Promise.resolve(this.runtime.dumping.has(containerId)),
        },
        engine: {
          inspector: createNodeInspector(facts, runtimes, clock),
          criuReaders: NO_READERS,
          scanner: process.port(this.scanner),
          files: process.port(this.files),
          state: process.port(this.#state),
          clock,
          log,
          metrics: noMetrics,
          settings: DEFAULT_SETTINGS,
          agentVersion: '0.0.0',
        },
      },
      process.signal,
    );
    const agent = { process, running, ended: false };
    this.agent = agent;
    void running.done.then(() => {
      agent.ended = true;
    });
  }

  /** The agent's process is gone, with its locks and open files. */
  clearAgent(): void {
    this.agent?.process.kill();
    this.agent = null;
    this.#state.kill(AGENT_PID);
    this.files.restart();
  }

  get isAgentReady(): boolean {
    return this.agent?.running.health.ready() === true;
  }
}

/** Takes its time over each dump, and brings it to its end whatever becomes of the agent that asked for it. */
class DumpingRuntime extends FakeContainerRuntime {
  /** Container ids of all dumps that were begun. */
  readonly begun: string[] = [];
  readonly dumping = new Set<string>();
  /** How long the next dumps take, milliseconds. */
  dumpMs = 300;
  readonly #time: Clock;
  readonly #archives: FakeCheckpointArchives;

  constructor(time: Clock, archives: FakeCheckpointArchives) {
    super('containerd');
    this.#time = time;
    this.#archives = archives;
  }

  override async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const { id } = call.container;
    this.begun.push(id);
    this.dumping.add(id);
    await new Promise<void>((resolve) => this.#time.after(this.dumpMs, resolve));
    this.dumping.delete(id);
    const archive = await super.checkpoint(call);
    const { path, sizeBytes } = archive;
    this.#archives.put(path, {
      sizeBytes,
      modifiedMs: this.#time.now(),
      identity: { containerId: id },
    });
    return archive;
  }
}

function aGhost(bytes: number) {
  return {
    path: '/tmp/lib.so',
    kind: 'Fd' as const,
    remap: 'Ghost' as const,
    sizeBytes: bytes,
    allocatedBytes: bytes,
    references: 1,
  };
}

const DEFAULT_SETTINGS = defaultSettings();

function defaultSettings(): NodeSettings {
  const parsed = parseNodeSettings({});
  if (!parsed.ok) throw new Error('the defaults are not settings');
  return parsed.settings;
}
