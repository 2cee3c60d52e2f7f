// The loops of CheckpointRequests: each request, the orders of each node, what pods ask for by annotation; and which change asks for which key.
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../api/kube-object.ts';
import type { RequestFacts } from '../domain/requests/request-facts.ts';
import { createController, keysFrom, type Controller, type KeySource } from '../machinery/controller.ts';
import type { Reflector } from '../machinery/reflector.ts';
import type { Change, StoreView } from '../machinery/store.ts';
import type { Clock } from '../ports/clock.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { MachineryMetrics } from '../ports/machinery-metrics.ts';
import type { CachedAgentPod, CachedNode, CachedReport, ClusterCaches } from './cluster-view.ts';
import type { EventRecorder } from './event-recorder.ts';
import { createNodeOrdersReconciler } from './node-orders-reconciler.ts';
import { createPolicyTurns } from './policy-turns.ts';
import { createRequestPositions } from './request-positions.ts';
import { createRequestReconciler } from './request-reconciler.ts';
import { createRequestTerms } from './request-terms.ts';
import { createRequestView } from './request-view.ts';
import type { SettingsView } from './settings-view.ts';
import { createTriggerReconciler } from './trigger-reconciler.ts';

/** Requests at a time: each waits for the API server some times. */
const REQUEST_WORKERS = 8;

/** After an outage of the API server people wait for their checkpoints. */
const RETRY = { lastMs: 30_000 };

export interface RequestLoopsParts {
  readonly kube: KubeApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MachineryMetrics;
  readonly settings: SettingsView;
  readonly caches: ClusterCaches;
  readonly events: EventRecorder;
}

export interface RequestReflectors {
  readonly configMap: Reflector<KubeObject>;
  readonly policies: Reflector<KubeObject>;
  readonly requests: Reflector<KubeObject>;
  readonly reports: Reflector<CachedReport>;
  readonly nodes: Reflector<CachedNode>;
  readonly agentPods: Reflector<CachedAgentPod>;
}

export function createRequestLoops(parts: RequestLoopsParts, reflectors: RequestReflectors): Controller[] {
  const view = createRequestView(reflectors);
  const terms = createRequestTerms();
  const shared = { ...parts, view, terms };
  const { requests, reports } = view;
  const synced = [reflectors.policies, reflectors.agentPods].map(onlySynced);
  const requestLoop = createController(parts, {
    name: 'requests',
    retry: RETRY,
    workers: REQUEST_WORKERS,
    reconcile: createRequestReconciler({ ...shared, positions: createRequestPositions(view) }),
    sources: [
      keysFrom(requests, ({ key }) => [key]),
      keysFrom(reports, (change) => touchedRequests(change, requests.store)),
      keysFrom(reflectors.nodes, ({ key, before, after }) =>
        before?.uid === after?.uid ? [] : requests.store.keysBy('node', key),
      ),
      keysFrom(reflectors.configMap, () => requests.store.keysBy('open', '')),
      ...synced,
    ],
  });
  const turns = createPolicyTurns(shared);
  const orders = createController(parts, {
    name: 'node-orders',
    retry: RETRY,
    reconcile: createNodeOrdersReconciler({ ...shared, turns }),
    sources: [
      keysFrom(reports, (change) => (isNewsForOrders(change) ? [change.key] : [])),
      keysFrom(requests, ({ before, after }) => [...nodesOf(before), ...nodesOf(after)]),
      keysFrom(reflectors.nodes, ({ key }) => [key]),
      keysFrom(reflectors.configMap, () => reports.store.keys()),
      ...turns.sources(reflectors.policies),
      ...synced,
    ],
  });
  const triggers = createController(parts, {
    name: 'triggers',
    retry: RETRY,
    reconcile: createTriggerReconciler(shared),
    sources: [
      keysFrom(reports, ({ key, before, after }) =>
        isDeepStrictEqual(before?.status?.triggers, after?.status?.triggers) ? [] : [key],
      ),
      keysFrom(reflectors.configMap, () => reports.store.keys()),
      onlySynced(requests),
    ],
  });
  return [requestLoop, orders, triggers];
}

function nodesOf(facts: RequestFacts | null): string[] {
  const nodeName = facts?.status.nodeName ?? '';
  return nodeName === '' ? [] : [nodeName];
}

/** The requests of which the node says, or is told, something else than before. */
function touchedRequests(
  { before, after }: Change<CachedReport>,
  requests: StoreView<RequestFacts>,
): string[] {
  const earlier = wordsOf(before);
  const now = wordsOf(after);
  const uids = new Set([...earlier.keys(), ...now.keys()]);
  return [...uids]
    .filter((uid) => !isDeepStrictEqual(earlier.get(uid), now.get(uid)))
    .flatMap((uid) => requests.keysBy('uid', uid));
}

/** By request: whether it is ordered or to be deleted, and what the node says of that. */
function wordsOf(report: CachedReport | null): ReadonlyMap<string, unknown> {
  const lists = [...listsOf(report?.spec), ...listsOf(report?.status)];
  const words = lists.flatMap((list, index) => list.map((item) => ({ index, item })));
  return Map.groupBy(words, ({ item }) => item.requestUID);
}

type OfRequests = readonly { readonly requestUID: string }[] | undefined;

function listsOf(
  part: { readonly orders?: OfRequests; readonly deletions?: OfRequests } | null | undefined,
): readonly NonNullable<OfRequests>[] {
  return [part?.orders ?? [], part?.deletions ?? []];
}

/** Most reports are about files and policies. */
function isNewsForOrders({ before, after }: Change<CachedReport>): boolean {
  if (before?.uid !== after?.uid || !isDeepStrictEqual(before?.spec, after?.spec)) return true;
  const part = (report: CachedReport | null) => [report?.status?.orders, report?.status?.triggers];
  return !isDeepStrictEqual(part(before), part(after));
}

/** Asks for nothing by itself, but has to be complete before the first reconcile. */
function onlySynced(source: Pick<Reflector<unknown>, 'whenSynced'>): KeySource {
  return { whenSynced: (signal) => source.whenSynced(signal), subscribe: () => () => undefined };
}
