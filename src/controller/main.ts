// The program `ghostlimit controller`: flags → API server → caches, and the loops while it leads; with its metrics address and an orderly end.
import { Command, CommanderError, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { cronerCron } from '../adapters/cron/croner-cron.ts';
import { startStatusServer } from '../adapters/http/status-server.ts';
import { createKubeApi } from '../adapters/kube/kube-api.ts';
import type { KubeConfigSource } from '../adapters/kube/kube-config.ts';
import { createPinoLog, LOG_LEVELS, type LogLevel } from '../adapters/log/pino-log.ts';
import { createPromMachineryMetrics } from '../adapters/metrics/prom-machinery-metrics.ts';
import { createPromRegistry } from '../adapters/metrics/prom-registry.ts';
import { CONTROLLER_NAME, IMAGE_REPOSITORY, STATUS_PORT, SYSTEM_NAMESPACE } from '../api/names.ts';
import { checkHealth, printHealth, syncedCheck } from '../machinery/health.ts';
import { VERSION } from '../version.ts';
import { runController } from './run-controller.ts';
import { wireController, type ControllerParts } from './wiring.ts';

interface ControllerFlags {
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly deployment?: string;
  readonly image: string;
  readonly instance: string;
  readonly listen: string;
  readonly logLevel: LogLevel;
}

const EXIT = { fine: 0, failed: 1, usage: 2 } as const;

/** Runs until SIGTERM or SIGINT. Exit code 0 then; 1 when it cannot run or lost the lease with work under way; 2 for wrong flags. */
export async function main(argv: readonly string[]): Promise<number> {
  const command = controllerCommand();
  try {
    command.parse([...argv.slice(0, 2), ...argv.slice(3)]);
    return await serve(command.opts<ControllerFlags>());
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    process.stderr.write(
      `ghostlimit controller: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return EXIT.failed;
  }
}

function controllerCommand(): Command {
  return new Command('ghostlimit controller')
    .description(
      'Compiles CheckpointPolicies into plans for the nodes, keeps the DaemonSet of agents, and reports on the policies.',
    )
    .version(VERSION)
    .exitOverride()
    .option(
      '--kubeconfig <path>',
      'how to reach the API server (default: as kubectl, or the account of the pod)',
    )
    .addOption(
      new Option('--namespace <name>', 'where the operator lives')
        .env('POD_NAMESPACE')
        .default(SYSTEM_NAMESPACE),
    )
    .addOption(
      new Option('--deployment <name>', 'the Deployment that runs this program: owner of the DaemonSet').env(
        'DEPLOYMENT_NAME',
      ),
    )
    .addOption(
      new Option('--image <reference>', 'the image of this program, for the agents')
        .env('GHOSTLIMIT_IMAGE')
        .default(`${IMAGE_REPOSITORY}:${VERSION}`),
    )
    .addOption(
      new Option('--instance <name>', 'name of this process').env('POD_NAME').default(CONTROLLER_NAME),
    )
    .option(
      '--listen <address>',
      'address of /healthz, /readyz and /metrics',
      `0.0.0.0:${STATUS_PORT.toString()}`,
    )
    .addOption(new Option('--log-level <level>', 'what to log').choices(LOG_LEVELS).default('info'));
}

async function serve(flags: ControllerFlags): Promise<number> {
  const log = createPinoLog(flags.logLevel);
  const source: KubeConfigSource =
    flags.kubeconfig === undefined ? { from: 'Default' } : { from: 'File', path: flags.kubeconfig };
  const kube = createKubeApi({ source, version: VERSION, component: 'controller', clock: systemClock });
  const registry = createPromRegistry(VERSION, { processMetrics: true });
  const parts: ControllerParts = {
    kube,
    clock: systemClock,
    random: Math.random,
    log,
    metrics: createPromMachineryMetrics(registry),
    parseYaml,
    cron: cronerCron,
    namespace: flags.namespace,
    instance: flags.instance,
    image: flags.image,
    deploymentName: flags.deployment ?? null,
  };
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      stop.abort();
    });
  const wired = wireController(parts);
  const server = await startStatusServer(flags.listen, {
    health: () => null,
    readiness: () => {
      const verdict = checkHealth({
        caches: syncedCheck(wired.reflectors),
        settings: () => (wired.settings.current() === null ? wired.settings.problem() : null),
      });
      return verdict.healthy ? null : printHealth(verdict);
    },
    metrics: () => registry.render(),
  });
  log.info('controller started', { version: VERSION, listen: server.address, namespace: flags.namespace });
  try {
    await runController(parts, wired, stop.signal);
    return EXIT.fine;
  } finally {
    await server.close();
    await kube.close();
  }
}
