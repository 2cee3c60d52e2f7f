// The words and flags of `kubectl ghostlimit checkpoint`, and the way to the cluster that they name. What is done there is cluster-checkpoint.ts.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { systemClock } from '../../adapters/clock/system-clock.ts';
import type { ConnectedKubeApi } from '../../adapters/kube/kube-api.ts';
import type { KubeConfigSource } from '../../adapters/kube/kube-config.ts';
import { SKIPPABLE_CHECKS, type OnGhostLimit, type SkippableCheck } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { VERSION } from '../../version.ts';
import { CommandFailure, createOutput, EXIT, type ExitCode } from '../output.ts';
import {
  clusterCheckpoint,
  PLUGIN_FORMATS,
  type ClusterCheckpointChoice,
  type PluginFormat,
} from './cluster-checkpoint.ts';
import { parseDuration } from './parse-duration.ts';

interface PlaceFlags {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

interface ClusterCheckpointFlags extends PlaceFlags {
  readonly container: readonly string[];
  readonly wait?: true;
  readonly timeout?: number;
  readonly containerTimeout?: number;
  readonly startDeadline?: number;
  readonly onGhostLimit?: OnGhostLimit;
  readonly skipChecks: readonly SkippableCheck[];
  readonly keepArchive?: true;
  readonly output: PluginFormat;
}

const EPILOGUE = `
The request goes on in the cluster whether or not anybody waits for it; Ctrl-C ends the waiting alone.
Exit codes: 0 created, or with --wait complete; 1 failed; 2 wrong words; 124 a time was up: of --timeout, of the start deadline, or of a container.`;

export function addClusterCheckpoint(program: Command, finish: (code: ExitCode) => void): void {
  program
    .command('checkpoint')
    .description('ask for a checkpoint of a pod: creates a CheckpointRequest; the containers run on')
    .argument('<pod>')
    .option('-n, --namespace <name>', 'of the pod (default: of the context)')
    .option('--context <name>', 'of the kubeconfig (default: the current one)')
    .option('--kubeconfig <path>', 'default: as kubectl')
    .addOption(
      new Option('-c, --container <names>', 'only these containers; repeatable, or with commas between')
        .argParser(collectNames)
        .default([], 'every running one but init containers'),
    )
    .option('--wait', 'wait for the end: each change on standard error, the result on standard output')
    .addOption(
      new Option(
        '--timeout <duration>',
        'how long --wait waits: 90, 90s, 2m; 0: until the end (default: 0)',
      ).argParser(parseWaiting),
    )
    .addOption(
      new Option(
        '--container-timeout <duration>',
        'for the checkpoint of one container, 1s to 600s (default: 120s)',
      ).argParser((text) => parseSeconds(text, 600)),
    )
    .addOption(
      new Option(
        '--start-deadline <duration>',
        'fails when not started by then, 1s to 24h (default: 600s)',
      ).argParser((text) => parseSeconds(text, 86_400)),
    )
    .addOption(
      new Option(
        '--on-ghost-limit <what>',
        "a ghost file over the limit: raise it once as far as the policy allows, or fail (default: the policy's way)",
      ).choices(['RaiseOnce', 'Fail'] satisfies OnGhostLimit[]),
    )
    .addOption(
      new Option(
        '--skip-checks <names>',
        `estimates not to go by, with commas between: ${SKIPPABLE_CHECKS.join(', ')}`,
      )
        .argParser(collectChecks)
        .default([], 'none'),
    )
    .option('--keep-archive', 'keep the archive on the node when the request is deleted')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(PLUGIN_FORMATS).default('table'))
    .addHelpText('after', EPILOGUE)
    .action(async (pod: string, flags: ClusterCheckpointFlags) => {
      finish(await run(pod, flags));
    });
}

async function run(pod: string, flags: ClusterCheckpointFlags): Promise<ExitCode> {
  if (flags.timeout !== undefined && flags.wait === undefined)
    throw new CommandFailure(
      '--timeout says how long --wait waits: add --wait, or use --container-timeout for the time that one container may take',
      EXIT.usage,
    );
  const kube = await connect(flags);
  const waiting = catchInterrupts();
  try {
    const choice = choiceOf(pod, flags, flags.namespace ?? (kube.namespace || 'default'));
    const output = createOutput(flags.output === 'json' ? 'json' : 'table');
    return await clusterCheckpoint(choice, { kube, clock: systemClock, interrupted: waiting.signal, output });
  } catch (error) {
    // Said before the process ends by its signal.
    if (!waiting.signal.aborted || !(error instanceof CommandFailure)) throw error;
    process.stderr.write(`ghostlimit: ${error.message}\n`);
    return error.exitCode;
  } finally {
    await kube.close();
    waiting.end();
  }
}

function choiceOf(pod: string, flags: ClusterCheckpointFlags, namespace: string): ClusterCheckpointChoice {
  const { containerTimeout, startDeadline, onGhostLimit, skipChecks } = flags;
  return {
    pod,
    namespace,
    containerNames: flags.container,
    ...(containerTimeout !== undefined && { containerTimeoutSeconds: containerTimeout }),
    ...(startDeadline !== undefined && { startDeadlineSeconds: startDeadline }),
    ...(onGhostLimit !== undefined && { onGhostLimit }),
    skipChecks,
    keepArchive: flags.keepArchive === true,
    format: flags.output,
    wait: flags.wait === true ? { timeoutMs: flags.timeout ?? 0 } : null,
    kubectl: kubectlWords(flags),
  };
}

async function connect({ kubeconfig, context }: PlaceFlags): Promise<ConnectedKubeApi> {
  const { createKubeApi } = await import('../../adapters/kube/kube-api.ts');
  const named = context === undefined ? {} : { context };
  const source: KubeConfigSource =
    kubeconfig === undefined ? { from: 'Default', ...named } : { from: 'File', path: kubeconfig, ...named };
  try {
    return createKubeApi({ source, version: VERSION, component: 'kubectl', clock: systemClock });
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(
      `no way to a cluster: ${printable(told)}: name a kubeconfig with --kubeconfig or KUBECONFIG; "kubectl config get-contexts" lists its contexts`,
    );
  }
}

/** For the user to copy: leads to the same cluster as the flags did. */
function kubectlWords({ kubeconfig, context }: PlaceFlags): string {
  const quoted = (word: string): string =>
    /^[-\w./:@]+$/.test(word) ? word : `'${printable(word).replaceAll("'", String.raw`'\''`)}'`;
  return [
    'kubectl',
    ...(kubeconfig === undefined ? [] : [`--kubeconfig ${quoted(kubeconfig)}`]),
    ...(context === undefined ? [] : [`--context ${quoted(context)}`]),
  ].join(' ');
}

interface CaughtInterrupts {
  readonly signal: AbortSignal;
  /** Ends the process by the signal that came, if one came, so that a script around it ends too. */
  readonly end: () => void;
}

const INTERRUPTS = ['SIGINT', 'SIGTERM'] as const;

/** The first Ctrl-C aborts `signal`; a second one ends the process. Keeps the process alive until `end`, as no timer of the clock does. */
function catchInterrupts(): CaughtInterrupts {
  const controller = new AbortController();
  const alive = setInterval(() => undefined, 60_000);
  let came: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    came = signal;
    for (const name of INTERRUPTS) process.removeListener(name, onSignal);
    controller.abort(new Error(`ended by ${signal}`));
  };
  for (const name of INTERRUPTS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    end: () => {
      clearInterval(alive);
      for (const name of INTERRUPTS) process.removeListener(name, onSignal);
      if (came !== null) process.kill(process.pid, came);
    },
  };
}

function collectNames(text: string, earlier: readonly string[]): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('must be names, with commas between');
  return [...earlier, ...names];
}

function collectChecks(text: string, earlier: readonly SkippableCheck[]): readonly SkippableCheck[] {
  const checks = text.split(',').map((name) => {
    const check = SKIPPABLE_CHECKS.find((known) => known === name.trim());
    if (check === undefined) throw new InvalidArgumentError(`must be one of ${SKIPPABLE_CHECKS.join(', ')}`);
    return check;
  });
  return [...earlier, ...checks];
}

/** Longer than that no timer of Node runs (2^31 - 1 ms). */
const LONGEST_WAIT_MS = 24 * 3600 * 1000;

function parseWaiting(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms > LONGEST_WAIT_MS)
    throw new InvalidArgumentError('must be a duration up to 24h, such as 90, 90s or 2m; 0: until the end');
  return ms;
}

function parseSeconds(text: string, maximum: number): number {
  const seconds = (parseDuration(text) ?? Number.NaN) / 1000;
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > maximum)
    throw new InvalidArgumentError(`must be whole seconds from 1 to ${maximum}, such as 90, 90s or 2m`);
  return seconds;
}
