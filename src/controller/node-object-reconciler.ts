// Makes the CheckpointNode of each node: the place where its agent reports. One duty: that the object is there and goes with its Node.
import { apiVersionOf, type KubeObject } from '../api/kube-object.ts';
import { CHECKPOINT_NODES } from '../api/kube-resources.ts';
import { KubeApiError, type KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { CachedNode, ClusterCaches } from './cluster-view.ts';

export interface NodeObjectReconcilerParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly log: Log;
}

/** Reconciles the CheckpointNode of the node named `nodeName`. It is deleted with its Node by the garbage collector. */
export function createNodeObjectReconciler({ kube, caches, log }: NodeObjectReconcilerParts) {
  return async (nodeName: string, signal: AbortSignal): Promise<void> => {
    const node = caches.nodes.get(nodeName);
    if (node === null || node.uid === '') return;
    const existing = caches.reports.get(nodeName);
    if (existing === null) {
      await createFor(node, kube, signal);
      log.info('checkpoint node made', { node: nodeName });
      return;
    }
    if (existing.ownerUid === node.uid) return;
    // A node of the same name came back as another one: what the old one reported means nothing any more.
    await kube.delete(CHECKPOINT_NODES, { name: nodeName }, { uid: existing.uid, signal });
    log.info('checkpoint node of an earlier node removed', { node: nodeName });
  };
}

async function createFor(node: CachedNode, kube: KubeApi, signal: AbortSignal): Promise<void> {
  try {
    await kube.create(CHECKPOINT_NODES, checkpointNodeFor(node), signal);
  } catch (error) {
    if (error instanceof KubeApiError && error.reason === 'AlreadyExists') return;
    throw error;
  }
}

export function checkpointNodeFor({ name, uid }: Pick<CachedNode, 'name' | 'uid'>): KubeObject {
  return {
    apiVersion: apiVersionOf(CHECKPOINT_NODES),
    kind: CHECKPOINT_NODES.kind,
    metadata: {
      name,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid, blockOwnerDeletion: false }],
    },
    spec: { orders: [], deletions: [] },
  };
}
