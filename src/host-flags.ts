// The flags by which every program on a host is told where things are and what the settings are.
import { Option, type Command } from 'commander';
import { printFieldProblem } from './api/field-problem.ts';
import { DEFAULT_STATE_DIRECTORY } from './api/names.ts';
import { parseNodeSettings, type NodeSettings } from './api/settings.ts';
import { RUNTIME_NAMES, type HostRuntimeName } from './ports/container-runtime.ts';

export interface PlaceFlags {
  readonly hostRoot: string;
  /** Only some directories of the host are below its root here, and its programs cannot be run. */
  readonly confined?: true;
  readonly runtime: 'auto' | HostRuntimeName;
  readonly dockerSocket: string;
  readonly podmanSocket: string;
  readonly criSocket: string;
  readonly runcRoot: string;
  readonly stateDir: string;
}

export function hostRootOption(): Option {
  return new Option(
    '--host-root <dir>',
    "in a container: where the host's root is; other paths are the host's",
  )
    .env('GHOSTLIMIT_HOST_ROOT')
    .default('/');
}

export function addPlaceFlags(command: Command): Command {
  return command
    .addOption(hostRootOption())
    .addOption(
      new Option('--runtime <name>', 'the container engine to use')
        .choices(['auto', ...RUNTIME_NAMES])
        .default('auto'),
    )
    .option('--docker-socket <path>', "Docker Engine's socket", '/run/docker.sock')
    .option('--podman-socket <path>', "socket of root's Podman service", '/run/podman/podman.sock')
    .option('--cri-socket <path>', "containerd's socket", '/run/containerd/containerd.sock')
    .option('--runc-root <path>', "runc's state folder", '/run/runc')
    .option('--state-dir <path>', 'where ghostlimit keeps what it must remember', DEFAULT_STATE_DIRECTORY);
}

/** As commander gives them: absent when not set. */
export interface SettingsFlags {
  readonly maxGhostLimit?: string;
  readonly baseGhostLimit?: string;
  readonly allowedCriuOptions?: string;
  readonly namespaces?: string;
  readonly files?: string;
  readonly checkpointsPaused?: true;
  readonly archivesDirectory?: string;
}

export function addSettingsFlags(command: Command): Command {
  return command
    .option('--max-ghost-limit <quantity>', 'cap for every limit (default: 1Gi)')
    .option('--base-ghost-limit <quantity>', 'floor on this node without any policy (default: none)')
    .option(
      '--allowed-criu-options <names>',
      'criuOptions that policies may set, with commas between (default: none)',
    )
    .option('--namespaces <names>', 'namespaces whose policies count, with commas between (default: all)')
    .option(
      '--files <names>',
      'CRIU files to keep: auto, or runc.conf, crun.conf (only where it exists), default.conf with commas between (default: auto)',
    )
    .option('--checkpoints-paused', 'take no checkpoint at all')
    .option(
      '--archives-directory <path>',
      'where checkpoints of engines without a store of their own go (default: /var/lib/ghostlimit/checkpoints)',
    );
}

/** Throws a SettingsProblem that names each flag, its value and what to do. */
export function settingsFromFlags(flags: SettingsFlags): NodeSettings {
  const parsed = parseNodeSettings({
    ...(flags.maxGhostLimit !== undefined && { maxGhostLimit: flags.maxGhostLimit }),
    ...(flags.baseGhostLimit !== undefined && { baseGhostLimit: flags.baseGhostLimit }),
    ...(flags.allowedCriuOptions !== undefined && {
      allowedCriuOptions: splitList(flags.allowedCriuOptions),
    }),
    ...(flags.namespaces !== undefined && { namespaces: splitList(flags.namespaces) }),
    ...(flags.files !== undefined && {
      files: flags.files === 'auto' ? 'auto' : splitList(flags.files),
    }),
    ...(flags.checkpointsPaused === true && { checkpointsPaused: true }),
    ...(flags.archivesDirectory !== undefined && { archives: { directory: flags.archivesDirectory } }),
  });
  if (parsed.ok) return parsed.settings;
  throw new SettingsProblem(
    parsed.problems
      .map((problem) => printFieldProblem({ ...problem, field: flagOf(problem.field) }))
      .join('\n'),
  );
}

/** The settings as the controller hands them to its agents: one JSON object of settings. Throws a SettingsProblem that names each field. */
export function settingsFromJson(text: string): NodeSettings {
  const parsed = parseNodeSettings(parseJson(text));
  if (parsed.ok) return parsed.settings;
  throw new SettingsProblem(
    parsed.problems
      .map((problem) => printFieldProblem({ ...problem, field: `--settings-json ${problem.field}` }))
      .join('\n'),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SettingsProblem(`--settings-json: is no JSON (${(error as Error).message})`);
  }
}

/** A flag has a value that cannot be used. */
export class SettingsProblem extends Error {
  override readonly name = 'SettingsProblem';
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** allowedCriuOptions[0] → --allowed-criu-options */
function flagOf(field: string): string {
  const name = field.replace(/\[.*$/, '').replace('.', '-');
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
