// The OrderSource of an agent in a cluster: the spec of its own CheckpointNode, as its watch shows it; and the pods of the node as orders look for them.
import { NodeOrderSchema, readCheckpointNodeSpec } from '../../api/checkpoint-node.ts';
import { podCounts, type PodView } from '../../api/core-views.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { readLeniently } from '../../api/lenient.ts';
import { podWorkload, tolerablePauseSeconds } from '../../domain/policy/pod-workload.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import type { Log } from '../../ports/log.ts';
import type { NodeOrders, OrderSource, PodDirectory } from '../../ports/order-source.ts';

export interface OwnOrderParts {
  readonly nodeName: string;
  /** The agent's own CheckpointNode. */
  readonly own: Reflector<KubeObject>;
  readonly log: Log;
}

/** Knows nothing before the object was read, and while there is none. */
export function createOwnOrderSource({ nodeName, own, log }: OwnOrderParts): OrderSource {
  let last: { readonly object: KubeObject; readonly orders: NodeOrders | null } | null = null;
  return {
    read: () => {
      const object = own.store.get(nodeName);
      if (object === null) return null;
      // The store gives the same object until it changes.
      if (last?.object !== object) last = { object, orders: readOrders(object, log) };
      return last.orders;
    },
    watch: (onChange, signal) => {
      signal.addEventListener('abort', own.subscribe(onChange));
    },
  };
}

/** An order of a shape that this version does not know does not stop the others; its deadline tells whoever asked. */
function readOrders(object: KubeObject, log: Log): NodeOrders | null {
  const whole = readCheckpointNodeSpec(object);
  if (whole !== null) return whole;
  const { orders, ...rest } = object['spec'] as { readonly orders?: unknown };
  const known = (Array.isArray(orders) ? orders : []).filter(
    (order) => readLeniently(NodeOrderSchema, order).ok,
  );
  log.warn('orders of an unknown shape, left out', { known: known.length });
  return readCheckpointNodeSpec({ ...object, spec: { ...rest, orders: known } });
}

/** Pods that count, with what orders ask of them. */
export function createPodDirectory(pods: Reflector<PodView>): PodDirectory {
  return {
    find: (namespace, podUID) => {
      if (!pods.status().synced) return 'Unread';
      const pod = pods.store
        .values()
        .find(({ metadata }) => metadata.uid === podUID && metadata.namespace === namespace);
      if (pod === undefined || !podCounts(pod)) return null;
      const workload = podWorkload(pod);
      return {
        ...workload,
        containers: workload.containers.map((container) => ({
          ...container,
          pid: null,
          tolerablePauseSeconds: tolerablePauseSeconds(pod, container.name),
        })),
      };
    },
    watch: (onChange, signal) => {
      signal.addEventListener('abort', pods.subscribe(onChange));
      // A node may have no pod at all, and then no change either.
      void pods.whenSynced(signal).then(onChange);
    },
  };
}
