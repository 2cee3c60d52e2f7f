// The containers of pods as the API server shows them, in the words of a container runtime. Pure: it knows no processes.
import type { PodView } from '../../api/core-views.ts';

export interface PodContainer {
  readonly id: string;
  /** Of the runtime that made it: "containerd", "cri-o". */
  readonly engine: string;
  readonly name: string;
  readonly namespace: string;
  readonly podName: string;
  /** As the CRI gives them: those of the pod, and the kubelet's own. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of the pod: org.criu.config; null: it has none. Whether the container got it is up to the configuration of the runtime. */
  readonly criuConfigOfPod: string | null;
}

/** Those that were created, whether they run or not, by id; a pod's containers keep their order. */
export function podContainers(pods: readonly PodView[]): readonly PodContainer[] {
  return pods.flatMap(({ metadata, status }) =>
    [
      ...status.initContainerStatuses,
      ...status.containerStatuses,
      ...status.ephemeralContainerStatuses,
    ].flatMap(({ name, containerID }) => {
      // "containerd://<id>", or nothing while it is not created.
      const [engine, id] = containerID.split('://');
      if (engine === undefined || id === undefined || id === '') return [];
      const own = {
        'io.kubernetes.pod.name': metadata.name,
        'io.kubernetes.pod.namespace': metadata.namespace,
        'io.kubernetes.pod.uid': metadata.uid,
        'io.kubernetes.container.name': name,
      };
      return [
        {
          id,
          engine,
          name,
          namespace: metadata.namespace,
          podName: metadata.name,
          labels: { ...metadata.labels, ...own },
          criuConfigOfPod: metadata.annotations['org.criu.config'] ?? null,
        },
      ];
    }),
  );
}
