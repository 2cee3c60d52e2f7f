// The containers of Podman's service, and checkpoints through its REST API on the unix socket. Never starts, stops or changes a container.
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
import { CommandNotFound } from '../../ports/process-runner.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { readFreshLog } from './dump-log-file.ts';
import { errorText, parseAnswer } from './engine-answer.ts';
import { askEngine, followEngine, isUnsent } from './engine-socket.ts';
import type { EngineAnswer } from './engine-socket.ts';
import { KnownContainers } from './known-containers.ts';
import { pathOnHost } from './path-on-host.ts';
import { PodmanInfoAnswer, PodmanInspectAnswer, PodmanListAnswer } from './podman-answers.ts';
import { PodmanSlot } from './podman-slot.ts';
import { isCriuWorkingIn, isTraced } from './process-identity.ts';
import { watchStream } from './watch-stream.ts';

export interface PodmanRuntimeOptions {
  /** Of this process, e.g. /run/podman/podman.sock. */
  readonly socketPath: string;
  /** Where the host's root is for this process; `/` on the host itself. */
  readonly hostRoot: string;
  /** A /proc of the pid namespace in which Podman counts. */
  readonly procRoot: string;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
  readonly log: Log;
}

/** The oldest API that Podman 4 and 5 speak (MinAPIVersion of /version, measured with 5.8); all that is asked here is in it. */
const API = '/v4.0.0/libpod';
const ANSWER_TIMEOUT_MS = 30_000;
const COMMAND_TIMEOUT_MS = 10_000;
const EVENTS = ['create', 'start', 'died', 'remove', 'rename', 'pause', 'unpause'];
/** How long a dump may go on after the service that asked for it broke off. */
const DUMP_END_TIMEOUT_MS = 60_000;
/** leaveRunning is false unless said; keep leaves CRIU's log also after a success. */
const CHECKPOINT_QUERY = 'leaveRunning=true&keep=true&export=false';

const ROOTLESS: RuntimeObstacle = {
  reason: 'Unauthorized',
  message: 'This Podman service runs without root, and so cannot take checkpoints.',
  hint: "Run the containers under root's Podman (systemctl enable --now podman.socket) and name its socket: --podman-socket /run/podman/podman.sock.",
};

type Inspected = z.infer<typeof PodmanInspectAnswer>;

export class PodmanRuntime implements ContainerRuntime {
  readonly name = 'podman';
  readonly #options: PodmanRuntimeOptions;
  readonly #known: KnownContainers;

  constructor(options: PodmanRuntimeOptions) {
    this.#options = options;
    this.#known = new KnownContainers(options.procRoot);
  }

  async probe(): Promise<RuntimeProbe> {
    const info = await this.#get('/info', PodmanInfoAnswer);
    if (info === null) throw new RuntimeUnavailable('what answers is no Podman service');
    const { ociRuntime, security } = info.host;
    return {
      runtime: this.name,
      version: `podman://${info.version.Version}`,
      ociRuntime: ociRuntime === undefined ? null : nameAndVersion(ociRuntime),
      ociRuntimeCommand: ociRuntime?.path ?? null,
      obstacles: security.rootless ? [ROOTLESS] : [],
    };
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    const listed = await this.#get('/containers/json?all=true', PodmanListAnswer);
    if (listed === null) throw new RuntimeUnavailable('the service knows no containers');
    const found: RuntimeContainer[] = [];
    for (const item of listed) {
      const container = item.IsInfra === true ? null : await this.#describe(item);
      if (container !== null) found.push(container);
    }
    await this.#known.keepOnly(found);
    return found;
  }

  async find(idOrName: string): Promise<RuntimeContainer | null> {
    const found = await this.#inspect(idOrName);
    return found === null ? null : toContainer(found);
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: EVENTS }));
    const path = `${API}/events?stream=true&filters=${filters}`;
    void watchStream(
      (on) => followEngine(this.#options.socketPath, path, signal, on),
      this.#options.clock,
      onChange,
      signal,
    );
  }

  async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const { clock } = this.#options;
    const folder = await this.#staticFolder(call.container.id);
    const here = await pathOnHost(this.#options.hostRoot, folder);
    const slot = new PodmanSlot(here);
    await slot.empty().catch((error: unknown) => {
      throw refused(String(error));
    });
    const startedAtMs = clock.now();
    const startedMs = clock.monotonicMs();
    try {
      const answer = await this.#create(call.container, here);
      // Nothing can be done at the time-out itself: Podman would go on anyway.
      const timedOut = clock.monotonicMs() - startedMs > call.timeoutMs;
      if (answer.status === 200 && !timedOut)
        return { path: posix.join(folder, 'checkpoint'), sizeBytes: await slot.keepNew() };
      if (answer.status === 200)
        throw new RuntimeCheckpointError(`no checkpoint within ${call.timeoutMs} ms`, {
          timedOut,
          dumpLog: null,
        });
      const text = await readFreshLog(posix.join(here, 'dump.log'), { startedAtMs, endedAtMs: clock.now() });
      throw new RuntimeCheckpointError(`${errorText(answer)}${text === null ? await this.#whyNoLog() : ''}`, {
        timedOut,
        dumpLog: text === null ? null : { path: posix.join(folder, 'dump.log'), text },
      });
    } catch (error) {
      await slot.bringBack();
      throw error;
    }
  }

  /** Podman goes on when the request is closed: so the answer is waited for, however long it takes. */
  async #create({ id, pid }: RuntimeContainer, workFolder: string): Promise<EngineAnswer> {
    const { socketPath } = this.#options;
    const path = `${API}/containers/${encodeURIComponent(id)}/checkpoint?${CHECKPOINT_QUERY}`;
    try {
      return await askEngine(socketPath, { method: 'POST', path, timeoutMs: null });
    } catch (error) {
      if (!(error instanceof RuntimeUnavailable)) throw error;
      if (!isUnsent(error)) await this.#untilDumpEnds(pid, workFolder);
      throw refused(error.message);
    }
  }

  /** What the runtime said goes to the service's own stderr (measured): so what can be found out is. */
  async #whyNoLog(): Promise<string> {
    try {
      await this.#options.runner.run('criu', ['--version'], { timeoutMs: COMMAND_TIMEOUT_MS });
      return '';
    } catch (error) {
      if (error instanceof CommandNotFound) return '\ncriu is not in PATH';
      throw error;
    }
  }

  /** The OCI runtime and CRIU outlive a service that is killed. */
  async #untilDumpEnds(pid: number | null, workFolder: string): Promise<void> {
    const { clock, procRoot, log } = this.#options;
    const giveUpAtMs = clock.monotonicMs() + DUMP_END_TIMEOUT_MS;
    while (
      (await isCriuWorkingIn(procRoot, workFolder)) ||
      (pid !== null && (await isTraced(procRoot, pid)))
    ) {
      if (clock.monotonicMs() > giveUpAtMs) {
        log.error('a dump goes on after its Podman service broke off', { workFolder });
        return;
      }
      await sleep(100);
    }
  }

  /** On the host. */
  async #staticFolder(id: string): Promise<string> {
    try {
      const found = await this.#inspect(id);
      if (found !== null) return found.StaticDir;
    } catch (error) {
      if (error instanceof RuntimeUnavailable) throw refused(error.message);
      throw error;
    }
    throw refused(`no such container: ${id}`);
  }

  /** null: it was removed meanwhile. */
  async #describe(item: z.infer<typeof PodmanListAnswer>[number]): Promise<RuntimeContainer | null> {
    if (item.State === 'Running' || item.State === 'Paused') {
      const known = await this.#known.recall(item.Id);
      if (known !== null) return { ...known, name: item.Names[0] ?? known.name, state: item.State };
    }
    const found = await this.#inspect(item.Id);
    return found === null ? null : toContainer(found);
  }

  async #inspect(idOrName: string): Promise<Inspected | null> {
    // What cannot be a name or an id must not reach the path of a request.
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(idOrName)) return null;
    return await this.#get(`/containers/${encodeURIComponent(idOrName)}/json`, PodmanInspectAnswer);
  }

  /** The answer, checked; null for 404. Rejects with RuntimeUnavailable for anything else. */
  async #get<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
    const answer = await askEngine(this.#options.socketPath, {
      method: 'GET',
      path: `${API}${path}`,
      timeoutMs: ANSWER_TIMEOUT_MS,
    });
    return answer.status === 404 ? null : parseAnswer(answer, schema, path);
  }
}

function toContainer({ Id, Name, State, Config, OCIRuntime }: Inspected): RuntimeContainer {
  return {
    runtime: 'podman',
    id: Id,
    name: Name,
    state: State.Status,
    pid: State.Pid > 0 ? State.Pid : null,
    labels: Config.Labels,
    criuConfigAnnotation: Config.Annotations['org.criu.config'] ?? null,
    ...(OCIRuntime !== undefined && { ociRuntime: OCIRuntime }),
  };
}

/** e.g. "crun 1.28", from the first line of `crun --version`. */
function nameAndVersion({ name, version }: { readonly name: string; readonly version: string }): string {
  const number = / version (\S+)/.exec(version)?.[1];
  return number === undefined ? name : `${name} ${number}`;
}

function refused(message: string): RuntimeCheckpointError {
  return new RuntimeCheckpointError(message, { timedOut: false, dumpLog: null });
}
