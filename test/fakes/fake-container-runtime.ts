// A container runtime in memory: containers that hold deleted files, dumped under a ghost-limit, with the words of the real ones.
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../src/ports/container-runtime.ts';
import type {
  CheckpointArchive,
  CheckpointCall,
  ContainerRuntime,
  RuntimeContainer,
  RuntimeName,
  RuntimeObstacle,
  RuntimeProbe,
} from '../../src/ports/container-runtime.ts';

export interface HeldGhost {
  readonly path: string;
  readonly bytes: number;
}

/** What CRIU makes of its file: a line it cannot parse, an option it does not know. */
export type ConfigFault = 'Syntax' | 'Option';

const ARCHIVE_BYTES = 65_536;

export class FakeContainerRuntime implements ContainerRuntime {
  readonly name: RuntimeName;
  /** False: every call rejects with RuntimeUnavailable. */
  available = true;
  obstacles: readonly RuntimeObstacle[] = [];
  configFault: ConfigFault | null = null;
  /** The limit in force, read at each dump: give it what your fake host files say. */
  ghostLimitBytes: () => number | Promise<number> = () => 1024 * 1024;
  /** Set: the runtime is not done with a checkpoint before this resolves, and then it was too late. */
  hang: Promise<void> | null = null;
  /** Every checkpoint that was asked for, in order. */
  readonly calls: CheckpointCall[] = [];
  /** Archives in the store, by path. */
  readonly archives = new Map<string, CheckpointArchive>();
  readonly #containers = new Map<string, { container: RuntimeContainer; ghosts: readonly HeldGhost[] }>();
  readonly #watchers = new Set<() => void>();
  #nextPid = 1000;

  constructor(name: RuntimeName = 'docker') {
    this.name = name;
  }

  /** Starts a container, or starts it anew. */
  add(
    given: Partial<RuntimeContainer> & { readonly id: string },
    ghosts: readonly HeldGhost[] = [],
  ): RuntimeContainer {
    const container: RuntimeContainer = {
      runtime: this.name,
      name: given.id,
      state: 'Running',
      pid: this.#nextPid++,
      labels: {},
      criuConfigAnnotation: null,
      ...given,
    };
    this.#containers.set(container.id, { container, ghosts });
    this.#changed();
    return container;
  }

  stop(id: string): void {
    const entry = this.#containers.get(id);
    if (entry === undefined) return;
    entry.container = { ...entry.container, state: 'Stopped', pid: null };
    this.#changed();
  }

  remove(id: string): void {
    this.#containers.delete(id);
    this.#changed();
  }

  probe(): Promise<RuntimeProbe> {
    return this.#answer(() => ({
      runtime: this.name,
      version: `${this.name}://1.2.3`,
      ociRuntime: 'runc 1.3.6',
      ociRuntimeCommand: 'runc',
      obstacles: this.obstacles,
    }));
  }

  list(): Promise<readonly RuntimeContainer[]> {
    return this.#answer(() => [...this.#containers.values()].map(({ container }) => container));
  }

  find(idOrName: string): Promise<RuntimeContainer | null> {
    return this.#answer(() => {
      const all = [...this.#containers.values()].map(({ container }) => container);
      const exact = all.find(({ id, name }) => id === idOrName || name === idOrName);
      const [only, ...others] = idOrName === '' ? [] : all.filter(({ id }) => id.startsWith(idOrName));
      return exact ?? (others.length === 0 ? (only ?? null) : null);
    });
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    this.#watchers.add(onChange);
    signal.addEventListener('abort', () => this.#watchers.delete(onChange), { once: true });
  }

  async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    this.calls.push(call);
    const { container, checkpointName, archiveDirectory } = call;
    const entry = this.#containers.get(container.id);
    const path = `${archiveDirectory}/${container.id}/${checkpointName}`;
    if (!this.available) throw failure('connect ECONNREFUSED /run/docker.sock');
    if (entry === undefined) throw failure(`No such container: ${container.id}`);
    if (entry.container.pid === null) throw failure(`container ${container.id} is not running`);
    if (this.archives.has(path))
      throw failure(
        `cannot checkpoint container ${container.name}: checkpoint with name ${checkpointName} already exists for container ${container.name}`,
      );
    if (this.configFault === 'Syntax') throw failure('read unixpacket @->@: EOF');
    if (this.configFault === 'Option') throw failure('criu failed: type DUMP errno 56');
    const limitBytes = await this.ghostLimitBytes();
    const tooLarge = entry.ghosts.find(({ bytes }) => bytes > limitBytes);
    if (tooLarge !== undefined)
      throw failure('criu failed: type DUMP errno 0', dumpLogOf(container.id, tooLarge));
    if (this.hang !== null) {
      await this.hang;
      throw new RuntimeCheckpointError(`no checkpoint within ${call.timeoutMs.toString()} ms`, {
        timedOut: true,
        dumpLog: null,
      });
    }
    const sizeBytes = entry.ghosts.reduce((sum, { bytes }) => sum + bytes, ARCHIVE_BYTES);
    const archive = { path, sizeBytes };
    this.archives.set(path, archive);
    return archive;
  }

  #answer<T>(read: () => T): Promise<T> {
    return this.available
      ? Promise.resolve(read())
      : Promise.reject(new RuntimeUnavailable('connect ECONNREFUSED'));
  }

  #changed(): void {
    for (const onChange of this.#watchers) onChange();
  }
}

function failure(message: string, dumpLog: RuntimeCheckpointError['dumpLog'] = null): RuntimeCheckpointError {
  return new RuntimeCheckpointError(message, { timedOut: false, dumpLog });
}

function dumpLogOf(id: string, { path, bytes }: HeldGhost): RuntimeCheckpointError['dumpLog'] {
  const lines = [
    '(00.000028) Version: 4.2.1 (gitid 0)',
    "(00.001454) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
    `(00.113392) Error (criu/files-reg.c:1031): Can't dump ghost file ${path} of ${bytes.toString()} size, increase limit`,
    '(00.113417) Error (criu/cr-dump.c:1545): Dump files (pid: 17) failed with -1',
    '(00.171638) Error (criu/cr-dump.c:1975): Dumping FAILED.',
  ];
  return { path: `/run/fake/${id}/dump.log`, text: `${lines.join('\n')}\n` };
}
