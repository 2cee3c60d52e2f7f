// Containers of the engines of this host as workloads: labels stand for pod labels, container names for pod and container names; io.kubernetes.* labels count where present.
import {
  RuntimeUnavailable,
  type ContainerRuntime,
  type RuntimeContainer,
} from '../ports/container-runtime.ts';
import type { Workload, WorkloadSource } from '../ports/workload-source.ts';
import type { Document } from './documents.ts';

const POD_NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';
const POD_NAME_LABEL = 'io.kubernetes.pod.name';
const POD_UID_LABEL = 'io.kubernetes.pod.uid';
const CONTAINER_NAME_LABEL = 'io.kubernetes.container.name';
const DEFAULT_NAMESPACE = 'default';

/**
 * The workloads of this host. Rejects with RuntimeUnavailable when a runtime that was here before does not answer: its containers may well go on
 * running (Docker's live-restore), so nobody may conclude that they are gone.
 */
export function createRuntimeWorkloadSource(
  runtimes: readonly ContainerRuntime[],
  known: Document<string[]>,
): WorkloadSource {
  return {
    read: async () => {
      const { containers, available, unavailable } = await gatherContainers(runtimes);
      const before = (await known.read()) ?? [];
      const missing = before.find((name) => unavailable.has(name));
      if (missing !== undefined)
        throw new RuntimeUnavailable(`${missing}: ${unavailable.get(missing) ?? ''}`);
      if (available.some((name) => !before.includes(name)))
        await known.write([...new Set([...before, ...available])].sort());
      return workloadsOf(containers);
    },
    watch: (onChange, signal) => {
      for (const runtime of runtimes) runtime.watch(onChange, signal);
    },
  };
}

export interface RuntimeListing {
  readonly containers: readonly RuntimeContainer[];
  /** Runtimes that answered. */
  readonly available: readonly string[];
  /** Runtimes that did not, with what they said. */
  readonly unavailable: ReadonlyMap<string, string>;
}

/** Asks every runtime; one that is not there does not hide the others. */
export async function gatherContainers(runtimes: readonly ContainerRuntime[]): Promise<RuntimeListing> {
  const unavailable = new Map<string, string>();
  const answers = await Promise.all(
    runtimes.map(async (runtime) => {
      try {
        return { name: runtime.name, containers: await runtime.list() };
      } catch (error) {
        if (!(error instanceof RuntimeUnavailable)) throw error;
        unavailable.set(runtime.name, error.message);
        return null;
      }
    }),
  );
  const present = answers.filter((answer) => answer !== null);
  return {
    containers: present.flatMap(({ containers }) => containers),
    available: present.map(({ name }) => name),
    unavailable,
  };
}

/** Pure: the running containers as workloads; containers of one Kubernetes pod make one workload. */
export function workloadsOf(containers: readonly RuntimeContainer[]): readonly Workload[] {
  const pods = new Map<string, Workload & { containers: Workload['containers'][number][] }>();
  for (const container of containers) {
    if (container.state !== 'Running' && container.state !== 'Paused') continue;
    const workload = workloadOf(container);
    const key = workload.podUID ?? `${container.runtime}/${container.id}`;
    const known = pods.get(key);
    if (known === undefined) pods.set(key, { ...workload, containers: [...workload.containers] });
    else known.containers.push(...workload.containers);
  }
  return [...pods.values()];
}

export function workloadOf({ labels, name, id, pid, criuConfigAnnotation }: RuntimeContainer): Workload {
  return {
    namespace: labels[POD_NAMESPACE_LABEL] ?? DEFAULT_NAMESPACE,
    podName: labels[POD_NAME_LABEL] ?? name,
    podUID: labels[POD_UID_LABEL] ?? null,
    labels,
    owner: null,
    containers: [
      { name: labels[CONTAINER_NAME_LABEL] ?? name, kind: 'Regular', id, pid, criuConfigAnnotation },
    ],
  };
}
