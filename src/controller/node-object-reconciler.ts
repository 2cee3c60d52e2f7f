// Makes the CheckpointNode of each node: the place where its agent reports. One duty: that the object is there and goes with its Node.
import { apiVersionOf, type KubeObject } from '../api/kube-object.ts';
import { CHECKPOINT_NODES } from '../api/kube-resources.ts';
import type { Clock } from '../ports/clock.ts';
import { KubeApiError, type KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { CachedNode, ClusterCaches } from './cluster-view.ts';

export interface NodeObjectReconcilerParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Made again for the same Node at most so often, milliseconds: where our view of the Node is old, the garbage collector takes the object away at once
 * (its owner is gone), and neither side would ever rest.
 */
const REMAKE_MS = 5_000;

/** Reconciles the CheckpointNode of the node named `nodeName`. It is deleted with its Node by the garbage collector. */
export function createNodeObjectReconciler({ kube, caches, clock, log }: NodeObjectReconcilerParts) {
  const madeFor = new Map<string, { readonly uid: string; readonly atMs: number }>();
  return async (nodeName: string, signal: AbortSignal): Promise<{ readonly requeueAfterMs?: number }> => {
    const node = caches.nodes.get(nodeName);
    if (node === null) madeFor.delete(nodeName);
    if (node === null || node.uid === '') return {};
    const existing = caches.reports.get(nodeName);
    if (existing === null) {
      const made = madeFor.get(nodeName);
      const waitMs = made?.uid === node.uid ? made.atMs + REMAKE_MS - clock.monotonicMs() : 0;
      if (waitMs > 0) return { requeueAfterMs: waitMs };
      await createFor(node, kube, signal);
      madeFor.set(nodeName, { uid: node.uid, atMs: clock.monotonicMs() });
      log.info('checkpoint node made', { node: nodeName });
      return {};
    }
    if (existing.ownerUid === node.uid) return {};
    // A node of the same name came back as another one: what the old one reported means nothing any more.
    await kube.delete(CHECKPOINT_NODES, { name: nodeName }, { uid: existing.uid, signal });
    log.info('checkpoint node of an earlier node removed', { node: nodeName });
    return {};
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
