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
  const queues = new Map<string, Queue>();
  requests.subscribe(({ before, after }) => {
    if (placeOf(before) === placeOf(after)) return;
    for (const facts of [before, after]) queues.delete(facts?.status.nodeName ?? '');
  });
  reports.subscribe(({ key }) => queues.delete(key));
  const queueOf = (nodeName: string): Queue => {
    const known = queues.get(nodeName);
    if (known !== undefined) return known;
    const made = waitingQueue(nodeName, requests.store, reports.store.get(nodeName));
    queues.set(nodeName, made);
    return made;
  };
  return {
    of: (facts, nodeName) => {
      const { ordered, others, namespaces } = queueOf(nodeName);
      const isSame = ({ uid }: RequestFacts): boolean => uid === facts.uid;
      const index = [...ordered, ...others].findIndex(isSame);
      if (index >= 0) return index + 1;
      return ordered.length + rankWaiting([...others, facts], namespaces).findIndex(isSame) + 1;
    },
  };
}

/** Those that wait for one node. */
interface Queue {
  /** In the order of the node's list. */
  readonly ordered: readonly RequestFacts[];
  /** In their turns, after all that are ordered. */
  readonly others: readonly RequestFacts[];
  /** Of each order of the node, started ones too. */
  readonly namespaces: readonly string[];
}

function placeOf(facts: RequestFacts | null): string {
  return facts === null || stageOf(facts) !== 'Waiting' ? '' : `${facts.uid} ${facts.status.nodeName ?? ''}`;
}

function waitingQueue(
  nodeName: string,
  requests: StoreView<RequestFacts>,
  report: CachedReport | null,
): Queue {
  const waiting = requests.by('node', nodeName).filter((facts) => stageOf(facts) === 'Waiting');
  const byUid = new Map(waiting.map((facts) => [facts.uid, facts]));
  const orders = report?.spec?.orders ?? [];
  const ordered = orders.flatMap(({ requestUID }) => byUid.get(requestUID) ?? []);
  for (const { uid } of ordered) byUid.delete(uid);
  const namespaces = orders.map(({ requestNamespace }) => requestNamespace);
  return { ordered, others: rankWaiting([...byUid.values()], namespaces), namespaces };
}
