// What one node is to be ordered: checkpoints to take, archives to delete, triggers that were heard. Pure. An order stays until its result was taken over or it was withdrawn.
import {
  NODE_DELETIONS_MAX,
  NODE_ORDERS_MAX,
  NODE_TRIGGERS_MAX,
  type CheckpointNodeSpec,
  type CheckpointNodeStatus,
  type NodeOrder,
  type NodeTrigger,
  type OrderReport,
} from '../../api/checkpoint-node.ts';
import {
  hasCleanup,
  lacksCleanup,
  stageOf,
  startDeadlineMs,
  wasStarted,
  WITHDRAW_GRACE_MS,
  type RequestFacts,
} from './request-facts.ts';

export interface Moment {
  readonly nowMs: number;
  /** Nothing may be started: paused, or everything is taken back. */
  readonly halted: boolean;
}

export interface NodeOrdersInput extends Moment {
  /** As the API server has it. */
  readonly spec: CheckpointNodeSpec;
  readonly status: Pick<CheckpointNodeStatus, 'orders' | 'triggers'> | null;
  /** The request of a UID; null: there is none any more. */
  readonly request: (uid: string) => RequestFacts | null;
  /** Orders that the node works on though the spec has lost them. */
  readonly lost: readonly NodeOrder[];
  /** Orders that may come now, the next one first. */
  readonly next: readonly NodeOrder[];
  /** UIDs of requests whose archives are to go, the oldest first. */
  readonly deletions: readonly string[];
  /** There is a request for the trigger. */
  readonly isHeard: (trigger: NodeTrigger) => boolean;
}

export function planNodeOrders(input: NodeOrdersInput): CheckpointNodeSpec {
  const all = [...keptOrders(input), ...input.lost, ...input.next];
  // Of several of one request the first counts, and its place.
  const once = new Map(all.toReversed().map((order) => [order.requestUID, order]));
  const uids = new Set(all.map(({ requestUID }) => requestUID));
  const orders = [...uids].flatMap((uid) => once.get(uid) ?? []).slice(0, NODE_ORDERS_MAX);
  return { orders, deletions: plannedDeletions(input, orders), acknowledgedTriggers: acknowledged(input) };
}

/** The orders of the spec that stay in it. */
export function keptOrders({
  spec,
  status,
  request,
  ...moment
}: Omit<NodeOrdersInput, 'lost' | 'next' | 'deletions' | 'isHeard'>): NodeOrder[] {
  const states = new Map(status?.orders?.map(({ requestUID, state }) => [requestUID, state]));
  return spec.orders.filter(({ requestUID }) =>
    isKept(request(requestUID), states.get(requestUID) ?? null, moment),
  );
}

function isKept(facts: RequestFacts | null, state: OrderReport['state'] | null, moment: Moment): boolean {
  // Nobody asks any more: a checkpoint that runs comes to its end, and is seen to.
  if (facts === null) return state === 'Running';
  const stage = stageOf(facts);
  if (stage === 'Finished') return false;
  if (stage === 'Running' || state === 'Running' || state === 'Finished') return true;
  return !facts.deleting && !moment.halted && moment.nowMs < withdrawnAtMs(facts);
}

/** When an order that was not started is taken back. */
export function withdrawnAtMs(facts: RequestFacts): number {
  return startDeadlineMs(facts) + WITHDRAW_GRACE_MS;
}

/** It waits, and may be ordered now. */
export function isOrderable(facts: RequestFacts, { nowMs, halted }: Moment): boolean {
  if (halted || facts.deleting || stageOf(facts) !== 'Waiting') return false;
  return !lacksCleanup(facts) && nowMs < startDeadlineMs(facts);
}

/** Its archives are to be deleted on its node. */
export function asksForDeletion(facts: RequestFacts): boolean {
  if (!facts.deleting || stageOf(facts) !== 'Finished' || !wasStarted(facts)) return false;
  return hasCleanup(facts) && facts.spec?.archivePolicy === 'Delete';
}

/** Those that stand there keep their place as long as they are asked for. */
function plannedDeletions(
  { spec, deletions }: NodeOrdersInput,
  orders: readonly NodeOrder[],
): CheckpointNodeSpec['deletions'] {
  const busy = new Set(orders.map(({ requestUID }) => requestUID));
  const wanted = new Set(deletions.filter((uid) => !busy.has(uid)));
  const kept = spec.deletions.filter(({ requestUID }) => wanted.delete(requestUID));
  return [...kept, ...[...wanted].map((requestUID) => ({ requestUID }))].slice(0, NODE_DELETIONS_MAX);
}

/** An acknowledgement stays until the node no longer reports the trigger. */
function acknowledged({
  spec,
  status,
  isHeard,
}: NodeOrdersInput): CheckpointNodeSpec['acknowledgedTriggers'] {
  if (status === null) return spec.acknowledgedTriggers;
  const before = new Set(spec.acknowledgedTriggers.map(triggerKey));
  return (status.triggers ?? [])
    .filter((trigger) => before.has(triggerKey(trigger)) || isHeard(trigger))
    .map(({ podUID, tokenHash }) => ({ podUID, tokenHash }))
    .slice(0, NODE_TRIGGERS_MAX);
}

export function triggerKey({ podUID, tokenHash }: Pick<NodeTrigger, 'podUID' | 'tokenHash'>): string {
  return `${podUID} ${tokenHash}`;
}
