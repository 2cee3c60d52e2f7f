// Which of a policy's requests may be ordered now, counted over all nodes, and which nodes have to hear of it. Reads caches only, writes nothing.
import { NODE_ORDERS_MAX, type NodeOrder } from '../api/checkpoint-node.ts';
import { readCheckpointPolicy } from '../api/checkpoint-policy.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { isOrderable, type Moment } from '../domain/requests/plan-node-orders.ts';
import { policyKeyOf, stageOf, type RequestFacts } from '../domain/requests/request-facts.ts';
import { letInByPolicy } from '../domain/requests/request-queue.ts';
import { keysFrom, type KeySource } from '../machinery/controller.ts';
import type { Reflector } from '../machinery/reflector.ts';
import type { Change } from '../machinery/store.ts';
import type { Clock } from '../ports/clock.ts';
import type { CachedReport, ClusterCaches } from './cluster-view.ts';
import type { RequestView } from './request-view.ts';
import type { SettingsView } from './settings-view.ts';

/** Where the policy says nothing of it. */
const DEFAULT_MAX_CONCURRENT = 5;

export interface PolicyTurnsParts {
  readonly view: RequestView;
  readonly caches: Pick<ClusterCaches, 'policies'>;
  readonly settings: SettingsView;
  readonly clock: Clock;
}

/** The node that asks goes by the orders that will stay with it. */
export interface AskingNode {
  readonly nodeName: string;
  readonly kept: readonly NodeOrder[];
}

export interface PolicyTurns {
  /** Now; null: the settings were not read yet. */
  moment(): Moment | null;
  /** UIDs of those that the policy lets in now. */
  letIn(policyKey: string, moment: Moment, asking?: AskingNode): ReadonlySet<string>;
  /** Keys of nodes whose turn may have come by a change of something else than the node. */
  sources(policies: Reflector<KubeObject>): readonly KeySource[];
}

export function createPolicyTurns(parts: PolicyTurnsParts): PolicyTurns {
  const { settings, clock, view } = parts;
  const { requests, reports } = view;
  const moment = (): Moment | null => {
    const current = settings.current();
    if (current === null) return null;
    return { nowMs: clock.now(), halted: current.checkpointsPaused || current.removal };
  };
  /** Only the nodes of those that are let in, not all that have some waiting: each that is woken counts the policy anew. */
  const nodesNext = (policyKeys: Iterable<string>): string[] => {
    const now = moment();
    if (now === null) return [];
    const uids = [...policyKeys].flatMap((key) => [...letInFor(key, now, null, parts)]);
    const next = uids.flatMap((uid) => requests.store.by('uid', uid));
    return [...new Set(next.map(({ status }) => status.nodeName ?? ''))];
  };
  return {
    moment,
    letIn: (policyKey, now, asking) => letInFor(policyKey, now, asking ?? null, parts),
    sources: (policies) => [
      keysFrom(policies, (change) => (isOtherSpec(change) ? nodesNext([change.key]) : [])),
      keysFrom(reports, (change) => nodesNext(policiesTouched(change, view))),
      keysFrom(requests, (change) => nodesNext(policyLeft(change))),
    ],
  };
}

function letInFor(
  policyKey: string,
  moment: Moment,
  asking: AskingNode | null,
  { view: { requests, reports }, caches }: PolicyTurnsParts,
): ReadonlySet<string> {
  const waiting = requests.store.by('policy', policyKey).filter((facts) => isOrderable(facts, moment));
  if (waiting.length === 0) return new Set();
  const ordersOf = (report: CachedReport | null): readonly NodeOrder[] =>
    asking !== null && report?.nodeName === asking.nodeName ? asking.kept : (report?.spec?.orders ?? []);
  const ordered = reports.store
    .by('orderedPolicy', policyKey)
    .flatMap((report) =>
      ordersOf(report).flatMap((order) =>
        policyOf(order) === policyKey ? [{ uid: order.requestUID, nodeName: report.nodeName }] : [],
      ),
    );
  const held = new Set(ordered.map(({ uid }) => uid));
  const hasRoom = (name: string): boolean => {
    const report = reports.store.get(name);
    return report !== null && ordersOf(report).length < NODE_ORDERS_MAX;
  };
  return letInByPolicy({
    waiting: waiting.flatMap((facts) => {
      const nodeName = facts.status.nodeName ?? '';
      return held.has(facts.uid) ? [] : [{ ...facts, nodeName, nodeHasRoom: hasRoom(nodeName) }];
    }),
    ordered: ordered.map(({ nodeName }) => nodeName),
    maxConcurrent: maxConcurrentOf(caches.policies.get(policyKey)),
  });
}

function maxConcurrentOf(policy: KubeObject | null): number {
  if (policy === null) return DEFAULT_MAX_CONCURRENT;
  const { apiVersion, kind, metadata, spec } = policy;
  const { name, namespace = '' } = metadata;
  const read = readCheckpointPolicy({ apiVersion, kind, metadata: { name, namespace }, spec });
  return (read.ok ? read.policy.spec.checkpoint?.maxConcurrent : undefined) ?? DEFAULT_MAX_CONCURRENT;
}

/** "namespace/policy"; null: it belongs to none. */
function policyOf({ requestNamespace, policyName }: NodeOrder): string | null {
  return policyName === undefined ? null : `${requestNamespace}/${policyName}`;
}

/** A new status is none of it. */
function isOtherSpec({ before, after }: Change<KubeObject>): boolean {
  const { uid, generation } = before?.metadata ?? {};
  return uid !== after?.metadata.uid || generation !== after?.metadata.generation;
}

/** Policies of which the node has fewer or more orders than before, and those of which requests wait there when it becomes full or is so no more. */
function policiesTouched(
  { key, before, after }: Change<CachedReport>,
  { requests }: RequestView,
): ReadonlySet<string> {
  // One that was not there takes places, and frees none.
  if (before === null) return new Set();
  const earlier = before.spec?.orders;
  const now = after?.spec?.orders;
  const uidsBefore = new Set(earlier?.map(({ requestUID }) => requestUID));
  const uidsNow = new Set(now?.map(({ requestUID }) => requestUID));
  const differing = [...(earlier ?? []), ...(now ?? [])].filter(
    ({ requestUID }) => uidsBefore.has(requestUID) !== uidsNow.has(requestUID),
  );
  const touched = differing.flatMap((order) => policyOf(order) ?? []);
  const isTurned = hasRoomFor(before) !== hasRoomFor(after);
  const behind = isTurned ? requests.store.by('node', key).flatMap((facts) => policyKeyOf(facts) ?? []) : [];
  return new Set([...touched, ...behind]);
}

function hasRoomFor(report: CachedReport | null): boolean {
  return report !== null && (report.spec?.orders.length ?? 0) < NODE_ORDERS_MAX;
}

/** The policy of a request that waits no more: whether or not it was ordered, its turn is free. */
function policyLeft({ before, after }: Change<RequestFacts>): string[] {
  if (before === null || !isWaiting(before) || (after !== null && isWaiting(after))) return [];
  const key = policyKeyOf(before);
  return key === null ? [] : [key];
}

function isWaiting(facts: RequestFacts): boolean {
  return stageOf(facts) === 'Waiting' && !facts.deleting;
}
