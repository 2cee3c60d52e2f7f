// The containers of the pods of this node, found without a socket of the runtime, and checkpoints through the kubelet's API. Never starts, stops or changes a container.
import { chmod, readFile, rm, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import { z } from 'zod';
import type { PodView } from '../../api/core-views.ts';
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
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { createContainerProcesses, type ContainerProcesses } from './container-processes.ts';
import { readFreshLog, type CallWindow } from './dump-log-file.ts';
import { isFrozen } from './frozen-containers.ts';
import { KubeletBrokeOff, postToKubelet, type KubeletAnswer } from './kubelet-connection.ts';
import { failureObstacle, probeObstacle, unreachableObstacle } from './kubelet-obstacles.ts';
import { pathOnHost } from './path-on-host.ts';
import { pause } from './pause.ts';
import { podContainers, type PodContainer } from './pod-containers.ts';
import { isTraced, processStart } from './process-identity.ts';
import { resumeLeftPaused } from './resume-left-paused.ts';
import { readShimLog } from './shim-dump-log.ts';

export interface NodePods {
  /** Those of this node, as known now. Throws RuntimeUnavailable before they were read once. */
  pods(): readonly PodView[];
  watch(onChange: () => void, signal: AbortSignal): void;
}

/** How the kubelet of this node is reached and verified. */
export interface KubeletPlace {
  /** The node's own address. */
  readonly address: string;
  readonly port: number;
  /** In the API. */
  readonly nodeName: string;
  /** Its --root-dir, a path of the host. */
  readonly rootDirectory: string;
  /** What signed the kubelet's certificate, a file of this process; null: found out. */
  readonly caFile: string | null;
  /** Of this process. */
  readonly clusterCaFile: string;
  readonly tokenFile: string;
}

export interface KubeletRuntimeOptions {
  readonly kubelet: KubeletPlace;
  readonly nodePods: NodePods;
  /** Where the host's root is for this process; `/` on the host itself. */
  readonly hostRoot: string;
  /** A /proc of the host's pid namespace. */
  readonly procRoot: string;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
  readonly log: Log;
}

/** No pod can have this name: what is refused before that tells whether any checkpoint could be taken. */
const NOBODY = '/checkpoint/ghostlimit/ASKS-WHETHER-CHECKPOINTS-WORK/nobody';
const ANSWER_TIMEOUT_MS = 30_000;
/** The kubelet raises a smaller time-out to its runtimeRequestTimeout, 2 min unless configured. Source: kubernetes pkg/kubelet/server, and cri-client pkg/remote_runtime.go. */
const KUBELET_LEAST_TIMEOUT_MS = 120_000;
/** The kubelet's own end comes first: it leaves less to be settled. */
const GIVE_UP_AFTER_MS = 30_000;
/** Archives are named by the second, and one of the same second is overwritten (measured). A little more, as it is the kubelet's clock. */
const BETWEEN_CALLS_MS = 1_100;
const THAW_TIMEOUT_MS = 60_000;
const THAW_POLL_MS = 100;

const Taken = z.object({ items: z.array(z.string()).min(1) });
const OciConfig = z.object({ annotations: z.record(z.string(), z.string()).nullish() });

export class KubeletRuntime implements ContainerRuntime {
  readonly name = 'kubelet';
  readonly #options: KubeletRuntimeOptions;
  readonly #processes: ContainerProcesses;
  /** What the last failed checkpoint said of all others too. */
  #learned: RuntimeObstacle | null = null;
  /** Of the last call for each container, monotonic. */
  readonly #calledAtMs = new Map<string, number>();

  constructor(options: KubeletRuntimeOptions) {
    this.#options = options;
    this.#processes = createContainerProcesses(options.procRoot, options.clock);
  }

  /** Never rejects for a kubelet that cannot be used: that is an obstacle, as the pods are known without it. */
  async probe(): Promise<RuntimeProbe> {
    const obstacle = (await this.#obstacle()) ?? this.#learned;
    return {
      runtime: this.name,
      // Neither is told to those who may only ask for checkpoints.
      version: 'kubelet://unknown',
      ociRuntime: null,
      ociRuntimeCommand: null,
      obstacles: obstacle === null ? [] : [obstacle],
    };
  }

  list(): Promise<readonly RuntimeContainer[]> {
    return this.#describe(podContainers(this.#options.nodePods.pods()));
  }

  /** Names are those of containers in their pods: one that several containers have means the one that runs, or nobody. */
  async find(idOrName: string): Promise<RuntimeContainer | null> {
    const all = await this.list();
    const exact = all.find(({ id }) => id === idOrName);
    if (exact !== undefined) return exact;
    const named = all.filter(({ name }) => name === idOrName);
    if (named.length > 0)
      return onlyOne(named.length > 1 ? named.filter(({ state }) => state === 'Running') : named);
    return idOrName === '' ? null : onlyOne(all.filter(({ id }) => id.startsWith(idOrName)));
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    this.#options.nodePods.watch(onChange, signal);
  }

  /** The archive is where the kubelet keeps them, under a name of the kubelet's making. */
  async checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const { clock } = this.#options;
    const { container, timeoutMs } = call;
    this.#requireCurrent(container);
    const path = checkpointPath(call);
    await this.#keepDistance(container.id);
    const startedMs = clock.monotonicMs();
    const window = { startedAtMs: clock.now(), endedAtMs: 0 };
    const answer = await this.#ask(path, timeoutMs);
    const late = clock.monotonicMs() - startedMs > timeoutMs;
    if (!(answer instanceof Error) && answer.status === 200)
      return await this.#taken(answer, late, timeoutMs);
    await this.#untilGoing(container, answer);
    const timedOut = late || saysTimedOut(answer);
    const message = wordsOf(answer);
    const dumpLog = await this.#dumpLog(container, message, { ...window, endedAtMs: clock.now() });
    const ending = dumpLog === null && (await this.#hasEnded(container)) ? `\n${endedText(container)}` : '';
    throw new RuntimeCheckpointError(`${message}${ending}`, { timedOut, dumpLog });
  }

  /** Between the end of the process and the runtime's notice of it, a call fails with whatever the runtime stumbles over (measured). */
  async #hasEnded({ pid }: RuntimeContainer): Promise<boolean> {
    return pid !== null && (await processStart(this.#options.procRoot, pid)) === null;
  }

  async #obstacle(): Promise<RuntimeObstacle | null> {
    try {
      return probeObstacle(await this.#post(NOBODY, ANSWER_TIMEOUT_MS));
    } catch (error) {
      if (error instanceof RuntimeUnavailable) return unreachableObstacle(error);
      if (error instanceof KubeletBrokeOff) return unreachableObstacle(new RuntimeUnavailable(error.message));
      throw error;
    }
  }

  /** Rejects with RuntimeUnavailable when nothing was asked. */
  async #ask(path: string, timeoutMs: number): Promise<KubeletAnswer | KubeletBrokeOff> {
    try {
      const giveUpMs = Math.max(timeoutMs, KUBELET_LEAST_TIMEOUT_MS) + GIVE_UP_AFTER_MS;
      const answer = await this.#post(path, giveUpMs);
      this.#learned = answer.status === 200 ? null : failureObstacle(answer);
      return answer;
    } catch (error) {
      if (error instanceof KubeletBrokeOff) return error;
      throw error;
    }
  }

  #post(path: string, giveUpMs: number): Promise<KubeletAnswer> {
    const { kubelet, hostRoot, clock } = this.#options;
    return postToKubelet(path, giveUpMs, { ...kubelet, hostRoot, clock });
  }

  /** The kubelet goes by names: the container may have been started anew since, and a pod of that name may be another one. */
  #requireCurrent({ id }: RuntimeContainer): void {
    if (podContainers(this.#options.nodePods.pods()).some((container) => container.id === id)) return;
    throw refused(`container ${id} does not exist in any pod of this node`, false);
  }

  async #keepDistance(id: string): Promise<void> {
    const { clock } = this.#options;
    const calledAtMs = this.#calledAtMs.get(id);
    if (calledAtMs !== undefined)
      await pause(clock, Math.max(0, calledAtMs + BETWEEN_CALLS_MS - clock.monotonicMs()));
    const nowMs = clock.monotonicMs();
    for (const [other, atMs] of this.#calledAtMs)
      if (nowMs - atMs > BETWEEN_CALLS_MS) this.#calledAtMs.delete(other);
    this.#calledAtMs.set(id, nowMs);
  }

  /**
   * What the kubelet gave up may still be under way: measured, a container was frozen for 2 s after its call was broken off. Returns when CRIU has let it go
   * and it is thawed; after a minute all the same.
   */
  async #untilGoing(container: RuntimeContainer, answer: KubeletAnswer | Error): Promise<void> {
    const { hostRoot, procRoot, clock, log } = this.#options;
    const { id, pid } = container;
    // The runtime went away: nobody will thaw it.
    if (/code = Unavailable\b/.test(wordsOf(answer))) await resumeLeftPaused(container, this.#options);
    const giveUpAtMs = clock.monotonicMs() + THAW_TIMEOUT_MS;
    const isBusy = async (): Promise<boolean> =>
      (pid !== null && (await isTraced(procRoot, pid))) || (await isFrozen(hostRoot, id)) === true;
    while (await isBusy()) {
      if (clock.monotonicMs() > giveUpAtMs) {
        log.error('container still frozen after a failed checkpoint', { container: id });
        return;
      }
      await pause(clock, THAW_POLL_MS);
    }
  }

  async #taken({ body }: KubeletAnswer, late: boolean, timeoutMs: number): Promise<CheckpointArchive> {
    const [path] = Taken.safeParse(parseJson(body)).data?.items ?? [];
    if (path?.startsWith('/') !== true)
      throw refused(`kubelet answered 200, but named no archive: ${body.slice(0, 512)}`, late);
    const here = await pathOnHost(this.#options.hostRoot, path);
    try {
      if (late) await rm(here, { force: true });
      else {
        await chmod(here, 0o600);
        return { path, sizeBytes: (await stat(here)).size };
      }
    } catch (error) {
      throw refused(`the archive that the kubelet made: ${(error as Error).message}`, late);
    }
    throw refused(`no checkpoint within ${timeoutMs} ms`, late);
  }

  /** The shim of containerd says where its copy is; CRI-O keeps it beside the container. */
  async #dumpLog(
    { id }: RuntimeContainer,
    message: string,
    window: CallWindow,
  ): Promise<RuntimeCheckpointError['dumpLog']> {
    const { hostRoot } = this.#options;
    const ofShim = await readShimLog(message, window, hostRoot);
    if (ofShim !== null) return ofShim;
    const path = `/var/lib/containers/storage/overlay-containers/${id}/userdata/dump.log`;
    const text = await readFreshLog(await pathOnHost(hostRoot, path), window);
    return text === null ? null : { path, text };
  }

  async #describe(containers: readonly PodContainer[]): Promise<readonly RuntimeContainer[]> {
    const pids = await this.#processes.initPids(containers.map(({ id }) => id));
    return await Promise.all(
      containers.map(async (container) => {
        const { id, name, labels } = container;
        const pid = pids.get(id) ?? null;
        return {
          runtime: this.name,
          id,
          name,
          state: pid === null ? 'Stopped' : 'Running',
          pid,
          labels,
          criuConfigAnnotation: await this.#criuConfigAnnotation(container),
        } as const;
      }),
    );
  }

  /** Most runtimes keep a pod's annotation to themselves: what the container was made with tells. null too where that cannot be read. */
  async #criuConfigAnnotation({ id, criuConfigOfPod }: PodContainer): Promise<string | null> {
    if (criuConfigOfPod === null) return null;
    const bundles = [
      `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}`,
      `/run/containers/storage/overlay-containers/${id}/userdata`,
    ];
    for (const bundle of bundles) {
      const file = await pathOnHost(this.#options.hostRoot, posix.join(bundle, 'config.json'));
      const text = await readFile(file, 'utf8').catch(() => null);
      if (text !== null)
        return OciConfig.safeParse(parseJson(text)).data?.annotations?.['org.criu.config'] ?? null;
    }
    return null;
  }
}

/** The labels that the CRI and this adapter give say whose container it is. */
function checkpointPath({ container: { labels, name }, timeoutMs }: CheckpointCall): string {
  const names = [
    labels['io.kubernetes.pod.namespace'] ?? 'default',
    labels['io.kubernetes.pod.name'] ?? '',
    labels['io.kubernetes.container.name'] ?? name,
  ];
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  return `/checkpoint/${names.map((part) => encodeURIComponent(part)).join('/')}?timeout=${seconds}`;
}

function endedText({ id }: RuntimeContainer): string {
  return `container ${id} is not running: its process has ended meanwhile`;
}

function wordsOf(answer: KubeletAnswer | Error): string {
  if (answer instanceof Error) return `kubelet broke off: ${answer.message}`;
  return `kubelet answered ${answer.status}: ${answer.body.trim()}`;
}

/** The kubelet's own time-out, which need not be ours. */
function saysTimedOut(answer: KubeletAnswer | Error): boolean {
  return answer instanceof Error
    ? answer.message.startsWith('no answer within')
    : answer.status === 500 && /rpc error: code = DeadlineExceeded /.test(answer.body);
}

function onlyOne<T>(items: readonly T[]): T | null {
  return items.length === 1 ? (items[0] ?? null) : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(message: string, timedOut: boolean): RuntimeCheckpointError {
  return new RuntimeCheckpointError(message, { timedOut, dumpLog: null });
}
