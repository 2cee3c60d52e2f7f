// The program `ghostlimit agent`: flags → parts → loop, with its report, its local address and an orderly end. On a node of a cluster, or on a host without Kubernetes.
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { createKubeApi } from '../adapters/kube/kube-api.ts';
import type { KubeConfigSource } from '../adapters/kube/kube-config.ts';
import { LOG_LEVELS, type LogLevel } from '../adapters/log/pino-log.ts';
import { parseListenAddress, startStatusServer } from '../adapters/http/status-server.ts';
import { createPromMachineryMetrics } from '../adapters/metrics/prom-machinery-metrics.ts';
import { createPromNodeMetrics } from '../adapters/metrics/prom-node-metrics.ts';
import { createPromRegistry, type PromRegistry } from '../adapters/metrics/prom-registry.ts';
import { DEFAULT_LISTEN_ADDRESS, DEFAULT_STATUS_FILE } from '../api/names.ts';
import type { NodeSettings } from '../api/settings.ts';
import {
  addPlaceFlags,
  addSettingsFlags,
  settingsFromFlags,
  settingsFromJson,
  SettingsProblem,
  type PlaceFlags,
  type SettingsFlags,
} from '../host-flags.ts';
import {
  createHost,
  engineGround,
  engineParts,
  pathHere,
  policiesFrom,
  type ClusterPlace,
  type Host,
} from '../host-wiring.ts';
import { ENGINE_LOCK } from '../node-engine/documents.ts';
import { LockHeld, type StateLock } from '../ports/state-store.ts';
import { VERSION } from '../version.ts';
import { factsOfNode, runClusterAgent } from './cluster/cluster-agent.ts';
import { createLatePods } from './cluster/late-pods.ts';
import { orderGround } from './cluster/order-ground.ts';
import { runAgent, type RunningAgent } from './run-agent.ts';

interface AgentFlags extends PlaceFlags, SettingsFlags {
  readonly standalone?: true;
  readonly policies?: string;
  readonly statusFile: string;
  readonly nodeName?: string;
  readonly nodeIp: string;
  readonly kubeconfig?: string;
  readonly settingsJson?: string;
  readonly listen: string;
  readonly logLevel: LogLevel;
}

const EXIT = { fine: 0, failed: 1, usage: 2 } as const;

/**
 * An agent idles on every node: V8 gets a young generation of 1 MiB and prefers small code, which takes 10 MiB off its memory at rest (measured: bench/agent.ts).
 * Set here and not by flags of Node, so that it holds for the script and for the single executable alike.
 */
function preferSmallMemory(): void {
  setFlagsFromString('--optimize-for-size');
  setFlagsFromString('--max-semi-space-size=1');
}

/** Runs until SIGTERM or SIGINT. Exit code 0 then; 1 when it cannot run (another agent, address in use); 2 for wrong flags. */
export async function main(argv: readonly string[]): Promise<number> {
  preferSmallMemory();
  const command = agentCommand();
  try {
    command.parse([...argv.slice(0, 2), ...argv.slice(3)]);
    return await serve(command.opts<AgentFlags>());
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    process.stderr.write(`ghostlimit agent: ${explain(error)}\n`);
    return error instanceof SettingsProblem ? EXIT.usage : EXIT.failed;
  }
}

function agentCommand(): Command {
  const command = new Command('ghostlimit agent')
    .description(
      'Keeps the CRIU files of this host right: reads policies from a folder (--standalone) or from a cluster (--node-name), watches the containers, reports.',
    )
    .version(VERSION)
    .exitOverride()
    .option('--standalone', 'on a host without Kubernetes')
    .option('--policies <dir>', 'standalone: folder of CheckpointPolicy files, watched')
    .option('--status-file <path>', 'standalone: where the report goes', DEFAULT_STATUS_FILE)
    .addOption(new Option('--node-name <name>', 'in a cluster: the Node that this host is').env('NODE_NAME'))
    .addOption(
      new Option('--node-ip <address>', 'in a cluster: the address of this node, where its kubelet listens')
        .env('NODE_IP')
        .default('127.0.0.1'),
    )
    .option(
      '--confined',
      'in a container with only some directories of the host below --host-root, among them its /proc, and no namespace of it',
    )
    .option(
      '--kubeconfig <path>',
      'in a cluster: how to reach the API server (default: as kubectl, or the account of the pod)',
    )
    .option(
      '--settings-json <json>',
      'in a cluster: the settings, as the controller hands them to its agents',
    )
    .addOption(
      new Option('--listen <address>', 'local address of /healthz, /readyz and /metrics')
        .argParser(checkListenAddress)
        .default(DEFAULT_LISTEN_ADDRESS),
    )
    .addOption(new Option('--log-level <level>', 'what to log').choices(LOG_LEVELS).default('info'));
  return addSettingsFlags(addPlaceFlags(command));
}

function checkListenAddress(listen: string): string {
  try {
    parseListenAddress(listen);
    return listen;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** What one of the two ways to run adds to the host. */
type StartAgent = (host: Host, settings: NodeSettings, signal: AbortSignal) => Promise<RunningAgent | null>;

async function serve(flags: AgentFlags): Promise<number> {
  const registry = createPromRegistry(VERSION, { processMetrics: true });
  const settings =
    flags.settingsJson === undefined ? settingsFromFlags(flags) : settingsFromJson(flags.settingsJson);
  const { start, end, cluster } =
    flags.standalone === true ? standalone(flags) : inCluster(flags, settings, registry);
  const host = await createHost(flags, {
    logLevel: flags.logLevel,
    metrics: createPromNodeMetrics(registry),
    ...(cluster !== undefined && { cluster }),
  });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      stop.abort();
    });
  try {
    await runUntil(host, {
      listen: flags.listen,
      registry,
      start: () => start(host, settings, stop.signal),
    });
    return EXIT.fine;
  } finally {
    await end();
  }
}

interface Mode {
  /** null: there was nothing to start, as the signal came while another engine still worked on the host. */
  readonly start: StartAgent;
  readonly end: () => Promise<void>;
  /** Absent: the host is no node of a cluster. */
  readonly cluster?: ClusterPlace;
}

function standalone(flags: AgentFlags): Mode {
  const { policies } = flags;
  if (policies === undefined)
    throw new SettingsProblem('--policies is missing: name the folder with the CheckpointPolicy files');
  let lock: StateLock | null = null;
  return {
    start: async (host, settings, signal) => {
      lock = await host.state.lock(ENGINE_LOCK, 0);
      const plan = policiesFrom(await pathHere(flags, policies), settings, host);
      return runAgent(engineParts(host, plan, settings, await pathHere(flags, flags.statusFile)), signal);
    },
    end: async () => lock?.release(),
  };
}

function inCluster(flags: AgentFlags, settings: NodeSettings, registry: PromRegistry): Mode {
  const { nodeName, nodeIp, kubeconfig } = flags;
  if (nodeName === undefined)
    throw new SettingsProblem(
      '--standalone or --node-name is missing: --standalone with --policies DIR on a host without Kubernetes; --node-name, or NODE_NAME, in a cluster',
    );
  const source: KubeConfigSource =
    kubeconfig === undefined ? { from: 'Default' } : { from: 'File', path: kubeconfig };
  const ends: (() => Promise<void>)[] = [];
  const pods = createLatePods();
  return {
    cluster: { nodeName, nodeIp, pods, settings },
    start: async (host, _, signal) => {
      const { clock, log } = host;
      const lock = await untilFree(host, signal);
      if (lock === null) return null;
      ends.push(() => lock.release());
      const kube = createKubeApi({ source, version: VERSION, component: 'agent', clock });
      ends.push(() => kube.close());
      const metrics = createPromMachineryMetrics(registry);
      const engine = engineGround({ ...host, facts: factsOfNode(host.facts, nodeName) }, settings);
      const reflector = { api: kube, clock, log, metrics, random: Math.random };
      const orders = orderGround(flags.hostRoot);
      const { runtimes } = host;
      return runClusterAgent({ reflector, nodeName, runtimes, latePods: pods, orders, engine }, signal);
    },
    end: async () => {
      for (const end of ends.toReversed()) await end();
    },
  };
}

const LOCK_TRY_MS = 1_000;

/** The agent that this one replaces may still be ending, or a checkpoint of its: waits without touching anything. null: `signal` aborted before. */
async function untilFree({ state, log }: Host, signal: AbortSignal): Promise<StateLock | null> {
  for (let tries = 0; !signal.aborted; tries += 1) {
    try {
      return await state.lock(ENGINE_LOCK, LOCK_TRY_MS);
    } catch (error) {
      if (!(error instanceof LockHeld)) throw error;
      if (tries === 0) log.info('waiting for the engine that works on this host to end', { pid: error.pid });
    }
  }
  return null;
}

/** The address comes first: an agent that cannot have it has touched no file. */
async function runUntil(
  { log }: Pick<Host, 'log'>,
  {
    listen,
    registry,
    start,
  }: {
    readonly listen: string;
    readonly registry: PromRegistry;
    readonly start: () => Promise<RunningAgent | null>;
  },
): Promise<void> {
  let agent: RunningAgent | null = null;
  const server = await startStatusServer(listen, {
    health: () => agent?.health.problem() ?? null,
    readiness: () => (agent?.health.ready() === true ? null : 'the first pass is not through'),
    metrics: () => registry.render(),
  });
  try {
    log.info('agent started', { version: VERSION, listen: server.address });
    agent = await start();
    await agent?.done;
  } finally {
    await server.close();
  }
  log.info('agent stopped');
}

function explain(error: unknown): string {
  if (error instanceof LockHeld)
    return `another agent or an "apply" works on this host (process ${error.pid.toString()}): stop it first`;
  return error instanceof Error ? error.message : String(error);
}
