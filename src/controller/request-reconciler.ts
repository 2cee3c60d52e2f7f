// Keeps the status of one CheckpointRequest, its finalizer and its end, as judgeRequest decides. One duty: what CheckpointRequest says of itself.
import { isDeepStrictEqual } from 'node:util';
import type { CheckpointRequestStatus } from '../api/checkpoint-request.ts';
import { apiVersionOf } from '../api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../api/kube-resources.ts';
import { CLEANUP_FINALIZER, CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import { judgeRequest, POSITION_MS, type RequestDecision } from '../domain/requests/judge-request.ts';
import { stageOf, type RequestFacts } from '../domain/requests/request-facts.ts';
import type { Log } from '../ports/log.ts';
import { tellRequest, type RequestEventsParts } from './request-events.ts';
import type { RequestPositions } from './request-positions.ts';
import type { RequestTerms } from './request-terms.ts';
import { CONFLICT_MS, writeBound } from './request-view.ts';
import { createRequestWorld, type RequestWorldParts } from './request-world.ts';
import type { SettingsView } from './settings-view.ts';

export interface RequestReconcilerParts extends RequestWorldParts, Omit<RequestEventsParts, 'caches'> {
  readonly caches: RequestWorldParts['caches'] & RequestEventsParts['caches'];
  readonly settings: SettingsView;
  readonly positions: RequestPositions;
  readonly terms: RequestTerms;
  readonly log: Log;
}

interface Requeue {
  readonly requeueAfterMs?: number;
}

/** What one process remembers of requests between two looks; losing it costs a write. */
interface Memory {
  /** Requests that a worker is accepting now, with their namespaces. */
  readonly accepting: Map<string, string>;
  /** When a place in the queue was written, by request, monotonic milliseconds. */
  readonly positionAtMs: Map<string, number>;
}

/** Reconciles the request of the given key. */
export function createRequestReconciler(parts: RequestReconcilerParts) {
  const { requests } = parts.view;
  const gather = createRequestWorld(parts);
  const memory: Memory = { accepting: new Map(), positionAtMs: new Map() };
  return async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const facts = requests.store.get(key);
    const settings = parts.settings.current();
    if (facts === null) memory.positionAtMs.delete(key);
    if (facts === null || settings === null) return {};
    const { checkpointsPaused: paused, removal } = settings;
    const gathered = await gather(facts, removal, signal);
    // It changed while we asked, and is told once more.
    if (requests.store.get(key) !== facts) return {};
    const decision = judgeRequest(facts, {
      ...gathered,
      nowMs: parts.clock.now(),
      paused,
      removal,
      waitingInNamespace: waitingBeside(key, facts, parts, memory.accepting),
      position: parts.positions.of(facts, gathered.node.name),
    });
    return settle(key, facts, decision, { parts, memory, signal });
  };
}

/** Carries the decision out, but for what may wait. */
async function settle(
  key: string,
  facts: RequestFacts,
  decision: RequestDecision,
  turn: Turn & { readonly memory: Memory },
): Promise<Requeue> {
  const { accepting, positionAtMs } = turn.memory;
  const nowMs = turn.parts.clock.monotonicMs();
  const { status, lookAgainMs } = decision;
  const requeue = lookAgainMs === null ? {} : { requeueAfterMs: lookAgainMs };
  const waitMs = (positionAtMs.get(key) ?? -Infinity) + POSITION_MS - nowMs;
  const isEarly = waitMs > 0 && isPositionOnly(facts, decision);
  if (isEarly) return { requeueAfterMs: soonest(waitMs, lookAgainMs) };
  const isQueued = status?.queuePosition !== undefined;
  if (isQueued) accepting.set(key, facts.namespace);
  try {
    if (!(await carryOut(key, facts, decision, turn))) return { requeueAfterMs: CONFLICT_MS };
  } finally {
    accepting.delete(key);
  }
  if (!isQueued) positionAtMs.delete(key);
  else if (!isDeepStrictEqual(status, facts.status)) positionAtMs.set(key, nowMs);
  return requeue;
}

function soonest(waitMs: number, lookAgainMs: number | null): number {
  return lookAgainMs === null ? waitMs : Math.min(waitMs, lookAgainMs);
}

/** Those that wait in its namespace, with those that other workers are accepting now. */
function waitingBeside(
  key: string,
  { namespace }: RequestFacts,
  { view }: RequestReconcilerParts,
  accepting: ReadonlyMap<string, string>,
): number {
  const queued = view.requests.store.keysBy('queue', namespace);
  const known = new Set(queued);
  const more = [...accepting].filter(([other, where]) => where === namespace && !known.has(other));
  return queued.length + more.length - (known.has(key) || accepting.has(key) ? 1 : 0);
}

/** Only the place in the queue is news, which may wait: a queue of a thousand must not be written anew whenever its head is done. */
function isPositionOnly({ status }: RequestFacts, { status: wanted, finalizer }: RequestDecision): boolean {
  if (wanted === null || finalizer !== 'Keep' || isDeepStrictEqual(wanted, status)) return false;
  return isDeepStrictEqual(withoutPosition(wanted), withoutPosition(status));
}

function withoutPosition({ queuePosition: _position, summary: _summary, ...rest }: CheckpointRequestStatus) {
  return rest;
}

interface Turn {
  readonly parts: RequestReconcilerParts;
  readonly signal: AbortSignal;
}

/** False: the object was changed meanwhile, and nothing more was done. */
async function carryOut(
  key: string,
  facts: RequestFacts,
  { status, finalizer, remove }: RequestDecision,
  turn: Turn,
): Promise<boolean> {
  const { kube, view, log } = turn.parts;
  const { namespace, name, uid } = facts;
  if (finalizer === 'Add' && !(await writeFinalizers(key, facts, 'Add', turn))) return false;
  if (status !== null && !(await keepStatus(key, facts, status, turn))) return false;
  const now = view.requests.store.get(key);
  const isDropped = finalizer === 'Drop' && now?.uid === uid;
  if (isDropped && !(await writeFinalizers(key, now, 'Drop', turn))) return false;
  if (!remove) return true;
  await kube.delete(CHECKPOINT_REQUESTS, { namespace, name }, { uid, signal: turn.signal });
  log.info('checkpoint request removed', { namespace, request: name });
  return true;
}

async function keepStatus(
  key: string,
  facts: RequestFacts,
  status: CheckpointRequestStatus,
  turn: Turn,
): Promise<boolean> {
  if (isDeepStrictEqual(status, facts.status)) return true;
  const isWritten = await writeStatus(key, facts, status, turn);
  if (isWritten) await tellOf(facts, status, turn.parts);
  return isWritten;
}

async function tellOf(
  facts: RequestFacts,
  status: CheckpointRequestStatus,
  parts: RequestReconcilerParts,
): Promise<void> {
  const { namespace, name } = facts;
  if (stageOf({ status }) !== stageOf(facts))
    parts.log.info('checkpoint request', { namespace, request: name, state: status.summary });
  await tellRequest(facts, status, parts);
}

async function writeStatus(
  key: string,
  { namespace, name, uid }: RequestFacts,
  status: CheckpointRequestStatus,
  { parts: { kube, view, terms }, signal }: Turn,
): Promise<boolean> {
  const { apiVersion, kind } = REQUEST_TYPE;
  const metadata = { namespace, name, ...versionOf(key, view.requests) };
  const options = {
    fieldManager: CONTROLLER_FIELD_MANAGER,
    force: true,
    subresource: 'status',
    signal,
  } as const;
  const { sure } = terms.of(signal);
  // Before others hear of it: what this leader writes needs no second look.
  sure.add(uid);
  let isWritten = false;
  try {
    isWritten = await writeBound(
      () => kube.apply(CHECKPOINT_REQUESTS, { apiVersion, kind, metadata, status }, options),
      { resource: CHECKPOINT_REQUESTS, ref: { namespace, name }, view: view.requests },
      { kube, signal },
    );
    return isWritten;
  } finally {
    if (!isWritten || stageOf({ status }) === 'Finished') sure.delete(uid);
  }
}

const REQUEST_TYPE = { apiVersion: apiVersionOf(CHECKPOINT_REQUESTS), kind: CHECKPOINT_REQUESTS.kind };

/** With the resourceVersion that was read: somebody else's finalizer that came in between is not lost. */
async function writeFinalizers(
  key: string,
  { namespace, name, finalizers }: RequestFacts,
  change: 'Add' | 'Drop',
  { parts: { kube, view }, signal }: Turn,
): Promise<boolean> {
  const others = finalizers.filter((finalizer) => finalizer !== CLEANUP_FINALIZER);
  const wanted = change === 'Add' ? [...others, CLEANUP_FINALIZER] : others;
  const patch = { metadata: { finalizers: wanted, ...versionOf(key, view.requests) } };
  return writeBound(
    () =>
      kube.mergePatch(CHECKPOINT_REQUESTS, { namespace, name }, patch, {
        fieldManager: CONTROLLER_FIELD_MANAGER,
        signal,
      }),
    { resource: CHECKPOINT_REQUESTS, ref: { namespace, name }, view: view.requests },
    { kube, signal },
  );
}

function versionOf(
  key: string,
  { store }: RequestReconcilerParts['view']['requests'],
): { readonly resourceVersion?: string } {
  const resourceVersion = store.resourceVersionOf(key);
  return resourceVersion === null ? {} : { resourceVersion };
}
