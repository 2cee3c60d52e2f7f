// The ports to what a cluster orders of a node, to the pods that are meant, and to who hears what came of it. Orders are data: nothing in them is ever opened or run.
import type { CheckpointNodeSpec, CheckpointNodeStatus, NodeOrder } from '../api/checkpoint-node.ts';
import type { Workload, WorkloadContainer } from './workload-source.ts';

/** Everything that is ordered of the node now. */
export type NodeOrders = Readonly<CheckpointNodeSpec>;

export interface OrderSource {
  /** null: it cannot be told. Then nothing is started, dropped or forgotten. */
  read(): NodeOrders | null;
  watch(onChange: () => void, signal: AbortSignal): void;
}

export interface OrderedContainer extends WorkloadContainer {
  /** How long it may stand still before its kubelet restarts it, seconds; null: nobody looks. */
  readonly tolerablePauseSeconds: number | null;
}

export interface OrderedPod extends Workload {
  readonly containers: readonly OrderedContainer[];
}

export interface PodDirectory {
  /** The pod of that namespace and UID on this node; null: there is none. Unread: the pods of the node were not read yet. */
  find(namespace: string, podUID: string): OrderedPod | null | 'Unread';
  watch(onChange: () => void, signal: AbortSignal): void;
}

/** The part of a node's report that orders make. */
export type OrderNews = Partial<
  Pick<CheckpointNodeStatus, 'orders' | 'deletions' | 'triggers' | 'storage' | 'problems'>
>;

export interface OrderReports {
  /** From now on every report says this; parts that are absent stay as they were. News are sent at once, and again until they are taken. What is no news costs nothing. */
  tell(news: OrderNews): void;
  /**
   * The same. Resolves when a report with it was taken, with the orders that stood in the spec at that moment, which may be newer than what is watched; null: it
   * had been taken before. Rejects when it takes longer than 10 s, which says nothing of what will come.
   */
  publish(news: OrderNews): Promise<readonly NodeOrder[] | null>;
}
