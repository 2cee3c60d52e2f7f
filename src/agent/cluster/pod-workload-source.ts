// The WorkloadSource of an agent in a cluster: the pods of its node as the API server shows them, with the processes that the container runtime knows.
import { podCounts, type PodView } from '../../api/core-views.ts';
import { podWorkload, type PodContainer, type PodWorkload } from '../../domain/policy/pod-workload.ts';
import { gatherContainers } from '../../node-engine/runtime-workloads.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import type { ContainerRuntime, RuntimeContainer } from '../../ports/container-runtime.ts';
import type { Log } from '../../ports/log.ts';
import type { Workload, WorkloadContainer, WorkloadSource } from '../../ports/workload-source.ts';
import { notReadYet } from './not-read-yet.ts';

export interface PodWorkloadParts {
  /** Of this node. */
  readonly pods: Reflector<PodView>;
  readonly runtimes: readonly ContainerRuntime[];
  readonly log: Log;
}

/** Rejects until the pods of the node were read once. A runtime that is silent costs the processes, not the pods: limits go by pods. */
export function createPodWorkloadSource({ pods, runtimes, log }: PodWorkloadParts): WorkloadSource {
  return {
    read: async () => {
      if (!pods.status().synced) throw notReadYet('the list of pods of this node', pods);
      const { containers, unavailable } = await gatherContainers(runtimes);
      if (containers.length === 0 && unavailable.size === runtimes.length)
        log.debug('no container runtime answers, processes are not known', { unavailable: [...unavailable] });
      const byId = new Map(containers.map((container) => [container.id, container]));
      return pods.store
        .values()
        .filter(podCounts)
        .map((pod) => withProcesses(podWorkload(pod), byId));
    },
    watch: (onChange, signal) => {
      signal.addEventListener('abort', pods.subscribe(onChange));
    },
  };
}

function withProcesses(workload: PodWorkload, byId: ReadonlyMap<string, RuntimeContainer>): Workload {
  return { ...workload, containers: workload.containers.map((container) => withProcess(container, byId)) };
}

function withProcess(
  container: PodContainer,
  byId: ReadonlyMap<string, RuntimeContainer>,
): WorkloadContainer {
  const running = container.id === null ? undefined : byId.get(container.id);
  return {
    ...container,
    pid: running?.pid ?? null,
    ...(running !== undefined && { criuConfigAnnotation: running.criuConfigAnnotation }),
  };
}
