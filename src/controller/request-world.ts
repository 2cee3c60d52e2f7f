// Gathers what one request is judged by: its pod, its node, its order and what the node says of it. Reads only; asks the API server where a cache that is old would mislead.
import { viewPod } from '../api/core-views.ts';
import { CHECKPOINT_NODES, NODES, PODS } from '../api/kube-resources.ts';
import { giveUpAtMs, mayBeOverdueAtMs, type RequestWorld } from '../domain/requests/judge-request.ts';
import { hasCleanup, stageOf, type RequestFacts } from '../domain/requests/request-facts.ts';
import { podFacts, type NodeFacts, type PodFacts } from '../domain/requests/validate-request.ts';
import type { Clock } from '../ports/clock.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import { PROJECTIONS, type CachedReport, type ClusterCaches } from './cluster-view.ts';
import { AGENT_GRACE_MS } from './policy-nodes.ts';
import type { RequestView } from './request-view.ts';

/** All but what is counted at the moment of the judgement. */
export type GatheredWorld = Omit<
  RequestWorld,
  'nowMs' | 'paused' | 'removal' | 'waitingInNamespace' | 'position'
>;

export interface RequestWorldParts {
  readonly kube: KubeApi;
  readonly view: RequestView;
  readonly caches: Pick<ClusterCaches, 'nodes' | 'agentPods'>;
  readonly clock: Clock;
}

export type GatherRequestWorld = (
  facts: RequestFacts,
  removal: boolean,
  signal: AbortSignal,
) => Promise<GatheredWorld>;

export function createRequestWorld(parts: RequestWorldParts): GatherRequestWorld {
  const lastWords = rememberLastWords(parts.view);
  return async (facts, removal, signal) => {
    const pod = needsPod(facts, parts.clock) ? await getPod(facts, parts.kube, signal) : null;
    const name = (stageOf(facts) === 'New' ? pod?.nodeName : facts.status.nodeName) ?? '';
    const uid = await uidOfNode(name, facts, parts, signal);
    const report = await readReport(name, { isGone: uid === null, removal }, facts, { ...parts, signal });
    const said = report ?? (uid === null ? (lastWords.get(name) ?? null) : null);
    return { pod, node: nodeFacts(name, uid, said, parts), ...orderFacts(facts, said) };
  };
}

/** What a node said last, for the time that its object is gone with it. */
function rememberLastWords({ reports }: RequestView): ReadonlyMap<string, CachedReport> {
  const last = new Map<string, CachedReport>();
  reports.subscribe(({ key, before, after }) => {
    if (after !== null || before === null) last.delete(key);
    else if (last.size < REMEMBERED) last.set(key, before);
  });
  return last;
}

const REMEMBERED = 1000;

function needsPod(facts: RequestFacts, clock: Clock): boolean {
  if (stageOf(facts) === 'New') return !facts.deleting && facts.spec !== null;
  const isUnnamed = facts.spec?.containerNames === undefined;
  return stageOf(facts) === 'Running' && isUnnamed && clock.now() >= mayBeOverdueAtMs(facts);
}

async function getPod(
  { namespace, spec }: RequestFacts,
  kube: KubeApi,
  signal: AbortSignal,
): Promise<PodFacts | null> {
  const pod = await kube.get(PODS, { namespace, name: spec?.podName ?? '' }, signal);
  return pod === null ? null : podFacts(viewPod(pod));
}

/** null: there is no such Node. Asked for where the cache has none and something would end by that. */
async function uidOfNode(
  name: string,
  facts: RequestFacts,
  { kube, caches }: RequestWorldParts,
  signal: AbortSignal,
): Promise<string | null> {
  const cached = caches.nodes.get(name);
  if (cached !== null) return cached.uid;
  const isMatter = stageOf(facts) !== 'Finished' || (facts.deleting && hasCleanup(facts));
  if (name === '' || !isMatter) return null;
  return (await kube.get(NODES, { name }, signal))?.metadata.uid ?? null;
}

/** As it is now where a request is given up by it: the leader before may have ordered what our cache does not show yet. */
async function readReport(
  name: string,
  { isGone, removal }: { readonly isGone: boolean; readonly removal: boolean },
  facts: RequestFacts,
  { kube, view, clock, signal }: RequestWorldParts & { readonly signal: AbortSignal },
): Promise<CachedReport | null> {
  const cached = view.reports.store.get(name);
  const stage = stageOf(facts);
  const isOver = isGone || facts.deleting || removal || clock.now() >= giveUpAtMs(facts);
  const inDoubt = stage === 'Waiting' ? isOver : stage === 'Running' && isGone;
  if (name === '' || !inDoubt) return cached;
  const object = await kube.get(CHECKPOINT_NODES, { name }, signal);
  if (object === null) return null;
  view.reports.take(object);
  return PROJECTIONS.reports(object);
}

function nodeFacts(
  name: string,
  uid: string | null,
  report: CachedReport | null,
  { caches, clock }: RequestWorldParts,
): NodeFacts {
  const nowMs = clock.now();
  const agents = caches.agentPods.by('node', name);
  return {
    name,
    exists: uid !== null,
    reported: report !== null && report.status !== null && (report.ownerUid ?? uid) === uid,
    // One that was just started anew, or is being replaced, is as good as there.
    agentLive: agents.some(({ ready, sinceMs }) => ready || nowMs - sinceMs < AGENT_GRACE_MS),
  };
}

function orderFacts(
  { uid }: RequestFacts,
  report: CachedReport | null,
): Pick<RequestWorld, 'ordered' | 'report' | 'deletion'> {
  const spec = report?.spec;
  const status = report?.status;
  const isDeletion = find(uid, spec?.deletions) !== null;
  return {
    ordered: find(uid, spec?.orders) !== null,
    report: find(uid, status?.orders),
    deletion: isDeletion ? (find(uid, status?.deletions)?.state ?? null) : null,
  };
}

function find<T extends { readonly requestUID: string }>(
  uid: string,
  list: readonly T[] | undefined,
): T | null {
  return list?.find(({ requestUID }) => requestUID === uid) ?? null;
}
