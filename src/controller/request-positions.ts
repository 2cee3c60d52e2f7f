// How many are before each request on its node. Kept from one change of a queue to the next; reads only.
import type { StoreView } from '../machinery/store.ts';
import { rankWaiting } from '../domain/requests/request-queue.ts';
import { stageOf, type RequestFacts } from '../domain/requests/request-facts.ts';
import type { CachedReport } from './cluster-view.ts';
import type { RequestView } from './request-view.ts';

export interface RequestPositions {
  /** Of a request that waits on the node, or is about to: from 1. */
  of(facts: RequestFacts, nodeName: string): number;
}

export function createRequestPositions({ requests, reports }: RequestView): RequestPositions {
  const queues = new Map<string, readonly RequestFacts[]>();
  requests.subscribe(({ before, after }) => {
    if (placeOf(before) === placeOf(after)) return;
    for (const facts of [before, after]) queues.delete(facts?.status.nodeName ?? '');
  });
  reports.subscribe(({ key }) => queues.delete(key));
  const queueOf = (nodeName: string): readonly RequestFacts[] => {
    const known = queues.get(nodeName);
    if (known !== undefined) return known;
    const made = waitingQueue(nodeName, requests.store, reports.store.get(nodeName));
    queues.set(nodeName, made);
    return made;
  };
  return {
    of: (facts, nodeName) => {
      const queue = queueOf(nodeName);
      const index = queue.findIndex(({ uid }) => uid === facts.uid);
      if (index >= 0) return index + 1;
      const there = queue.filter(({ namespace }) => namespace === facts.namespace).length;
      // In its turn: after as many of each other namespace as its own has before it.
      const others = Map.groupBy(queue, ({ namespace }) => namespace);
      others.delete(facts.namespace);
      const before = [...others.values()].reduce((sum, own) => sum + Math.min(own.length, there + 1), 0);
      return there + before + 1;
    },
  };
}

function placeOf(facts: RequestFacts | null): string {
  return facts === null || stageOf(facts) !== 'Waiting' ? '' : `${facts.uid} ${facts.status.nodeName ?? ''}`;
}

/** Those that were ordered in the order of the node's list, then the others in their turns. */
function waitingQueue(
  nodeName: string,
  requests: StoreView<RequestFacts>,
  report: CachedReport | null,
): RequestFacts[] {
  const waiting = requests.by('node', nodeName).filter((facts) => stageOf(facts) === 'Waiting');
  const byUid = new Map(waiting.map((facts) => [facts.uid, facts]));
  const orders = report?.spec?.orders ?? [];
  const ordered = orders.flatMap(({ requestUID }) => byUid.get(requestUID) ?? []);
  for (const { uid } of ordered) byUid.delete(uid);
  const namespaces = orders.map(({ requestNamespace }) => requestNamespace);
  return [...ordered, ...rankWaiting([...byUid.values()], namespaces)];
}
