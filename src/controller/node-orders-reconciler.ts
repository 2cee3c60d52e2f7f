// Keeps what one node is ordered: CheckpointNode.spec, as planNodeOrders decides. One duty: that spec, written as a whole and only over what was read.
import { isDeepStrictEqual } from 'node:util';
import { NODE_ORDERS_MAX, type CheckpointNodeSpec, type NodeOrder } from '../api/checkpoint-node.ts';
import { apiVersionOf } from '../api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_REQUESTS } from '../api/kube-resources.ts';
import { CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import {
  asksForDeletion,
  isOrderable,
  keptOrders,
  planNodeOrders,
  withdrawnAtMs,
  type Moment,
} from '../domain/requests/plan-node-orders.ts';
import {
  orderOf,
  policyKeyOf,
  readRequestFacts,
  stageOf,
  type RequestFacts,
} from '../domain/requests/request-facts.ts';
import { rankWaiting } from '../domain/requests/request-queue.ts';
import { triggerRequestName } from '../domain/requests/trigger-request.ts';
import type { Clock } from '../ports/clock.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { CachedReport, ClusterCaches } from './cluster-view.ts';
import type { PolicyTurns } from './policy-turns.ts';
import type { RequestTerms } from './request-terms.ts';
import { CONFLICT_MS, writeBound, type RequestView } from './request-view.ts';

/** After a write of a node's orders the next waits so long for others like it, milliseconds; the first never waits. */
export const ORDERS_DEBOUNCE_MS = 50;
/** While requests wait for room; what makes room wakes the node at once, but for a deadline of another request that goes by. */
const WAITING_LOOK_MS = 30_000;

export interface NodeOrdersReconcilerParts {
  readonly kube: KubeApi;
  readonly view: RequestView;
  readonly caches: Pick<ClusterCaches, 'nodes'>;
  readonly turns: PolicyTurns;
  readonly terms: RequestTerms;
  readonly clock: Clock;
  readonly log: Log;
}

interface Requeue {
  readonly requeueAfterMs?: number;
}

interface Node {
  readonly report: CachedReport;
  readonly spec: CheckpointNodeSpec;
}

/** Reconciles the orders of the node named `nodeName`. One at a time: how many of a policy are ordered is counted over all nodes. */
export function createNodeOrdersReconciler(parts: NodeOrdersReconcilerParts) {
  const { clock, turns } = parts;
  const writtenAtMs = new Map<string, number>();
  return async (nodeName: string, signal: AbortSignal): Promise<Requeue> => {
    const node = nodeOf(nodeName, parts);
    const moment = turns.moment();
    if (node === null) writtenAtMs.delete(nodeName);
    if (node === null || moment === null) return {};
    const wanted = await plan(node, moment, parts, signal);
    if (wanted === null) return { requeueAfterMs: CONFLICT_MS };
    if (isDeepStrictEqual(wanted, node.spec)) return requeueFor(node, moment, parts);
    const waitMs = (writtenAtMs.get(nodeName) ?? -Infinity) + ORDERS_DEBOUNCE_MS - clock.monotonicMs();
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    if (!(await write(node, wanted, parts, signal))) return { requeueAfterMs: CONFLICT_MS };
    writtenAtMs.set(nodeName, clock.monotonicMs());
    return requeueFor({ ...node, spec: wanted }, moment, parts);
  };
}

/** null: there is no such object, it is of an earlier Node of the name and about to go, or it is not of its shape. */
function nodeOf(nodeName: string, { view, caches, log }: NodeOrdersReconcilerParts): Node | null {
  const report = view.reports.store.get(nodeName);
  const node = caches.nodes.get(nodeName);
  if (report === null || node === null || (report.ownerUid ?? node.uid) !== node.uid) return null;
  const { spec } = report;
  if (spec === null) log.error('orders of a node cannot be read, left alone', { node: nodeName });
  return spec === null ? null : { report, spec };
}

/** null: what it rests on changed while we asked. */
async function plan(
  { report, spec }: Node,
  moment: Moment,
  parts: NodeOrdersReconcilerParts,
  signal: AbortSignal,
): Promise<CheckpointNodeSpec | null> {
  const { requests, reports } = parts.view;
  const own = requests.store.by('node', report.nodeName);
  const byUid = new Map(own.map((facts) => [facts.uid, facts]));
  for (const order of spec.orders)
    if (!byUid.has(order.requestUID)) {
      const facts = await lookUp(order, parts, signal);
      if (facts !== null) byUid.set(facts.uid, facts);
    }
  const request = (uid: string): RequestFacts | null => byUid.get(uid) ?? null;
  const base = { spec, status: report.status, request, ...moment };
  const kept = keptOrders(base);
  const lost = own.filter((facts) => isLost(facts, report));
  const room = NODE_ORDERS_MAX - kept.length - lost.length;
  const next = nextRequests(report.nodeName, { kept, own, moment }, parts).slice(0, Math.max(0, room));
  const known = await checkAll([...lost, ...next], parts, signal);
  if (known === null || reports.store.get(report.nodeName) !== report) return null;
  const ordersOf = (some: readonly RequestFacts[]): NodeOrder[] =>
    some.flatMap((facts) => (known.has(facts.uid) ? (orderOf(facts) ?? []) : []));
  return planNodeOrders({
    ...base,
    lost: ordersOf(lost),
    next: ordersOf(next),
    deletions: own.filter(asksForDeletion).map(({ uid }) => uid),
    isHeard: (trigger) => requests.store.get(`${trigger.namespace}/${triggerRequestName(trigger)}`) !== null,
  });
}

/** The node works on it, and somebody has taken the order out of the spec. */
function isLost(facts: RequestFacts, { spec, status }: CachedReport): boolean {
  const stage = stageOf(facts);
  if (stage !== 'Running' && stage !== 'Waiting') return false;
  if (spec?.orders.some(({ requestUID }) => requestUID === facts.uid) === true) return false;
  const state = status?.orders?.find(({ requestUID }) => requestUID === facts.uid)?.state;
  return stage === 'Running' || state === 'Running' || state === 'Finished';
}

/** Of an order whose request does not show among those of the node: finished, not seen yet, or gone, which null says. */
async function lookUp(
  { requestUID, requestNamespace: namespace, requestName: name }: NodeOrder,
  { kube, view }: NodeOrdersReconcilerParts,
  signal: AbortSignal,
): Promise<RequestFacts | null> {
  const [known] = view.requests.store.by('uid', requestUID);
  if (known !== undefined) return known;
  const object = await kube.get(CHECKPOINT_REQUESTS, { namespace, name }, signal);
  return object === null || object.metadata.uid !== requestUID ? null : readRequestFacts(object);
}

interface Queue {
  readonly kept: readonly NodeOrder[];
  readonly own: readonly RequestFacts[];
  readonly moment: Moment;
}

/** Those of the node that may be ordered now, in their turns. */
function nextRequests(
  nodeName: string,
  { kept, own, moment }: Queue,
  { turns }: NodeOrdersReconcilerParts,
): RequestFacts[] {
  const held = new Set(kept.map(({ requestUID }) => requestUID));
  const waiting = own.filter((facts) => !held.has(facts.uid) && isOrderable(facts, moment));
  const policies = new Set(waiting.flatMap((facts) => policyKeyOf(facts) ?? []));
  const letIn = new Map([...policies].map((key) => [key, turns.letIn(key, moment, { nodeName, kept })]));
  const mayCome = waiting.filter((facts) => letIn.get(policyKeyOf(facts) ?? '')?.has(facts.uid) ?? true);
  return rankWaiting(
    mayCome,
    kept.map(({ requestNamespace }) => requestNamespace),
  );
}

/**
 * UIDs of those that are there, each as a read of the object has it: a cache may be behind the leader before, and what is finished must not be ordered
 * anew. null: one of them is not as the cache says; what it is was taken.
 */
async function checkAll(
  some: readonly RequestFacts[],
  { kube, view, terms }: NodeOrdersReconcilerParts,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | null> {
  const { sure } = terms.of(signal);
  const found = new Set<string>();
  for (const facts of some) {
    const { namespace, name, uid } = facts;
    const object = sure.has(uid) ? null : await kube.get(CHECKPOINT_REQUESTS, { namespace, name }, signal);
    if (object !== null) {
      view.requests.take(object);
      if (view.requests.store.get(`${namespace}/${name}`) !== facts) return null;
      sure.add(uid);
    }
    if (sure.has(uid)) found.add(uid);
  }
  return found;
}

async function write(
  { report, spec }: Node,
  wanted: CheckpointNodeSpec,
  { kube, view, log }: NodeOrdersReconcilerParts,
  signal: AbortSignal,
): Promise<boolean> {
  const { nodeName: name, uid } = report;
  const resourceVersion = view.reports.store.resourceVersionOf(name);
  // The UID: an object that is gone is not made again by this. The version: an order that the node has just begun with is not taken back.
  const metadata = { name, uid, ...(resourceVersion !== null && { resourceVersion }) };
  const object = {
    apiVersion: apiVersionOf(CHECKPOINT_NODES),
    kind: CHECKPOINT_NODES.kind,
    metadata,
    spec: wanted,
  };
  const options = { fieldManager: CONTROLLER_FIELD_MANAGER, force: true, signal };
  const isWritten = await writeBound(
    () => kube.apply(CHECKPOINT_NODES, object, options),
    { resource: CHECKPOINT_NODES, ref: { name }, view: view.reports },
    { kube, signal },
  );
  const counts = ({ orders, deletions, acknowledgedTriggers }: CheckpointNodeSpec): readonly number[] =>
    [orders, deletions, acknowledgedTriggers].map(({ length }) => length);
  if (isWritten) log.debug('orders written', { node: name, before: counts(spec), now: counts(wanted) });
  return isWritten;
}

/** Looked at again when the first order may have to be withdrawn, and while others wait for room. */
function requeueFor({ report, spec }: Node, moment: Moment, { view }: NodeOrdersReconcilerParts): Requeue {
  const own = view.requests.store.by('node', report.nodeName);
  const ordered = new Set(spec.orders.map(({ requestUID }) => requestUID));
  const waiting = own.filter((facts) => stageOf(facts) === 'Waiting');
  const isAnyBehind = waiting.some((facts) => !ordered.has(facts.uid) && isOrderable(facts, moment));
  const ends = waiting
    .filter(({ uid }) => ordered.has(uid))
    .map((facts) => withdrawnAtMs(facts) - moment.nowMs);
  const next = Math.min(...ends.filter((ms) => ms > 0), isAnyBehind ? WAITING_LOOK_MS : Infinity);
  return next === Infinity ? {} : { requeueAfterMs: next };
}
