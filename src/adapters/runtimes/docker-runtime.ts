// The containers of Docker Engine, and checkpoints through its REST API on the unix socket. Never starts, stops or changes a container.
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
  RuntimeObstacle,
  RuntimeProbe,
} from '../../ports/container-runtime.ts';
import type { Log } from '../../ports/log.ts';
import { measureFolder } from './archive-folder.ts';
import { ContainerListAnswer, InspectAnswer } from './docker-answers.ts';
import { DockerConnection } from './docker-connection.ts';
import type { DockerEngine } from './docker-connection.ts';
import { errorText } from './engine-answer.ts';
import { KnownContainers } from './known-containers.ts';
import { pathOnHost } from './path-on-host.ts';
import { isTraced } from './process-identity.ts';
import { readShimLog } from './shim-dump-log.ts';
import { isUnsent } from './engine-socket.ts';
import type { EngineAnswer } from './engine-socket.ts';
import { watchStream } from './watch-stream.ts';

export interface DockerRuntimeOptions {
  /** Of this process, e.g. /run/docker.sock. */
  readonly socketPath: string;
  /** Where the host's root is for this process; `/` on the host itself. */
  readonly hostRoot: string;
  /** A /proc of the pid namespace in which the engine counts. */
  readonly procRoot: string;
  readonly clock: Clock;
  readonly log: Log;
}

const EVENTS = ['create', 'start', 'die', 'destroy', 'rename', 'pause', 'unpause'];
/** How long an engine that broke off a checkpoint may take to come back before its container is given up. */
const RETURN_TIMEOUT_MS = 60_000;

const EXPERIMENTAL_OFF: RuntimeObstacle = {
  reason: 'FeatureGateOff',
  message: 'Docker Engine takes checkpoints only in experimental mode, which is off.',
  hint: 'Set "experimental": true in /etc/docker/daemon.json and restart Docker (with "live-restore": true containers keep running).',
};

export class DockerRuntime implements ContainerRuntime {
  readonly name = 'docker';
  readonly #options: DockerRuntimeOptions;
  readonly #connection: DockerConnection;
  readonly #known: KnownContainers;

  constructor(options: DockerRuntimeOptions) {
    this.#options = options;
    this.#connection = new DockerConnection(options.socketPath);
    this.#known = new KnownContainers(options.procRoot);
  }

  async probe(): Promise<RuntimeProbe> {
    this.#connection.forget();
    const { version, info } = await this.#connection.engine();
    const component = version.Components.find(({ Name }) => Name === info.DefaultRuntime);
    return {
      runtime: this.name,
      version: `docker://${version.Version}`,
      ociRuntime:
        component === undefined ? (info.DefaultRuntime ?? null) : `${component.Name} ${component.Version}`,
      ociRuntimeCommand: info.DefaultRuntime === undefined ? null : commandOf(info, info.DefaultRuntime),
      obstacles: info.ExperimentalBuild === true ? [] : [EXPERIMENTAL_OFF],
    };
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    const listed = await this.#connection.get('/containers/json?all=true', ContainerListAnswer);
    if (listed === null) throw new RuntimeUnavailable('the engine knows no containers');
    const found: RuntimeContainer[] = [];
    for (const item of listed) {
      const container = await this.#describe(item);
      if (container !== null) found.push(container);
    }
    await this.#known.keepOnly(found);
    return found;
  }

  async find(idOrName: string): Promise<RuntimeContainer | null> {
    // What cannot be a name or an id must not reach the path of a request.
    const name = idOrName.replace(/^\//, '');
    return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) ? await this.#inspect(name) : null;
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    void this.#watch(onChange, signal);
  }

  async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const { clock } = this.#options;
    const startedAtMs = clock.now();
    const startedMs = clock.monotonicMs();
    const answer = await this.#create(call);
    // Nothing can be done at the time-out itself: Docker would go on anyway.
    const timedOut = clock.monotonicMs() - startedMs > call.timeoutMs;
    if (answer.status !== 201) throw await this.#failure(answer, { startedAtMs, timedOut });
    if (!timedOut) return await this.#archive(call);
    await this.#discard(call);
    throw new RuntimeCheckpointError(`no checkpoint within ${call.timeoutMs} ms`, {
      timedOut,
      dumpLog: null,
    });
  }

  /** Docker goes on when the request is closed (a background context in its source): so the answer is waited for, however long it takes. */
  async #create({ container, checkpointName }: CheckpointCall): Promise<EngineAnswer> {
    try {
      return await this.#connection.ask(
        {
          method: 'POST',
          path: `/containers/${encodeURIComponent(container.id)}/checkpoints`,
          body: { CheckpointID: checkpointName, CheckpointDir: '', Exit: false },
        },
        null,
      );
    } catch (error) {
      if (!(error instanceof RuntimeUnavailable)) throw error;
      if (!isUnsent(error)) await this.#leaveGoing(container);
      throw new RuntimeCheckpointError(error.message, { timedOut: false, dumpLog: null });
    }
  }

  /** After the engine broke off: waits for the end of the dump, and takes back a pause that containerd could no longer end. */
  async #leaveGoing(before: RuntimeContainer): Promise<void> {
    const { clock, procRoot, log } = this.#options;
    const giveUpAtMs = clock.monotonicMs() + RETURN_TIMEOUT_MS;
    while (before.pid !== null && (await isTraced(procRoot, before.pid)) && clock.monotonicMs() < giveUpAtMs)
      await sleep(100);
    while (clock.monotonicMs() < giveUpAtMs) {
      const now = await this.#inspect(before.id).catch(() => undefined);
      if (now !== undefined) {
        if (now?.state !== 'Paused' || before.state === 'Paused') return;
        log.warn('container left paused by a broken checkpoint, unpausing', { container: before.id });
        await this.#connection.ask({ method: 'POST', path: `/containers/${before.id}/unpause` });
        return;
      }
      await sleep(1000);
    }
    log.error('engine did not come back after a broken checkpoint', { container: before.id });
  }

  async #failure(
    answer: EngineAnswer,
    { startedAtMs, timedOut }: { readonly startedAtMs: number; readonly timedOut: boolean },
  ): Promise<RuntimeCheckpointError> {
    const text = errorText(answer);
    const window = { startedAtMs, endedAtMs: this.#options.clock.now() };
    const dumpLog = await readShimLog(text, window, this.#options.hostRoot);
    return new RuntimeCheckpointError(text, { timedOut, dumpLog });
  }

  async #archive({ container, checkpointName }: CheckpointCall): Promise<CheckpointArchive> {
    const { info } = await this.#connection.engine();
    const path = posix.join(info.DockerRootDir, 'containers', container.id, 'checkpoints', checkpointName);
    try {
      return { path, sizeBytes: await measureFolder(await pathOnHost(this.#options.hostRoot, path)) };
    } catch (error) {
      // The checkpoint is there all the same; Docker's folder may be out of reach of this process.
      this.#options.log.warn('size of a checkpoint not measured', { path, error: String(error) });
      return { path, sizeBytes: 0 };
    }
  }

  /** A checkpoint that came too late was given up: nobody will ask for it, and nothing else would remove it. */
  async #discard({ container, checkpointName }: CheckpointCall): Promise<void> {
    const path = `/containers/${encodeURIComponent(container.id)}/checkpoints/${encodeURIComponent(checkpointName)}`;
    const answer = await this.#connection.ask({ method: 'DELETE', path });
    if (answer.status !== 204)
      this.#options.log.warn('late checkpoint not removed', {
        container: container.id,
        error: errorText(answer),
      });
  }

  /** null: it was removed meanwhile. */
  async #describe(item: z.infer<typeof ContainerListAnswer>[number]): Promise<RuntimeContainer | null> {
    if (item.State === 'Running' || item.State === 'Paused') {
      const known = await this.#known.recall(item.Id);
      // Names change by rename, state by pause; both are in the list.
      if (known !== null) return { ...known, name: nameOf(item.Names, item.Id), state: item.State };
    }
    return await this.#inspect(item.Id);
  }

  async #inspect(idOrName: string): Promise<RuntimeContainer | null> {
    const found = await this.#connection.get(
      `/containers/${encodeURIComponent(idOrName)}/json`,
      InspectAnswer,
    );
    if (found === null) return null;
    const { Annotations, Runtime } = found.HostConfig;
    const { info } = await this.#connection.engine();
    return {
      runtime: this.name,
      id: found.Id,
      name: nameOf([found.Name], found.Id),
      state: found.State.Status,
      pid: found.State.Pid > 0 ? found.State.Pid : null,
      labels: found.Config.Labels,
      criuConfigAnnotation: Annotations['org.criu.config'] ?? null,
      ...(Runtime !== undefined && { ociRuntime: commandOf(info, Runtime) }),
    };
  }

  #watch(onChange: () => void, signal: AbortSignal): Promise<void> {
    const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: EVENTS }));
    return watchStream(
      (on) => this.#connection.follow(`/events?filters=${filters}`, signal, on),
      this.#options.clock,
      onChange,
      signal,
    );
  }
}

/** A container may have more names by links ("/other/alias"): its own has one slash. */
function nameOf(names: readonly string[], id: string): string {
  const own = names.find((name) => name.lastIndexOf('/') === 0) ?? names[0];
  return own?.replace(/^\//, '') ?? id;
}

/** How Docker runs the OCI runtime that it calls `name`: a path or a name in PATH. */
function commandOf({ Runtimes }: DockerEngine['info'], name: string): string {
  return Runtimes[name]?.path ?? name;
}
