// The program `ghostlimit agent`: flags → parts → loop, with its report, its local address and an orderly end.
import { createPromNodeMetrics, type PromNodeMetrics } from '../adapters/metrics/prom-node-metrics.ts';
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS, type LogLevel } from '../adapters/log/pino-log.ts';
import { parseListenAddress, startStatusServer } from '../adapters/http/status-server.ts';
import { DEFAULT_LISTEN_ADDRESS, DEFAULT_STATUS_FILE } from '../api/names.ts';
import {
  addPlaceFlags,
  addSettingsFlags,
  settingsFromFlags,
  SettingsProblem,
  type PlaceFlags,
  type SettingsFlags,
} from '../host-flags.ts';
import { createHost, engineParts, pathHere, policiesFrom } from '../host-wiring.ts';
import { ENGINE_LOCK } from '../node-engine/documents.ts';
import type { NodeEngineParts } from '../node-engine/node-engine.ts';
import { LockHeld } from '../ports/state-store.ts';
import { VERSION } from '../version.ts';
import { runAgent, type RunningAgent } from './run-agent.ts';

interface AgentFlags extends PlaceFlags, SettingsFlags {
  readonly standalone?: true;
  readonly policies?: string;
  readonly statusFile: string;
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
      'Keeps the CRIU files of this host right: reads policies from a folder, watches the containers, reports.',
    )
    .version(VERSION)
    .exitOverride()
    .option('--standalone', 'on a host without Kubernetes')
    .option('--policies <dir>', 'folder of CheckpointPolicy files, watched')
    .option('--status-file <path>', 'where the report goes', DEFAULT_STATUS_FILE)
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

async function serve(flags: AgentFlags): Promise<number> {
  if (flags.standalone !== true)
    throw new SettingsProblem(
      '--standalone is missing: say it, with --policies DIR, on a host without Kubernetes',
    );
  if (flags.policies === undefined)
    throw new SettingsProblem('--policies is missing: name the folder with the CheckpointPolicy files');
  const settings = settingsFromFlags(flags);
  const metrics = createPromNodeMetrics(VERSION, { processMetrics: true });
  const host = await createHost(flags, { logLevel: flags.logLevel, metrics });
  const lock = await host.state.lock(ENGINE_LOCK, 0);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      stop.abort();
    });
  const plan = policiesFrom(await pathHere(flags, flags.policies), settings, host);
  const parts = engineParts(host, plan, settings, await pathHere(flags, flags.statusFile));
  try {
    await runUntil(stop.signal, parts, { listen: flags.listen, metrics });
    return EXIT.fine;
  } finally {
    await lock.release();
  }
}

/** The address comes first: an agent that cannot have it has touched no file. */
async function runUntil(
  signal: AbortSignal,
  parts: NodeEngineParts,
  { listen, metrics }: { readonly listen: string; readonly metrics: PromNodeMetrics },
): Promise<void> {
  const { log } = parts;
  let agent: RunningAgent | null = null;
  const server = await startStatusServer(listen, {
    health: () => agent?.health.problem() ?? null,
    readiness: () => (agent?.health.ready() === true ? null : 'the first pass is not through'),
    metrics: () => metrics.render(),
  });
  try {
    log.info('agent started', { version: VERSION, listen: server.address });
    agent = runAgent(parts, signal);
    await agent.done;
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
