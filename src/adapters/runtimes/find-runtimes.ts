// Finds the container engines of this host, for `--runtime auto`.
import type { Clock } from '../../ports/clock.ts';
import { RUNTIME_NAMES } from '../../ports/container-runtime.ts';
import type {
  ContainerRuntime,
  HostRuntimeName,
  RuntimeName,
  RuntimeProbe,
} from '../../ports/container-runtime.ts';
import type { Log } from '../../ports/log.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { CriRuntime } from './cri-runtime.ts';
import { DockerRuntime } from './docker-runtime.ts';
import { pathOnHost } from './path-on-host.ts';
import { PodmanRuntime } from './podman-runtime.ts';
import { DEFAULT_RUNC_ROOTS, RuncRuntime } from './runc-runtime.ts';

export interface FindRuntimesOptions {
  readonly runner: ProcessRunner;
  readonly hostRoot: string;
  readonly procRoot: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Sockets on the host. */
  readonly dockerSocket: string;
  readonly podmanSocket: string;
  readonly criSocket: string;
  readonly runcRoots: readonly string[];
}

export const DEFAULT_DOCKER_SOCKET = '/run/docker.sock';
export const DEFAULT_PODMAN_SOCKET = '/run/podman/podman.sock';
export const DEFAULT_CRI_SOCKET = '/run/containerd/containerd.sock';

export interface FoundRuntimes {
  /** Those that answered, with what they said; the one to prefer first. Containers of engines never show under runc. */
  readonly present: readonly { readonly runtime: ContainerRuntime; readonly probe: RuntimeProbe }[];
  readonly absent: readonly { readonly runtime: RuntimeName; readonly why: string }[];
}

/** Makes the adapter of one engine, without asking whether it is there. */
export async function makeRuntime(
  name: HostRuntimeName,
  options: FindRuntimesOptions,
): Promise<ContainerRuntime> {
  const { runner, hostRoot, procRoot, clock, log, runcRoots } = options;
  const host = { hostRoot, procRoot, clock, log };
  const socket = (path: string): Promise<string> => pathOnHost(hostRoot, path);
  switch (name) {
    case 'docker':
      return new DockerRuntime({ ...host, socketPath: await socket(options.dockerSocket) });
    case 'podman':
      return new PodmanRuntime({ ...host, runner, socketPath: await socket(options.podmanSocket) });
    case 'containerd':
      return new CriRuntime({ ...host, runner, socketPath: await socket(options.criSocket) });
    case 'runc':
      return new RuncRuntime({
        ...host,
        runner,
        roots: runcRoots.length === 0 ? DEFAULT_RUNC_ROOTS : runcRoots,
      });
  }
}

/** Asks every engine known here. Never rejects for an engine that is not there. */
export async function findRuntimes(options: FindRuntimesOptions): Promise<FoundRuntimes> {
  const present: FoundRuntimes['present'][number][] = [];
  const absent: FoundRuntimes['absent'][number][] = [];
  for (const name of RUNTIME_NAMES) {
    const runtime = await makeRuntime(name, options);
    try {
      present.push({ runtime, probe: await runtime.probe() });
    } catch (error) {
      absent.push({ runtime: name, why: error instanceof Error ? error.message : String(error) });
    }
  }
  return { present, absent };
}
