// The adapters that only orders need, for an agent on a node of a cluster.
import { createHostCheckpointArchives } from '../../adapters/archives/host-checkpoint-archives.ts';
import { isFrozen } from '../../adapters/runtimes/frozen-containers.ts';
import type { OrderGround } from './cluster-orders.ts';

/** `hostRoot`: `/`, or where the host's root is mounted. */
export function orderGround(hostRoot: string): OrderGround {
  return {
    archives: createHostCheckpointArchives({ hostRoot }),
    isFrozen: (containerId) => isFrozen(hostRoot, containerId),
  };
}
