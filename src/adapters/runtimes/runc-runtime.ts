// The containers of plain runc, and checkpoints through its command line. Never starts, stops or changes a container, but for ending a freeze that a failed dump left.
import { chmod, mkdir, rm, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { Clock } from '../../ports/clock.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../ports/container-runtime.ts';
import type {
  CheckpointArchive,
  CheckpointCall,
  ContainerRuntime,
  RuntimeContainer,
  RuntimeProbe,
} from '../../ports/container-runtime.ts';
import type { Log } from '../../ports/log.ts';
import { CommandNotFound } from '../../ports/process-runner.ts';
import type { ProcessResult, ProcessRunner } from '../../ports/process-runner.ts';
import { closeFolder, measureFolder } from './archive-folder.ts';
import { readFreshLog } from './dump-log-file.ts';
import { errorCode } from './error-code.ts';
import { pathOnHost } from './path-on-host.ts';
import { isTraced, isCriuWorkingIn } from './process-identity.ts';
import { RuncContainer, RuncList } from './runc-answers.ts';
import { runcObstacles } from './runc-obstacles.ts';
import { watchRuncRoot } from './watch-runc-root.ts';

export interface RuncRuntimeOptions {
  readonly runner: ProcessRunner;
  /** runc's state folders on the host; those of Docker and containerd are not among them: their containers belong to them. */
  readonly roots: readonly string[];
  readonly hostRoot: string;
  /** A /proc of the pid namespace in which runc counts. */
  readonly procRoot: string;
  readonly clock: Clock;
  readonly log: Log;
}

export const DEFAULT_RUNC_ROOTS: readonly string[] = ['/run/runc'];

const COMMAND_TIMEOUT_MS = 30_000;
const DUMP_END_POLL_MS = 100;

export class RuncRuntime implements ContainerRuntime {
  readonly name = 'runc';
  readonly #options: RuncRuntimeOptions;

  constructor(options: RuncRuntimeOptions) {
    this.#options = options;
  }

  async probe(): Promise<RuntimeProbe> {
    const { stdout } = await this.#run(['--version']);
    const version = /^runc version (\S+)/m.exec(stdout)?.[1];
    if (version === undefined) throw new RuntimeUnavailable('runc --version gave no version');
    return {
      runtime: this.name,
      version: `runc://${version}`,
      ociRuntime: `runc ${version}`,
      ociRuntimeCommand: 'runc',
      obstacles: await runcObstacles(this.#options.runner),
    };
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    return (await this.#listByRoot()).map(({ container }) => container);
  }

  async find(idOrName: string): Promise<RuntimeContainer | null> {
    const all = await this.list();
    const exact = all.find(({ id }) => id === idOrName);
    if (exact !== undefined) return exact;
    const [only, ...others] = idOrName === '' ? [] : all.filter(({ id }) => id.startsWith(idOrName));
    return others.length === 0 ? (only ?? null) : null;
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    for (const root of this.#options.roots) void this.#watchRoot(root, onChange, signal);
  }

  async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const root = await this.#rootOf(call.container.id);
    const folders = await this.#prepare(call);
    const startedAtMs = this.#options.clock.now();
    const result = await this.#dump(root, call, folders).catch(async (error: unknown) => {
      await rm(folders.image.here, { recursive: true });
      throw refused(error instanceof Error ? error.message : String(error));
    });
    if (result.exitCode === 0) {
      await closeFolder(folders.image.here);
      return { path: folders.image.onHost, sizeBytes: await measureFolder(folders.image.here) };
    }
    await this.#leaveGoing(root, call.container, folders.work.here);
    await rm(folders.image.here, { recursive: true });
    const logPath = posix.join(folders.work.here, 'dump.log');
    const text = await readFreshLog(logPath, { startedAtMs, endedAtMs: this.#options.clock.now() });
    throw new RuntimeCheckpointError(lastWords(result), {
      timedOut: result.timedOut,
      dumpLog: text === null ? null : { path: posix.join(folders.work.onHost, 'dump.log'), text },
    });
  }

  #dump(
    root: string,
    { container, timeoutMs }: CheckpointCall,
    { image, work }: Folders,
  ): Promise<ProcessResult> {
    const paths = ['--image-path', image.onHost, '--work-path', work.onHost];
    return this.#runRaw(['--root', root, 'checkpoint', '--leave-running', ...paths, container.id], timeoutMs);
  }

  /**
   * One new folder for the image, and one for CRIU's log that the container's dumps share: the log of the last one stays.
   * runc makes only the last part of each, and with its own idea of modes.
   */
  async #prepare({ container, checkpointName, archiveDirectory }: CheckpointCall): Promise<Folders> {
    const parent = posix.join(archiveDirectory, container.id);
    const image = await this.#place(posix.join(parent, checkpointName));
    const work = await this.#place(posix.join(parent, WORK_FOLDER));
    try {
      await mkdir(work.here, { recursive: true, mode: 0o700 });
      await chmod(posix.dirname(work.here), 0o700);
      await rm(posix.join(work.here, 'dump.log'), { force: true });
      await mkdir(image.here, { mode: 0o700 });
    } catch (error) {
      if (errorCode(error) === 'EEXIST')
        throw refused(`checkpoint with name ${checkpointName} already exists for container ${container.id}`);
      // A full or read-only disk: said in the words of the system.
      throw refused(String(error));
    }
    return { image, work };
  }

  /**
   * Waits until nobody dumps the container any more. Measured with runc 1.3.6 and CRIU 4.2.1: SIGTERM ends runc at once, but
   * CRIU goes on with the tasks stopped until it misses runc's answer, then lets them go and ends. It must not be killed:
   * its code may be running inside the tasks. A CRIU that did die may have left the cgroup frozen: that is undone.
   */
  async #leaveGoing(root: string, { id, pid, state }: RuntimeContainer, workFolder: string): Promise<void> {
    const { procRoot, log } = this.#options;
    while (
      (await isCriuWorkingIn(procRoot, workFolder)) ||
      (pid !== null && (await isTraced(procRoot, pid)))
    ) {
      await sleep(DUMP_END_POLL_MS);
    }
    if (state === 'Paused') return;
    const now = await this.#state(root, id);
    if (now?.status !== 'Paused') return;
    log.warn('container left frozen by a failed checkpoint, resuming', { container: id });
    await this.#run(['--root', root, 'resume', id]);
  }

  async #listByRoot(): Promise<{ readonly root: string; readonly container: RuntimeContainer }[]> {
    const found = [];
    for (const root of this.#options.roots) {
      const { exitCode, stdout, stderr } = await this.#runRaw(
        ['--root', root, 'list', '--format', 'json'],
        COMMAND_TIMEOUT_MS,
      );
      // No container was ever made there.
      if (exitCode !== 0 && /no such file or directory/.test(stderr)) continue;
      if (exitCode !== 0) throw new RuntimeUnavailable(`runc list: ${stderr.trim()}`);
      for (const item of parseJson(stdout, RuncList)) found.push({ root, container: toContainer(item) });
    }
    return found;
  }

  async #rootOf(id: string): Promise<string> {
    // The id becomes a part of a path.
    if (!/^[\w+.-]+$/.test(id) || /^\.+$/.test(id)) throw refused(`container does not exist: ${id}`);
    for (const root of this.#options.roots) {
      // runc's own file: asking runc would cost 20 ms of every checkpoint.
      const file = await pathOnHost(this.#options.hostRoot, posix.join(root, id, 'state.json'));
      if (await isThere(file)) return root;
    }
    throw refused('container does not exist');
  }

  /** null: there is no such container in that root. */
  async #state(root: string, id: string): Promise<z.infer<typeof RuncContainer> | null> {
    const { exitCode, stdout } = await this.#runRaw(['--root', root, 'state', id], COMMAND_TIMEOUT_MS);
    return exitCode === 0 ? parseJson(stdout, RuncContainer) : null;
  }

  async #watchRoot(root: string, onChange: () => void, signal: AbortSignal): Promise<void> {
    const { hostRoot, procRoot, clock } = this.#options;
    await watchRuncRoot({ root: await pathOnHost(hostRoot, root), procRoot }, clock, onChange, signal);
  }

  async #place(onHost: string): Promise<Place> {
    return { onHost, here: await pathOnHost(this.#options.hostRoot, onHost) };
  }

  async #run(args: readonly string[]): Promise<ProcessResult> {
    const result = await this.#runRaw(args, COMMAND_TIMEOUT_MS);
    if (result.exitCode !== 0) throw new RuntimeUnavailable(`runc ${args.join(' ')}: ${lastWords(result)}`);
    return result;
  }

  async #runRaw(args: readonly string[], timeoutMs: number): Promise<ProcessResult> {
    try {
      return await this.#options.runner.run('runc', args, { timeoutMs });
    } catch (error) {
      if (error instanceof CommandNotFound) throw new RuntimeUnavailable(error.message, { cause: error });
      throw error;
    }
  }
}

/** No checkpoint can have this name: they begin with a letter or a digit. */
const WORK_FOLDER = '.last-dump';

interface Place {
  readonly onHost: string;
  /** The same for this process. */
  readonly here: string;
}

interface Folders {
  readonly image: Place;
  readonly work: Place;
}

function toContainer({ id, pid, status, annotations }: z.infer<typeof RuncContainer>): RuntimeContainer {
  return {
    runtime: 'runc',
    id,
    name: id,
    state: status,
    pid: pid > 0 && status !== 'Stopped' ? pid : null,
    labels: annotations,
    criuConfigAnnotation: annotations['org.criu.config'] ?? null,
  };
}

function parseJson<T>(text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RuntimeUnavailable(`runc printed no JSON: ${text.slice(0, 200)}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RuntimeUnavailable(`runc printed unexpected JSON: ${parsed.error.issues[0]?.message ?? ''}`);
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function lastWords({ exitCode, stdout, stderr }: ProcessResult): string {
  const said = stderr.trim() === '' ? stdout.trim() : stderr.trim();
  return said === ''
    ? `runc ended with ${exitCode === null ? 'a signal' : `code ${exitCode}`} and no word`
    : said;
}

function refused(message: string): RuntimeCheckpointError {
  return new RuntimeCheckpointError(message, { timedOut: false, dumpLog: null });
}
