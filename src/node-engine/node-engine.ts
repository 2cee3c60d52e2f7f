// The node engine: sources → what this node wants (pure) → the CRIU file → the report. Level-triggered: each pass reads everything anew.
import type { CheckpointNodeStatus, PolicyProblem } from '../api/checkpoint-node.ts';
import { CRIU_FILE_PATHS } from '../api/names.ts';
import { printable } from '../api/printable.ts';
import type { NodeSettings } from '../api/settings.ts';
import type { ChainRemark } from '../domain/criu-conf/file-chain.ts';
import { combineLines, NO_LINES, resolveNode, type DesiredNode } from '../domain/policy/resolve.ts';
import { annotatedContainers } from '../domain/rollup/annotated-containers.ts';
import { isInForce, rollUpNode } from '../domain/rollup/node-report.ts';
import type { Clock } from '../ports/clock.ts';
import type { GhostScanner } from '../ports/ghost-scanner.ts';
import type { HostFiles } from '../ports/host-files.ts';
import type { Log } from '../ports/log.ts';
import type { NodeMetrics } from '../ports/node-metrics.ts';
import type { PlanSnapshot, PlanSource } from '../ports/plan-source.ts';
import type { ReportSink } from '../ports/report-sink.ts';
import { LockHeld, type StateStore } from '../ports/state-store.ts';
import type { Workload, WorkloadSource } from '../ports/workload-source.ts';
import {
  DUMP_LOCK,
  FILES_LOCK,
  openDocuments,
  type DesiredLines,
  type DumpLease,
  type NodeDocuments,
} from './documents.ts';
import type { CriuReadersSource } from './criu-readers.ts';
import type { EnforceParts } from './enforce-file.ts';
import { enforceFiles, type EnforcedChain } from './enforce-files.ts';
import type { NodeInspector } from './node-inspector.ts';
import { createFightMemory, type FightMemory } from './fight-memory.ts';
import { createObservations, type Observations } from './observations.ts';
import { createWriterMemory, type WriterMemory } from './writer-memory.ts';

export interface NodeEngineParts {
  readonly plan: PlanSource;
  readonly workloads: WorkloadSource;
  readonly inspector: NodeInspector;
  readonly criuReaders: CriuReadersSource;
  readonly scanner: GhostScanner;
  readonly files: HostFiles;
  readonly state: StateStore;
  readonly sink: ReportSink;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: NodeMetrics;
  readonly settings: NodeSettings;
  readonly agentVersion: string;
}

export interface ReconcileResult {
  readonly report: CheckpointNodeStatus;
  /** Lines of a running dump are in the file: look again soon, as its owner may die. */
  readonly dumpRunning: boolean;
  /** False: a CRIU file was written, or could not be. */
  readonly settled: boolean;
}

export interface NodeEngine {
  /** One pass. Rejects only for faults of the engine's own ground (state folder, sink): the caller tries again later. */
  reconcile(): Promise<ReconcileResult>;
  /** Scans the matching containers that are due; true when limits or the report may change, so that the caller reconciles again. */
  scanDue(): Promise<boolean>;
  /** Milliseconds until a scan is due; null: nothing to scan. */
  untilNextScanMs(): number | null;
  /** To be called when no pass will follow: brings back what was written late into replaced files, and lets go of these. Never rejects. */
  end(): Promise<void>;
}

/** Waiting for another engine's short write, milliseconds. */
export const FILES_LOCK_WAIT_MS = 10_000;

export function createNodeEngine(parts: NodeEngineParts): NodeEngine {
  const documents = openDocuments(parts.state, parts.log);
  const observations = createObservations();
  const [fights, writers] = [createFightMemory(parts.clock), createWriterMemory(parts.clock)];
  const memory: Memory = { plan: null, desired: null, report: null, fights, writers };
  return {
    reconcile: () => reconcile(parts, documents, observations, memory),
    scanDue: () => scanDue(parts, observations, memory),
    untilNextScanMs: () => observations.untilNextMs(parts.clock.monotonicMs()),
    end: () => end(parts, documents),
  };
}

/** What the engine knew at the last pass, for when a source is silent. */
interface Memory {
  plan: PlanSnapshot | null;
  desired: DesiredNode | null;
  report: CheckpointNodeStatus | null;
  readonly fights: FightMemory;
  readonly writers: WriterMemory;
}

async function reconcile(
  parts: NodeEngineParts,
  documents: NodeDocuments,
  observations: Observations,
  memory: Memory,
): Promise<ReconcileResult> {
  const startedMs = parts.clock.monotonicMs();
  const { snapshot, sourceProblems } = await gatherPlan(parts, memory);
  const { workloads, workloadProblem } = await gatherWorkloads(parts);
  if (snapshot !== null && workloads !== null) {
    memory.desired = resolveNode({
      policies: snapshot.policies,
      workloads,
      observations: observations.byContainer,
      peaks: observations.peaks,
      baseGhostLimitBytes:
        snapshot.baseGhostLimitBytes === undefined
          ? parts.settings.baseGhostLimit
          : snapshot.baseGhostLimitBytes,
    });
    observations.liftPeaks(memory.desired.policies);
    await rememberDesired(memory.desired, documents);
  }
  await parts.criuReaders.refresh(parts.settings.files);
  const { files, remarks, dumpRunning, settled } = await enforce(
    { ...parts, fights: memory.fights, writers: memory.writers },
    documents,
  );
  const problems = [
    ...planProblems(snapshot),
    ...sourceProblems,
    ...workloadProblem,
    ...remarksOf(remarks),
    ...annotatedContainers(memory.desired),
  ];
  const facts = await parts.inspector.read();
  const report = rollUpNode({
    earlier: memory.report,
    agentVersion: parts.agentVersion,
    nodeName: facts.nodeName,
    runtime: facts.runtime,
    obstacle: facts.obstacles[0] ?? null,
    desired: memory.desired ?? { ...NO_LINES, decidedBy: null, conflicts: [], policies: [] },
    files,
    problems,
    at: new Date(parts.clock.now()).toISOString(),
  });
  memory.report = report;
  await parts.sink.publish(report);
  const invalid = new Set(snapshot?.problems.map(({ origin }) => origin));
  parts.metrics.policies(snapshot?.policies.length ?? 0, invalid.size);
  parts.metrics.reconciled((parts.clock.monotonicMs() - startedMs) / 1000, 'success');
  return { report, dumpRunning, settled };
}

async function gatherPlan(
  { plan, log }: NodeEngineParts,
  memory: Memory,
): Promise<{ snapshot: PlanSnapshot | null; sourceProblems: PolicyProblem[] }> {
  try {
    memory.plan = await plan.read();
    return { snapshot: memory.plan, sourceProblems: [] };
  } catch (error) {
    const message = explain(error);
    log.warn('policies cannot be read, what is in force stays', { error: message });
    return {
      snapshot: memory.plan,
      sourceProblems: [{ origin: 'policies', reason: 'ReadFailed', message: `cannot be read: ${message}` }],
    };
  }
}

async function gatherWorkloads({
  workloads,
  log,
}: NodeEngineParts): Promise<{ workloads: readonly Workload[] | null; workloadProblem: PolicyProblem[] }> {
  try {
    return { workloads: await workloads.read(), workloadProblem: [] };
  } catch (error) {
    const message = explain(error);
    log.warn('containers cannot be listed, what is in force stays', { error: message });
    return {
      workloads: null,
      workloadProblem: [{ origin: 'containers', reason: 'RuntimeUnavailable', message }],
    };
  }
}

function planProblems(snapshot: PlanSnapshot | null): PolicyProblem[] {
  return (snapshot?.problems ?? []).map(({ origin, reason, message, lastGoodInForce }) => ({
    origin,
    reason,
    message: lastGoodInForce ? `${message} (its last good state stays in force)` : message,
  }));
}

function remarksOf(remarks: readonly ChainRemark[]): PolicyProblem[] {
  return remarks.map(({ path, reason, message }) => ({ origin: path, reason, message }));
}

async function rememberDesired(desired: DesiredNode, documents: NodeDocuments): Promise<void> {
  const { ghostLimitBytes, options, decidedBy } = desired;
  const wanted = { ghostLimitBytes, options: [...options], decidedBy };
  const before = await documents.desired.read();
  if (JSON.stringify(before) !== JSON.stringify(wanted)) await documents.desired.write(wanted);
}

export interface EnforcedFiles extends EnforcedChain {
  readonly dumpRunning: boolean;
}

/** Brings the CRIU files to what the state folder says is wanted: the node's lines, and those of a dump that is running. Also used by a checkpoint of ours. */
export async function enforce(
  parts: Pick<NodeEngineParts, 'files' | 'state' | 'clock' | 'log' | 'metrics'> &
    Pick<EnforceParts, 'fights' | 'writers'>,
  documents: NodeDocuments,
): Promise<EnforcedFiles> {
  const lock = await parts.state.lock(FILES_LOCK, FILES_LOCK_WAIT_MS);
  try {
    const lease = await liveLease(parts.state, documents);
    const nodeLines = (await documents.desired.read()) ?? { ...NO_LINES, decidedBy: null };
    const wanted = combineLines(nodeLines, lease);
    const enforced = await enforceFiles(wanted, { ...parts, documents });
    const decidedBy = decidedByOf(wanted.ghostLimitBytes, nodeLines, lease);
    const files = enforced.files.map((report) =>
      decidedBy === null || report.why === undefined ? report : { ...report, decidedBy },
    );
    for (const { path, desiredLimitBytes, effectiveLimitBytes, state, why } of files)
      if (why !== undefined)
        parts.metrics.fileLimit(path, desiredLimitBytes, effectiveLimitBytes, isInForce(state));
    return { ...enforced, files, dumpRunning: lease !== null };
  } finally {
    await lock.release();
  }
}

async function end(parts: NodeEngineParts, documents: NodeDocuments): Promise<void> {
  try {
    // What is there is taken, finished or not: a later process finds only the files that were open when they were replaced.
    if (await hasLateWrites(parts)) await enforce(parts, documents);
  } catch (error) {
    parts.log.warn('replaced CRIU files not looked at a last time', { error: explain(error) });
  }
  await parts.files.close();
}

async function hasLateWrites({ files, state }: NodeEngineParts): Promise<boolean> {
  const lock = await state.lock(FILES_LOCK, FILES_LOCK_WAIT_MS);
  try {
    for (const path of Object.values(CRIU_FILE_PATHS))
      if ((await files.lateWrites(path)).length > 0) return true;
    return false;
  } finally {
    await lock.release();
  }
}

function decidedByOf(
  wantedBytes: number | null,
  nodeLines: Pick<DesiredLines, 'ghostLimitBytes' | 'decidedBy'>,
  lease: DumpLease | null,
): string | null {
  if (wantedBytes === null) return null;
  if (wantedBytes === nodeLines.ghostLimitBytes) return nodeLines.decidedBy;
  return lease === null ? null : `checkpoint of container ${printable(lease.containerId, 128)}`;
}

/** The lines of a dump count while its owner lives; what a killed owner left behind is cleared here. */
async function liveLease(state: StateStore, documents: NodeDocuments): Promise<DumpLease | null> {
  const lease = await documents.lease.read();
  if (lease === null) return null;
  try {
    const lock = await state.lock(DUMP_LOCK, 0);
    await documents.lease.remove();
    await lock.release();
    return null;
  } catch (error) {
    if (error instanceof LockHeld) return lease;
    throw error;
  }
}

async function scanDue(
  { scanner, clock, log, metrics }: NodeEngineParts,
  observations: Observations,
  memory: Memory,
): Promise<boolean> {
  const pids = pidsOfMatched(memory.desired);
  let changed = false;
  for (const id of observations.due(pids, clock.monotonicMs())) {
    const startedMs = clock.monotonicMs();
    try {
      const scan = await scanner.scan(pids.get(id) ?? 0);
      changed = observations.record(id, scan, clock.monotonicMs()) || changed;
      metrics.scanned(
        (clock.monotonicMs() - startedMs) / 1000,
        scan.files.length,
        scan.requiredGhostLimitBytes,
      );
    } catch (error) {
      changed = observations.skip(id, explain(error), clock.monotonicMs()) || changed;
      log.warn('container not scanned', {
        container: id,
        error: explain(error),
      });
    }
  }
  return changed;
}

function pidsOfMatched(desired: DesiredNode | null): Map<string, number> {
  const pids = new Map<string, number>();
  for (const target of desired?.policies.flatMap(({ targets }) => targets) ?? []) {
    for (const { container } of target.matched) {
      if (container.id !== null && container.pid !== null) pids.set(container.id, container.pid);
    }
  }
  return pids;
}

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
