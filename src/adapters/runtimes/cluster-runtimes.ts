// The ways to the containers of a node of a cluster that the setting `backend` allows: the socket of its CRI runtime, the API of its kubelet.
import type { NodeSettings } from '../../api/settings.ts';
import type { ContainerRuntime } from '../../ports/container-runtime.ts';
import { requireCri } from './cri-presence.ts';
import { CriRuntime, type CriRuntimeOptions } from './cri-runtime.ts';
import { KubeletRuntime, type KubeletPlace, type NodePods } from './kubelet-runtime.ts';
import { createStandInRuntime } from './stand-in-runtime.ts';

export interface ClusterRuntimesOptions extends CriRuntimeOptions {
  readonly kubelet: KubeletPlace;
  readonly nodePods: NodePods;
}

const VERSION_CALL = '/runtime.v1.RuntimeService/Version';

/**
 * `auto`: by the CRI where its socket answers, else by the kubelet. Other engines are not asked in a cluster: a pod's containers are the CRI runtime's, and each
 * look at runc alone costs a process. What the CRI runtime refuses the kubelet would be refused too, as it asks the same one.
 */
export function createClusterRuntimes(
  backend: NodeSettings['backend'],
  options: ClusterRuntimesOptions,
): readonly ContainerRuntime[] {
  if (backend === 'cri') return [new CriRuntime(options)];
  const kubelet = new KubeletRuntime(options);
  if (backend === 'kubelet') return [kubelet];
  const isCriThere = (): Promise<boolean> =>
    requireCri(options.socketPath, VERSION_CALL).then(
      () => true,
      () => false,
    );
  return [new CriRuntime(options), createStandInRuntime(kubelet, isCriThere)];
}
