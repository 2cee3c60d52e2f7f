// A pod as the API server shows it → the workload that targets are matched against. Pure; the controller and the agent in a cluster share it.
import type { PodView } from '../../api/core-views.ts';
import type { MatchableContainer, MatchableWorkload } from './match-workload.ts';

export interface PodContainer extends MatchableContainer {
  /** The runtime's id, without its scheme; null: not created yet. */
  readonly id: string | null;
}

export interface PodWorkload extends MatchableWorkload<PodContainer> {
  readonly podName: string;
  readonly podUID: string;
}

export function podWorkload({ metadata, spec, status }: PodView): PodWorkload {
  const owner = metadata.ownerReferences.find(({ controller }) => controller);
  return {
    namespace: metadata.namespace,
    podName: metadata.name,
    podUID: metadata.uid,
    labels: metadata.labels,
    owner:
      owner === undefined
        ? null
        : { apiGroup: groupOf(owner.apiVersion), kind: owner.kind, name: owner.name },
    containers: [
      ...spec.containers.map(({ name }) => container(name, 'Regular', status.containerStatuses)),
      ...spec.initContainers.map(({ name, restartPolicy }) =>
        container(name, restartPolicy === 'Always' ? 'Sidecar' : 'Init', status.initContainerStatuses),
      ),
      ...spec.ephemeralContainers.map(({ name }) =>
        container(name, 'Ephemeral', status.ephemeralContainerStatuses),
      ),
    ],
  };
}

/** How long the container may stand still before its kubelet restarts it, seconds; null: it has no liveness probe. */
export function tolerablePauseSeconds({ spec }: PodView, containerName: string): number | null {
  const all = [...spec.containers, ...spec.initContainers, ...spec.ephemeralContainers];
  const probe = all.find(({ name }) => name === containerName)?.livenessProbe ?? null;
  return probe === null ? null : probe.periodSeconds * probe.failureThreshold;
}

type ContainerStatuses = PodView['status']['containerStatuses'];

function container(name: string, kind: PodContainer['kind'], statuses: ContainerStatuses): PodContainer {
  const containerID = statuses.find((status) => status.name === name)?.containerID ?? '';
  const id = containerID.replace(/^[^:]*:\/\//, '');
  return { name, kind, id: id === '' ? null : id };
}

/** "apps/v1" is the group apps, "v1" the core group. */
function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}
