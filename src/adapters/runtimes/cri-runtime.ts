// The containers of a node as its CRI runtime (containerd) knows them, and checkpoints through the CRI. Never starts, stops or changes a container.
import { chmod, mkdir, rm, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import type { z } from 'zod';
import type { Clock } from '../../ports/clock.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../ports/container-runtime.ts';
import type {
  CheckpointArchive,
  CheckpointCall,
  ContainerRuntime,
  RuntimeContainer,
  RuntimeObstacle,
  RuntimeProbe,
} from '../../ports/container-runtime.ts';
import type { Log } from '../../ports/log.ts';
import { CommandNotFound } from '../../ports/process-runner.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import {
  ContainerdConfig,
  CriContainerInfo,
  CriContainerList,
  CriContainerStatus,
  CriNothing,
  CriSandboxList,
  CriStatus,
  CriVersion,
} from './cri-answers.ts';
import type { CriListed } from './cri-answers.ts';
import { CriConnection, CriRefusal, GRPC } from './cri-connection.ts';
import { criObstacle } from './cri-obstacles.ts';
import { KnownContainers } from './known-containers.ts';
import { pathOnHost } from './path-on-host.ts';
import { pause } from './pause.ts';
import { resumeLeftPaused } from './resume-left-paused.ts';
import { readShimLog } from './shim-dump-log.ts';
import { watchStream } from './watch-stream.ts';
import type { StreamEvents } from './watch-stream.ts';

export interface CriRuntimeOptions {
  /** Of this process, e.g. /run/containerd/containerd.sock. */
  readonly socketPath: string;
  /** Where the host's root is for this process; `/` on the host itself. */
  readonly hostRoot: string;
  /** A /proc of the pid namespace in which the runtime counts. */
  readonly procRoot: string;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
  readonly log: Log;
}

/** No container has this id: what the runtime refuses first tells whether it could take a checkpoint at all. */
const NOBODY = 'ghostlimit-asks-whether-checkpoints-work';
/** Each such question is an error in the runtime's log: where nothing stood in the way it is not asked again for so long, milliseconds. */
const UNHINDERED_MS = 600_000;
const POLL_MS = 5000;
const COMMAND_TIMEOUT_MS = 10_000;

export class CriRuntime implements ContainerRuntime {
  readonly name = 'containerd';
  readonly #options: CriRuntimeOptions;
  readonly #connection: CriConnection;
  readonly #known: KnownContainers;
  /** When nothing stood in the way of a checkpoint, by the monotonic clock. */
  #unhinderedAtMs = -Infinity;

  constructor(options: CriRuntimeOptions) {
    this.#options = options;
    this.#connection = new CriConnection(options.socketPath);
    this.#known = new KnownContainers(options.procRoot);
  }

  async probe(): Promise<RuntimeProbe> {
    const { runtimeName, runtimeVersion } = await this.#answer('Version', {}, CriVersion);
    const command = await this.#defaultOciRuntime();
    return {
      runtime: this.name,
      version: `${runtimeName}://${runtimeVersion.replace(/^v/, '')}`,
      ociRuntime: command === null ? null : await this.#nameAndVersion(command),
      ociRuntimeCommand: command,
      obstacles: await this.#obstacles(),
    };
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    const listed = await this.#listed();
    const labels = await this.#podLabels();
    const found: RuntimeContainer[] = [];
    for (const item of listed) {
      const container = await this.#describe(item, labels);
      if (container !== null) found.push(container);
    }
    await this.#known.keepOnly(found);
    return found;
  }

  /** Names are those of containers in their pods: one that several containers have means the one that runs, or nobody. */
  async find(idOrName: string): Promise<RuntimeContainer | null> {
    const listed = await this.#listed();
    const named = listed.filter(({ metadata }) => metadata === idOrName);
    const found =
      listed.find(({ id }) => id === idOrName) ??
      onlyOne(named.length > 1 ? named.filter(({ state }) => state === 'Running') : named) ??
      (idOrName === '' ? null : onlyOne(listed.filter(({ id }) => id.startsWith(idOrName))));
    return found === null ? null : await this.#describe(found, await this.#podLabels());
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    const follow = async (on: StreamEvents): Promise<void> => {
      try {
        await this.#connection.followEvents(on, signal);
      } catch (error) {
        if (error instanceof CriRefusal) await this.#poll(on, signal);
        else throw error;
      }
    };
    void watchStream(follow, this.#options.clock, onChange, signal);
  }

  async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const { clock } = this.#options;
    const archive = await this.#prepare(call);
    const startedAtMs = clock.now();
    const startedMs = clock.monotonicMs();
    const refusal = await this.#create(call.container, archive.onHost);
    // Nothing can be done at the time-out itself: containerd, when the call is given up, leaves the container paused a while and CRIU at work.
    const timedOut = clock.monotonicMs() - startedMs > call.timeoutMs;
    if (refusal === null && !timedOut) {
      await chmod(archive.here, 0o600);
      return { path: archive.onHost, sizeBytes: (await stat(archive.here)).size };
    }
    await rm(archive.here, { force: true });
    const message = refusal ?? `no checkpoint within ${call.timeoutMs} ms`;
    const window = { startedAtMs, endedAtMs: clock.now() };
    const dumpLog = await readShimLog(message, window, this.#options.hostRoot);
    throw new RuntimeCheckpointError(message, { timedOut, dumpLog });
  }

  /** null: done; else what the runtime said. */
  async #create(container: RuntimeContainer, location: string): Promise<string | null> {
    try {
      await this.#connection.call(
        'CheckpointContainer',
        { containerId: container.id, location },
        CriNothing,
        null,
      );
      return null;
    } catch (error) {
      if (error instanceof RuntimeUnavailable) await resumeLeftPaused(container, this.#options);
      else if (!(error instanceof CriRefusal)) throw error;
      return error.message;
    }
  }

  /** The folder of the container's archives is there, and no archive of that name. */
  async #prepare({ container, checkpointName, archiveDirectory }: CheckpointCall): Promise<Place> {
    const folder = posix.join(archiveDirectory, container.id);
    const onHost = posix.join(folder, `${checkpointName}.tar`);
    try {
      await mkdir(await pathOnHost(this.#options.hostRoot, folder), { recursive: true, mode: 0o700 });
      const here = await pathOnHost(this.#options.hostRoot, onHost);
      if (!(await isThere(here))) return { onHost, here };
    } catch (error) {
      throw refused(String(error));
    }
    throw refused(`checkpoint with name ${checkpointName} already exists for container ${container.id}`);
  }

  /** null: it was removed meanwhile. */
  async #describe(
    { id, metadata, state, labels, podSandboxId }: CriListed,
    podLabels: ReadonlyMap<string, Readonly<Record<string, string>>>,
  ): Promise<RuntimeContainer | null> {
    const known = state === 'Running' ? await this.#known.recall(id) : null;
    if (known !== null) return known;
    const info = await this.#info(id);
    if (info === null) return null;
    const { pid, annotations, ociRuntime } = info;
    return {
      runtime: this.name,
      id,
      name: metadata,
      state,
      pid: state === 'Running' && pid > 0 ? pid : null,
      labels: { ...podLabels.get(podSandboxId), ...labels },
      criuConfigAnnotation: annotations['org.criu.config'] ?? null,
      ...(ociRuntime !== '' && { ociRuntime }),
    };
  }

  async #info(containerId: string): Promise<z.output<typeof CriContainerInfo> | null> {
    try {
      const request = { containerId, verbose: true };
      const { info } = await this.#connection.call('ContainerStatus', request, CriContainerStatus);
      return CriContainerInfo.safeParse(parseJson(info['info'])).data ?? NO_INFO;
    } catch (error) {
      if (error instanceof CriRefusal && error.code === GRPC.notFound) return null;
      throw toUnavailable('ContainerStatus', error);
    }
  }

  async #listed(): Promise<readonly CriListed[]> {
    const { containers } = await this.#answer('ListContainers', {}, CriContainerList);
    // containerd lists them in another order each time.
    return containers.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Labels of pods by the id of their sandbox: containers carry only the kubelet's own. */
  async #podLabels(): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    const { items } = await this.#answer('ListPodSandbox', {}, CriSandboxList);
    return new Map(items.map(({ id, labels }) => [id, labels]));
  }

  /** How containerd runs its default OCI runtime; null: it is none of runc's kind, or it does not say. */
  async #defaultOciRuntime(): Promise<string | null> {
    const { info } = await this.#answer('Status', { verbose: true }, CriStatus);
    const config = ContainerdConfig.safeParse(parseJson(info['config'])).data?.containerd;
    const runtime = config?.runtimes[config.defaultRuntimeName];
    if (runtime?.runtimeType !== 'io.containerd.runc.v2') return null;
    // The shim's own default. Source: containerd 2.4 pkg/oci and cmd/containerd-shim-runc-v2/runc.
    return runtime.options?.BinaryName === undefined || runtime.options.BinaryName === ''
      ? 'runc'
      : runtime.options.BinaryName;
  }

  async #nameAndVersion(command: string): Promise<string> {
    try {
      const { stdout } = await this.#options.runner.run(command, ['--version'], {
        timeoutMs: COMMAND_TIMEOUT_MS,
      });
      const [, name, version] = /^(\S+) version (\S+)/m.exec(stdout) ?? [];
      return name === undefined || version === undefined ? command : `${name} ${version}`;
    } catch (error) {
      if (error instanceof CommandNotFound) return command;
      throw error;
    }
  }

  async #obstacles(): Promise<readonly RuntimeObstacle[]> {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#unhinderedAtMs < UNHINDERED_MS) return [];
    const found = await this.#askObstacles();
    this.#unhinderedAtMs = found.length === 0 ? clock.monotonicMs() : -Infinity;
    return found;
  }

  async #askObstacles(): Promise<readonly RuntimeObstacle[]> {
    try {
      const request = { containerId: NOBODY, location: '/dev/null' };
      await this.#connection.call('CheckpointContainer', request, CriNothing);
      return [];
    } catch (error) {
      if (!(error instanceof CriRefusal)) throw error;
      const obstacle = criObstacle(error.code, error.message);
      return obstacle === null ? [] : [obstacle];
    }
  }

  /** For runtimes without container events. */
  async #poll(on: StreamEvents, signal: AbortSignal): Promise<void> {
    on.open();
    let last: string | null = null;
    while (!signal.aborted) {
      const now = JSON.stringify((await this.#listed()).map(({ id, state }) => [id, state]));
      if (last !== null && now !== last) on.data();
      last = now;
      await pause(this.#options.clock, POLL_MS, signal);
    }
  }

  /** As the connection's call, but what is refused counts as no answer: nothing is asked here that a runtime refuses. */
  async #answer<T>(method: string, request: object, schema: z.ZodType<T>): Promise<T> {
    try {
      return await this.#connection.call(method, request, schema);
    } catch (error) {
      throw toUnavailable(method, error);
    }
  }
}

const NO_INFO = CriContainerInfo.parse({});

interface Place {
  readonly onHost: string;
  /** The same for this process. */
  readonly here: string;
}

function toUnavailable(method: string, error: unknown): unknown {
  return error instanceof CriRefusal ? new RuntimeUnavailable(`${method}: ${error.message}`) : error;
}

function onlyOne<T>(items: readonly T[]): T | null {
  return items.length === 1 ? (items[0] ?? null) : null;
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function refused(message: string): RuntimeCheckpointError {
  return new RuntimeCheckpointError(message, { timedOut: false, dumpLog: null });
}
