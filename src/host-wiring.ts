// What a program on a host is made of: each port and the adapter behind it. The only place, with codegen, that knows both sides.
import { join } from 'node:path/posix';
import { systemClock } from './adapters/clock/system-clock.ts';
import { createHostFacts } from './adapters/host/host-facts.ts';
import { fileCallsWithProc } from './adapters/host/file-calls.ts';
import { checkConfinedRoot, checkHostRoot } from './adapters/host/host-root.ts';
import { createOciRuntimeInspector } from './adapters/host/oci-runtime-inspector.ts';
import { createPosixHostFiles } from './adapters/host/posix-host-files.ts';
import { createStateFolder } from './adapters/host/state-folder.ts';
import { createStatusFile } from './adapters/host/status-file.ts';
import { watchDirectory } from './adapters/host/watch-directory.ts';
import { createPinoLog, type LogLevel } from './adapters/log/pino-log.ts';
import { createYamlPolicyFolder } from './adapters/policy-folder/yaml-policy-folder.ts';
import { createEngineEnvironments } from './adapters/proc/engine-environments.ts';
import { createChildGhostScanner } from './adapters/proc/child-ghost-scanner.ts';
import { ChildProcessRunner } from './adapters/process/child-process-runner.ts';
import { hostProgramRunner } from './adapters/process/host-program-runner.ts';
import { noProgramRunner } from './adapters/process/no-program-runner.ts';
import { ownCommand } from './adapters/process/own-command.ts';
import { scanWorkerOf } from './adapters/process/scan-worker.ts';
import { createClusterRuntimes } from './adapters/runtimes/cluster-runtimes.ts';
import { makeRuntime } from './adapters/runtimes/find-runtimes.ts';
import type { KubeletPlace, NodePods } from './adapters/runtimes/kubelet-runtime.ts';
import { pathOnHost } from './adapters/runtimes/path-on-host.ts';
import type { NodeSettings } from './api/settings.ts';
import type { CompileSettings } from './domain/policy/compile.ts';
import { summarizeScan } from './domain/ghost/summarize-scan.ts';
import type { PlaceFlags } from './host-flags.ts';
import { createCriuReaders, type CriuReadersSource } from './node-engine/criu-readers.ts';
import { openDocuments, type NodeDocuments } from './node-engine/documents.ts';
import { createFolderPlanSource } from './node-engine/folder-plan-source.ts';
import type { NodeEngineParts } from './node-engine/node-engine.ts';
import { createNodeInspector } from './node-engine/node-inspector.ts';
import { createRuntimeWorkloadSource } from './node-engine/runtime-workloads.ts';
import type { Clock } from './ports/clock.ts';
import { RUNTIME_NAMES, type ContainerRuntime } from './ports/container-runtime.ts';
import type { EngineEnvironments } from './ports/engine-environments.ts';
import type { GhostScanner } from './ports/ghost-scanner.ts';
import type { HostFacts } from './ports/host-facts.ts';
import type { HostFiles } from './ports/host-files.ts';
import type { Log } from './ports/log.ts';
import type { NodeMetrics } from './ports/node-metrics.ts';
import type { OciRuntimeInspector } from './ports/oci-runtime-inspector.ts';
import type { PlanSource } from './ports/plan-source.ts';
import type { ProcessRunner } from './ports/process-runner.ts';
import type { StateStore } from './ports/state-store.ts';
import { VERSION } from './version.ts';

export interface Host {
  readonly clock: Clock;
  readonly log: Log;
  /** Runs programs of the host, also from a container. */
  readonly runner: ProcessRunner;
  readonly scanner: GhostScanner;
  readonly files: HostFiles;
  readonly facts: HostFacts;
  readonly runtimes: readonly ContainerRuntime[];
  readonly ociRuntimes: OciRuntimeInspector;
  readonly environments: EngineEnvironments;
  readonly criuReaders: CriuReadersSource;
  readonly state: StateStore;
  readonly documents: NodeDocuments;
  readonly metrics: NodeMetrics;
}

export interface HostChoice {
  readonly logLevel: LogLevel;
  readonly metrics: NodeMetrics;
  /** Absent: the host is no node of a cluster. */
  readonly cluster?: ClusterPlace;
}

/** The host as a node of a cluster. */
export interface ClusterPlace {
  /** In the API. */
  readonly nodeName: string;
  /** The node's own address. */
  readonly nodeIp: string;
  readonly pods: NodePods;
  readonly settings: Pick<NodeSettings, 'backend' | 'kubelet'>;
}

/** What the kubelet gives every pod. Source: kubernetes pkg/serviceaccount, DefaultAPITokenMountPath. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The adapters of this host. Touches nothing yet. Rejects when the host's root is not where the flags say. */
export async function createHost(places: PlaceFlags, choice: HostChoice): Promise<Host> {
  const { hostRoot, confined = false } = places;
  await (confined ? checkConfinedRoot(hostRoot) : checkHostRoot(hostRoot));
  const clock = systemClock;
  const log = createPinoLog(choice.logLevel);
  const own = new ChildProcessRunner();
  const runner = confined ? noProgramRunner : hostRoot === '/' ? own : hostProgramRunner(own);
  const procRoot = join(hostRoot, 'proc');
  const state = createStateFolder({ directory: await pathOnHost(hostRoot, places.stateDir), procRoot });
  const documents = openDocuments(state, log);
  const facts = createHostFacts(confined ? null : runner, procRoot);
  const runtimes = await createRuntimes(places, choice.cluster, { runner, clock, log });
  const inspector = createOciRuntimeInspector({ runner, hostRoot });
  return {
    clock,
    log,
    runner,
    scanner: createChildGhostScanner({
      startWorker: scanWorkerOf([...ownCommand(), '__scan']),
      summarize: summarizeScan,
      procRoot,
    }),
    files: createPosixHostFiles({
      hostRoot,
      requireRootOwner: true,
      processes: own,
      calls: fileCallsWithProc(procRoot),
    }),
    facts,
    runtimes,
    ociRuntimes: inspector,
    environments: createEngineEnvironments(procRoot),
    criuReaders: createCriuReaders({ runtimes, inspector, facts, document: documents.criuReaders, clock }),
    state,
    documents,
    metrics: choice.metrics,
  };
}

async function createRuntimes(
  places: PlaceFlags,
  cluster: ClusterPlace | undefined,
  parts: Pick<Host, 'runner' | 'clock' | 'log'>,
): Promise<readonly ContainerRuntime[]> {
  const host = { ...parts, hostRoot: places.hostRoot, procRoot: join(places.hostRoot, 'proc') };
  // Who names an engine by hand knows better.
  if (cluster !== undefined && places.runtime === 'auto')
    return createClusterRuntimes(cluster.settings.backend, {
      ...host,
      socketPath: await pathOnHost(places.hostRoot, places.criSocket),
      kubelet: await kubeletPlace(places, cluster),
      nodePods: cluster.pods,
    });
  const options = {
    ...host,
    dockerSocket: places.dockerSocket,
    podmanSocket: places.podmanSocket,
    criSocket: places.criSocket,
    runcRoots: [places.runcRoot],
  };
  const names = places.runtime === 'auto' ? RUNTIME_NAMES : ([places.runtime] as const);
  return Promise.all(names.map((name) => makeRuntime(name, options)));
}

async function kubeletPlace(
  places: PlaceFlags,
  { nodeName, nodeIp, settings: { kubelet } }: ClusterPlace,
): Promise<KubeletPlace> {
  return {
    address: nodeIp,
    port: kubelet.port,
    nodeName,
    rootDirectory: kubelet.rootDirectory,
    caFile: kubelet.caFile === null ? null : await pathHere(places, kubelet.caFile),
    clusterCaFile: join(SERVICE_ACCOUNT, 'ca.crt'),
    tokenFile: join(SERVICE_ACCOUNT, 'token'),
  };
}

/** A path of the host as one that this process can open. */
export async function pathHere({ hostRoot }: Pick<PlaceFlags, 'hostRoot'>, path: string): Promise<string> {
  return hostRoot === '/' ? path : await pathOnHost(hostRoot, path);
}

/** Policies from a folder or a file of this host; what was good last is remembered for when a file turns invalid. */
export function policiesFrom(path: string, settings: NodeSettings, { documents }: Host): PlanSource {
  return createFolderPlanSource(
    createYamlPolicyFolder(path, watchDirectory),
    compileSettings(settings),
    documents.lastGoodPlan,
  );
}

/** The same for one look that changes nothing: an agent may be at work on other policies. */
export function policiesOnce(path: string, settings: NodeSettings): PlanSource {
  const nothing = {
    read: () => Promise.resolve(null),
    write: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  };
  return createFolderPlanSource(
    createYamlPolicyFolder(path, watchDirectory),
    compileSettings(settings),
    nothing,
  );
}

function compileSettings(settings: NodeSettings): CompileSettings {
  const { maxGhostLimit, allowedCriuOptions, namespaces } = settings;
  return { maxGhostLimit, allowedCriuOptions, namespaces, ownersKnown: false };
}

/** The engine of this host without its sources and its sink. */
export function engineGround(
  host: Host,
  settings: NodeSettings,
): Omit<NodeEngineParts, 'plan' | 'workloads' | 'sink'> {
  return {
    inspector: createNodeInspector(host.facts, host.runtimes, host.clock),
    criuReaders: host.criuReaders,
    scanner: host.scanner,
    files: host.files,
    state: host.state,
    clock: host.clock,
    log: host.log,
    metrics: host.metrics,
    settings,
    agentVersion: VERSION,
  };
}

/** The engine of this host over `plan`, its report in `statusFile`. */
export function engineParts(
  host: Host,
  plan: PlanSource,
  settings: NodeSettings,
  statusFile: string,
): NodeEngineParts {
  return {
    ...engineGround(host, settings),
    plan,
    workloads: createRuntimeWorkloadSource(host.runtimes, host.documents.knownRuntimes),
    sink: createStatusFile(statusFile),
  };
}
