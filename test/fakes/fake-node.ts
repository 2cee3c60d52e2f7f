// A whole node in memory: the real engine, checkpoints and policy compiler over fakes of every port. Programs that share the node are told apart by pid.
import { judgeCriuConf } from '../../src/domain/criu-conf/judge.ts';
import type { CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import type { ContainerResult } from '../../src/api/checkpoint-request.ts';
import { parseNodeSettings, type NodeSettings } from '../../src/api/settings.ts';
import { gatherSubjects } from '../../src/node-engine/checkpoint-subjects.ts';
import { openDocuments } from '../../src/node-engine/documents.ts';
import { createFolderPlanSource } from '../../src/node-engine/folder-plan-source.ts';
import { readKnownPolicies } from '../../src/node-engine/known-policies.ts';
import {
  createNodeEngine,
  type NodeEngine,
  type NodeEngineParts,
} from '../../src/node-engine/node-engine.ts';
import { createNodeInspector } from '../../src/node-engine/node-inspector.ts';
import { createRuntimeWorkloadSource } from '../../src/node-engine/runtime-workloads.ts';
import {
  takeCheckpoint,
  type CheckpointOrder,
  type CheckpointParts,
} from '../../src/node-engine/take-checkpoint.ts';
import type { HostFacts } from '../../src/ports/host-facts.ts';
import type { Log } from '../../src/ports/log.ts';
import type { NodeMetrics } from '../../src/ports/node-metrics.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeContainerRuntime } from './fake-container-runtime.ts';
import { FakeGhostScanner } from './fake-ghost-scanner.ts';
import { FakeHostFiles } from './fake-host-files.ts';
import { FakePolicyFolder } from './fake-policy-folder.ts';
import { FakeStateStore } from './fake-state-store.ts';

export const RUNC_CONF = '/etc/criu/runc.conf';
export const DEFAULT_CONF = '/etc/criu/default.conf';
const AGENT_PID = 100;
const COMMAND_PID = 200;

export interface LogEntry {
  readonly level: string;
  readonly message: string;
  readonly fields: unknown;
}

/** Every call of a metric as text: "fileWrite /etc/criu/runc.conf Replaced". */
export type MetricCall = string;

export class FakeNode {
  readonly files: FakeHostFiles;
  readonly state = new FakeStateStore(undefined, AGENT_PID);
  readonly runtime = new FakeContainerRuntime('docker');
  readonly scanner = new FakeGhostScanner();
  readonly clock = new FakeClock();
  readonly folder = new FakePolicyFolder();
  readonly reports: CheckpointNodeStatus[] = [];
  readonly logged: LogEntry[] = [];
  readonly measured: MetricCall[] = [];
  readonly log: Log = fakeLog(this.logged);
  readonly metrics: NodeMetrics = fakeMetrics(this.measured);
  settings: NodeSettings;
  criuVersion: string | null = '4.2.1';
  /** Free bytes by directory, for checkpoints; a directory that is not named has a terabyte. */
  readonly freeBytes = new Map<string, number>();

  constructor(files: Readonly<Record<string, string>> = {}, settings: Record<string, unknown> = {}) {
    this.files = new FakeHostFiles(files);
    this.settings = parsedSettings(settings);
    // As the kernel: CRIU reads default.conf and then runc.conf.
    this.runtime.ghostLimitBytes = () =>
      Number(this.#limitOf(RUNC_CONF) ?? this.#limitOf(DEFAULT_CONF) ?? 1_048_576n);
  }

  /** What an agent that starts now on this node is made of. */
  engineParts(): NodeEngineParts {
    const documents = openDocuments(this.state, this.log);
    const { maxGhostLimit, allowedCriuOptions, namespaces } = this.settings;
    const compile = { maxGhostLimit, allowedCriuOptions, namespaces, ownersKnown: false };
    const facts: HostFacts = {
      read: () => Promise.resolve({ nodeName: 'n1', kernelVersion: '6.12.0', criuVersion: this.criuVersion }),
    };
    return {
      plan: createFolderPlanSource(this.folder, compile, documents.lastGoodPlan),
      workloads: createRuntimeWorkloadSource([this.runtime], documents.knownRuntimes),
      inspector: createNodeInspector(facts, [this.runtime], this.clock),
      criuReaders: { refresh: () => Promise.resolve(), refreshIfUnknown: () => Promise.resolve() },
      scanner: this.scanner,
      files: this.files,
      state: this.state,
      sink: {
        publish: (report) => {
          this.reports.push(report);
          return Promise.resolve();
        },
      },
      clock: this.clock,
      log: this.log,
      metrics: this.metrics,
      settings: this.settings,
      agentVersion: '0.0.0',
    };
  }

  startEngine(): NodeEngine {
    return createNodeEngine(this.engineParts());
  }

  /** One pass of a fresh engine: what `apply` does, and an agent that was just started. */
  async pass(): Promise<CheckpointNodeStatus> {
    return (await this.startEngine().reconcile()).report;
  }

  /** What `ghostlimit checkpoint NAME` needs, in a process of its own. */
  async checkpointParts(): Promise<CheckpointParts> {
    const state = this.state.asProcess(COMMAND_PID);
    const { policies } = await readKnownPolicies(null, openDocuments(state, this.log));
    const { scanner, files, clock, log, metrics, settings, criuVersion } = this;
    const space = (directory: string) =>
      Promise.resolve({ freeBytes: this.freeBytes.get(directory) ?? 2 ** 40, totalBytes: 2 ** 41 });
    const archives = { space };
    return { scanner, files, clock, log, metrics, settings, criuVersion, policies, state, archives };
  }

  async checkpoint(
    name: string,
    timeoutMs = 120_000,
    order: Partial<CheckpointOrder> = {},
  ): Promise<ContainerResult> {
    const [subject] = await gatherSubjects([this.runtime], name, null);
    if (subject === undefined) throw new Error(`no container ${name}`);
    return takeCheckpoint({ subject, timeoutMs, ...order }, await this.checkpointParts());
  }

  /** A container and its init process, which holds `ghosts`: path → bytes. */
  run(
    id: string,
    ghosts: Readonly<Record<string, number>> = {},
    labels: Record<string, string> = {},
  ): number {
    const held = Object.entries(ghosts).map(([path, bytes]) => ({ path, bytes }));
    const { pid } = this.runtime.add({ id, labels }, held);
    this.holds(pid ?? 0, ghosts);
    return pid ?? 0;
  }

  /** What scans of `pid` find from now on. */
  holds(pid: number, ghosts: Readonly<Record<string, number>>): void {
    const files = Object.entries(ghosts).map(([path, bytes]) => ({
      path,
      kind: 'Fd' as const,
      remap: 'Ghost' as const,
      sizeBytes: bytes,
      allocatedBytes: bytes,
      references: 1,
    }));
    this.scanner.setProcess(pid, { files });
  }

  /** null: there is no file. */
  get conf(): string | null {
    return this.files.text(RUNC_CONF);
  }

  /** The statements of our block, without its comments; [] without a block. */
  get ownLines(): readonly string[] {
    const [, block = ''] = /^# BEGIN ghostlimit[^\n]*\n([^]*?)# END ghostlimit/m.exec(this.conf ?? '') ?? [];
    return block.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  #limitOf(path: string): bigint | null {
    const content = this.files.disk.bytes(path);
    return content === null ? null : judgeCriuConf(content).ghostLimitBytes;
  }
}

function parsedSettings(settings: Record<string, unknown>): NodeSettings {
  const parsed = parseNodeSettings(settings);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

function fakeLog(entries: LogEntry[]): Log {
  const write =
    (level: string) =>
    (message: string, fields: unknown = {}): void => {
      entries.push({ level, message, fields });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

function fakeMetrics(calls: MetricCall[]): NodeMetrics {
  const note =
    (name: keyof NodeMetrics) =>
    (...values: readonly (string | number | boolean)[]): void => {
      calls.push([name, ...values].join(' '));
    };
  return {
    fileLimit: note('fileLimit'),
    fileWrite: note('fileWrite'),
    drift: note('drift'),
    scanned: note('scanned'),
    checkpoint: note('checkpoint'),
    policies: note('policies'),
    reconciled: note('reconciled'),
  };
}
