// The command line: words and flags to commands. Every command answers with an exit code of the API.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { readPlainFile } from '../adapters/host/plain-file.ts';
import { noMetrics } from '../adapters/metrics/no-metrics.ts';
import { iniReader } from '../adapters/ini/ini-reader.ts';
import { DEFAULT_STATUS_FILE } from '../api/names.ts';
import {
  addPlaceFlags,
  addSettingsFlags,
  hostRootOption,
  settingsFromFlags,
  SettingsProblem,
  type PlaceFlags,
  type SettingsFlags,
} from '../host-flags.ts';
import { VERSION } from '../version.ts';
import { onGhostLimitOption, skipChecksOption, type RequestFlags } from './commands/checkpoint-flags.ts';
import { lint } from './commands/lint.ts';
import { addClusterCheckpoint } from './plugin/checkpoint-command.ts';
import { isKubectlPlugin } from './plugin/is-kubectl-plugin.ts';
import type { PlanSource } from '../ports/plan-source.ts';
import {
  CommandFailure,
  createOutput,
  EXIT,
  type ExitCode,
  type Output,
  type OutputFormat,
} from './output.ts';

export async function main(argv: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.fine;
  const finish = (code: ExitCode): void => {
    exitCode = code;
  };
  try {
    const isPlugin = isKubectlPlugin(argv, process.argv0);
    await (isPlugin ? createPlugin(finish) : createHostProgram(finish)).parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    if (error instanceof SettingsProblem) {
      process.stderr.write(`ghostlimit: ${error.message}\n`);
      return EXIT.usage;
    }
    if (error instanceof CommandFailure) {
      process.stderr.write(`ghostlimit: ${error.message}\n`);
      return error.exitCode;
    }
    process.stderr.write(`ghostlimit: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.failed;
  }
}

/** A command that ends soon: warnings only, and nobody to ask for metrics. */
const BRIEF = { logLevel: 'warn', metrics: noMetrics } as const;

interface OutputFlags {
  readonly output: OutputFormat;
}

const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table');

function createHostProgram(finish: (code: ExitCode) => void): Command {
  const program = createProgram(
    'ghostlimit',
    "Keeps CRIU's ghost-limit right on this host, per workload, and explains why a checkpoint fails.",
  );
  addHostCommands(program, finish);
  addCheckpoint(program, finish);
  addAgent(program);
  return program;
}

/** The same program called kubectl-ghostlimit: its checkpoint is one of the cluster, the rest is local all the same. */
function createPlugin(finish: (code: ExitCode) => void): Command {
  const program = createProgram(
    'kubectl ghostlimit',
    'Asks for checkpoints of pods in the cluster. Its other commands know nothing of the cluster and look at this host alone.',
  );
  program.commandsGroup('In the cluster:');
  addClusterCheckpoint(program, finish);
  program.commandsGroup('On this host alone:');
  addHostCommands(program, finish);
  addAgent(program);
  return program;
}

function createProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError(`(see ${name} --help)`)
    .configureHelp({ showGlobalOptions: true });
}

function addHostCommands(program: Command, finish: (code: ExitCode) => void): void {
  addLint(program, finish);
  addScan(program, finish);
  addDoctor(program, finish);
  addApply(program, finish);
  addStatus(program, finish);
}

function addAgent(program: Command): void {
  // Dispatched by src/main.ts before this program runs; here only so that --help tells of it.
  program
    .command('agent')
    .description('keep the CRIU files of this host right, for ever (see ghostlimit agent --help)');
}

function addLint(program: Command, finish: (code: ExitCode) => void): void {
  program
    .command('lint')
    .description('judge CRIU configuration files as CRIU does; exit 3 when one is refused')
    .argument('<file...>')
    .addOption(outputOption())
    .action(async (files: string[], flags: OutputFlags) => {
      finish(await lint(files, { ini: iniReader, readFile: readPlainFile }, createOutput(flags.output)));
    });
}

function addScan(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('scan')
    .description('find ghost files of live processes, without CRIU')
    .addOption(
      new Option('--pid <pid>', 'one process and its descendants')
        .argParser(parsePid)
        .conflicts(['container', 'all']),
    )
    .addOption(new Option('--container <name>', 'one container, by name or id').conflicts('all'))
    .option('--all', 'every running container (the default)')
    .addOption(outputOption());
  addPlaceFlags(command).action(
    async (flags: OutputFlags & PlaceFlags & { pid?: number; container?: string }) => {
      const { createHost } = await import('../host-wiring.ts');
      const { scan } = await import('./commands/scan.ts');
      const choice = {
        ...(flags.pid !== undefined && { pid: flags.pid }),
        ...(flags.container !== undefined && { container: flags.container }),
      };
      finish(await scan(choice, await createHost(flags, BRIEF), createOutput(flags.output)));
    },
  );
}

function addDoctor(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('doctor')
    .description(
      'what on this host would make a checkpoint fail, each with a remedy; exit 3 when something would',
    )
    .addOption(outputOption());
  addPlaceFlags(command).action(async (flags: OutputFlags & PlaceFlags) => {
    const { createHost } = await import('../host-wiring.ts');
    const { doctor } = await import('./commands/doctor.ts');
    finish(await doctor(await createHost(flags, BRIEF), createOutput(flags.output)));
  });
}

interface ApplyFlags extends OutputFlags, PlaceFlags, SettingsFlags {
  readonly filename?: string;
  readonly remove?: true;
  readonly statusFile: string;
}

function addApply(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('apply')
    .description('one pass over policies on this host; or take our lines away')
    .option('-f, --filename <path>', 'a folder of CheckpointPolicy files, or one file')
    .addOption(new Option('--remove', 'take our lines out of the CRIU files').conflicts('filename'))
    .option('--status-file <path>', 'where the report goes', DEFAULT_STATUS_FILE)
    .addOption(outputOption());
  addSettingsFlags(addPlaceFlags(command)).action(async (flags: ApplyFlags) => {
    finish(await runApply(flags, createOutput(flags.output)));
  });
}

async function runApply(flags: ApplyFlags, output: Output): Promise<ExitCode> {
  const { createHost, engineParts, pathHere, policiesFrom } = await import('../host-wiring.ts');
  const { apply, remove } = await import('./commands/apply.ts');
  if (flags.filename === undefined && flags.remove !== true)
    throw new CommandFailure('apply needs -f DIR or FILE, or --remove', EXIT.usage);
  const settings = settingsFromFlags(flags);
  const host = await createHost(flags, BRIEF);
  const statusFile = await pathHere(flags, flags.statusFile);
  if (flags.filename === undefined) {
    return remove(engineParts(host, NO_POLICIES, { ...settings, baseGhostLimit: null }, statusFile), output);
  }
  const plan = policiesFrom(await pathHere(flags, flags.filename), settings, host);
  return apply(engineParts(host, plan, settings, statusFile), output);
}

/** Where our lines are taken away: nobody asks for any. */
const NO_POLICIES: PlanSource = {
  read: () => Promise.resolve({ policies: [], problems: [] }),
  watch: () => undefined,
};

function addStatus(program: Command, finish: (code: ExitCode) => void): void {
  program
    .command('status')
    .description('what is in force on this host: the last report of the agent or of apply')
    .addOption(hostRootOption())
    .option('--status-file <path>', 'where the report is', DEFAULT_STATUS_FILE)
    .addOption(outputOption())
    .action(async (flags: OutputFlags & { hostRoot: string; statusFile: string }) => {
      const { readStatusFile } = await import('../adapters/host/status-file.ts');
      const { pathOnHost } = await import('../adapters/runtimes/path-on-host.ts');
      const { status } = await import('./commands/status.ts');
      const file = await pathOnHost(flags.hostRoot, flags.statusFile);
      finish(await status(() => readStatusFile(file), flags.statusFile, createOutput(flags.output)));
    });
}

interface CheckpointFlags extends OutputFlags, PlaceFlags, SettingsFlags, RequestFlags {
  readonly container?: string;
  readonly timeout: number;
  readonly filename?: string;
}

function addCheckpoint(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('checkpoint')
    .description('take a checkpoint of a container or of the containers of a pod on this host; they run on')
    .argument('<container|pod>')
    .option('-c, --container <name>', 'only this container of the pod')
    .option('-f, --filename <path>', 'policies to go by (default: those of the agent or of the last apply)')
    .option('--wait', 'wait for the end (always so on a host without Kubernetes)')
    .addOption(
      new Option('--timeout <seconds>', 'for one container, 1 to 600').argParser(parseTimeout).default(120),
    )
    .addOption(onGhostLimitOption())
    .addOption(skipChecksOption())
    .addOption(outputOption());
  addSettingsFlags(addPlaceFlags(command)).action(async (reference: string, flags: CheckpointFlags) => {
    finish(await runCheckpoint(reference, flags, createOutput(flags.output)));
  });
}

async function runCheckpoint(reference: string, flags: CheckpointFlags, output: Output): Promise<ExitCode> {
  const { createHost, pathHere, policiesOnce } = await import('../host-wiring.ts');
  const { createHostCheckpointArchives } = await import('../adapters/archives/host-checkpoint-archives.ts');
  const { checkpoint } = await import('./commands/checkpoint.ts');
  const { readKnownPolicies } = await import('../node-engine/known-policies.ts');
  const settings = settingsFromFlags(flags);
  const host = await createHost(flags, BRIEF);
  host.scanner.prepare();
  const named =
    flags.filename === undefined ? null : policiesOnce(await pathHere(flags, flags.filename), settings);
  const { policies, problems } = await readKnownPolicies(named, host.documents);
  for (const problem of problems) output.note(`ghostlimit: ${problem}`);
  await host.criuReaders.refreshIfUnknown(settings.files);
  const { nodeName, criuVersion } = await host.facts.read();
  const { onGhostLimit, skipChecks } = flags;
  const choice = {
    reference,
    containerName: flags.container ?? null,
    timeoutSeconds: flags.timeout,
    ...(onGhostLimit !== undefined && { onGhostLimit }),
    ...(skipChecks !== undefined && { skipChecks }),
  };
  const archives = createHostCheckpointArchives({ hostRoot: flags.hostRoot });
  return checkpoint(choice, { ...host, settings, policies, nodeName, criuVersion, archives }, output);
}

function parsePid(text: string): number {
  const pid = Number(text);
  if (!/^\d{1,10}$/.test(text) || pid === 0)
    throw new InvalidArgumentError('must be the number of a process');
  return pid;
}

function parseTimeout(text: string): number {
  const seconds = Number(text.replace(/s$/, ''));
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 600)
    throw new InvalidArgumentError('must be a whole number of seconds from 1 to 600');
  return seconds;
}
