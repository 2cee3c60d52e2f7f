// Keeps the status of one policy, its finalizer, and tells its user by events. One duty: what CheckpointPolicy says of itself.
import { isDeepStrictEqual } from 'node:util';
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { readCheckpointPolicyStatus, type CheckpointPolicyStatus } from '../api/checkpoint-policy.ts';
import { apiVersionOf, parseObjectKey, type KubeObject } from '../api/kube-object.ts';
import { CHECKPOINT_POLICIES } from '../api/kube-resources.ts';
import { CLEANUP_FINALIZER, CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import { isReasonCode } from '../api/reasons.ts';
import type { PolicyVerdict } from '../domain/plan/plan-namespace.ts';
import { planNameOf } from '../domain/plan/plan-shards.ts';
import { decideCleanup, type CleanupDecision, type HoldingNode } from '../domain/rollup/policy-cleanup.ts';
import { rollUpPolicy, withoutSchedule, type PolicyNode } from '../domain/rollup/policy-status.ts';
import type { Clock } from '../ports/clock.ts';
import type { Cron } from '../ports/cron.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import { policyCandidate, type ClusterCaches } from './cluster-view.ts';
import type { EventRecorder } from './event-recorder.ts';
import type { LearnedLimits } from './learned-limits.ts';
import { planOf } from './plan-reconciler.ts';
import { SILENT_RELIST_MS, type PolicyNodes } from './policy-nodes.ts';
import type { SettingsView } from './settings-view.ts';
import type { StatusBudget } from './status-budget.ts';

/** While nodes are still to answer, or a deletion waits, it is looked at again so often, milliseconds; changes wake it at once. */
const LOOK_AGAIN_MS = 5_000;

export interface PolicyReconcilerParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly settings: SettingsView;
  readonly learned: LearnedLimits;
  readonly cron: Pick<Cron, 'isTimeZone'>;
  readonly nodes: PolicyNodes;
  readonly budget: StatusBudget;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Requeue {
  readonly requeueAfterMs?: number;
}

export function createPolicyReconciler(parts: PolicyReconcilerParts) {
  const deletingSinceMs = new Map<string, number>();
  return async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const policy = parts.caches.policies.get(key);
    const settings = parts.settings.current();
    if (policy === null) {
      deletingSinceMs.delete(key);
      parts.nodes.forget(key);
      parts.budget.forget(key);
      return {};
    }
    if (settings === null) return {};
    const isDeleting = policy.metadata.deletionTimestamp !== undefined;
    if (isDeleting && !deletingSinceMs.has(key)) deletingSinceMs.set(key, parts.clock.monotonicMs());
    const since = deletingSinceMs.get(key);
    const decision = decideCleanup({
      deletingForMs: isDeleting && since !== undefined ? parts.clock.monotonicMs() - since : null,
      hasFinalizer: policy.metadata.finalizers?.includes(CLEANUP_FINALIZER) === true,
      planned: isPlanned(policy, parts.caches),
      holding: holdingNodes(key, parts.caches),
      removal: settings.removal,
    });
    await carryOut(decision, policy, parts, signal);
    if (isDeleting) return decision.kind === 'Wait' ? { requeueAfterMs: LOOK_AGAIN_MS } : {};
    return keepStatus(key, policy, parts, signal);
  };
}

function isPlanned({ metadata }: KubeObject, caches: ClusterCaches): boolean {
  return plannedIn(metadata.namespace ?? '', caches).some(({ uid }) => uid === metadata.uid);
}

function plannedIn(namespace: string, { plans }: ClusterCaches): readonly PlanPolicy[] {
  return plans.get(planNameOf(namespace))?.policies ?? [];
}

function holdingNodes(key: string, { reports, nodes }: ClusterCaches): HoldingNode[] {
  return reports.by('policy', key).map(({ nodeName }) => ({
    nodeName,
    ready: nodes.get(nodeName)?.ready === true,
  }));
}

async function carryOut(
  decision: CleanupDecision,
  policy: KubeObject,
  { kube, events, log }: PolicyReconcilerParts,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = '', finalizers = [] } = policy.metadata;
  switch (decision.kind) {
    case 'Nothing':
    case 'Wait':
      return;
    case 'AddFinalizer':
      await writeFinalizers(policy, [...finalizers, CLEANUP_FINALIZER], kube, signal);
      return;
    case 'DropFinalizer': {
      const others = finalizers.filter((finalizer) => finalizer !== CLEANUP_FINALIZER);
      if (decision.left.length > 0) {
        const note = `deleted; nodes that have not answered take their lines back later: ${decision.left.slice(0, 10).join(', ')}`;
        await events.emit(policy, { type: 'Warning', reason: 'AgentMissing', action: 'Remove', note });
      }
      await writeFinalizers(policy, others, kube, signal);
      log.info('policy released', { namespace, policy: name, left: decision.left });
    }
  }
}

/** With the resourceVersion that was read: somebody else's finalizer that came in between is not lost, the write is refused and tried again. */
async function writeFinalizers(
  { metadata }: KubeObject,
  finalizers: readonly string[],
  kube: KubeApi,
  signal: AbortSignal,
): Promise<void> {
  const { namespace = '', name, resourceVersion } = metadata;
  await kube.mergePatch(
    CHECKPOINT_POLICIES,
    { namespace, name },
    { metadata: { finalizers, resourceVersion } },
    { fieldManager: CONTROLLER_FIELD_MANAGER, signal },
  );
}

async function keepStatus(
  key: string,
  policy: KubeObject,
  parts: PolicyReconcilerParts,
  signal: AbortSignal,
): Promise<Requeue> {
  const earlier = withoutSchedule(readCheckpointPolicyStatus(policy));
  const { status, nodes } = await gatherStatus(key, policy, { parts, earlier, signal });
  const requeue = requeueFor(status, nodes);
  if (isDeepStrictEqual(earlier, status)) return requeue;
  const waitMs = parts.budget.take(key);
  if (waitMs > 0) return { requeueAfterMs: waitMs };
  const { name, namespace = '' } = policy.metadata;
  await parts.kube.apply(
    CHECKPOINT_POLICIES,
    {
      apiVersion: apiVersionOf(CHECKPOINT_POLICIES),
      kind: CHECKPOINT_POLICIES.kind,
      metadata: { name, namespace },
      status,
    },
    { fieldManager: CONTROLLER_FIELD_MANAGER, force: true, subresource: 'status', signal },
  );
  await tell(policy, earlier, status, parts.events);
  return requeue;
}

function requeueFor(
  { conditions, nodes: { failing } }: CheckpointPolicyStatus,
  nodes: readonly PolicyNode[],
): Requeue {
  const isSettled = conditions.every(({ type }) => type !== 'Reconciling') && failing === 0;
  if (!isSettled) return { requeueAfterMs: LOOK_AGAIN_MS };
  const isGuessed = nodes.some(({ ready, report }) => !ready && report === null);
  // Its pod may be taken away without a word of the node.
  return isGuessed ? { requeueAfterMs: SILENT_RELIST_MS } : {};
}

async function gatherStatus(
  key: string,
  policy: KubeObject,
  {
    parts,
    earlier,
    signal,
  }: {
    readonly parts: PolicyReconcilerParts;
    readonly earlier: CheckpointPolicyStatus | null;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly status: CheckpointPolicyStatus; readonly nodes: readonly PolicyNode[] }> {
  const { namespace = '' } = parseObjectKey(key);
  const candidate = policyCandidate(policy);
  const { verdicts } = planOf(namespace, parts);
  const isTakenBack = parts.settings.current()?.removal === true;
  const verdict = isTakenBack ? TAKEN_BACK : (verdicts.get(candidate.uid) ?? NOT_JUDGED);
  const nodes = await parts.nodes.gather(key, verdict.planned, signal);
  const status = rollUpPolicy({
    policy: {
      namespace,
      name: candidate.name,
      generation: policy.metadata.generation ?? 0,
      mode: candidate.parsed.ok ? candidate.parsed.policy.spec.mode : 'Enforce',
    },
    verdict,
    planWritten: isWritten(verdict, candidate.uid, plannedIn(namespace, parts.caches)),
    nodes,
    earlier,
    at: new Date(parts.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
  });
  return { status, nodes };
}

/** Only where the policy vanished from the cache in between; the next event says more. */
const NOT_JUDGED: PolicyVerdict = {
  accepted: true,
  reason: 'Accepted',
  message: 'being looked at',
  planned: null,
};

/** Of every policy as long as the setting stands. */
const TAKEN_BACK: PolicyVerdict = {
  accepted: false,
  reason: 'TakenBack',
  message:
    'removal: true: the operator takes its lines back on every node; set it to false to have the policy in force again',
  planned: null,
};

function isWritten({ planned }: PolicyVerdict, policyUid: string, inPlan: readonly PlanPolicy[]): boolean {
  const written = inPlan.find(({ uid }) => uid === policyUid) ?? null;
  return isDeepStrictEqual(written, planned);
}

/** Events when Ready turns or says another reason, and for problems of nodes that were not there before. */
async function tell(
  policy: KubeObject,
  earlier: CheckpointPolicyStatus | null,
  status: CheckpointPolicyStatus,
  events: EventRecorder,
): Promise<void> {
  await tellReady(policy, earlier, status, events);
  const known = new Set(earlier?.problems.map(({ nodeName, reason }) => `${nodeName} ${reason}`));
  for (const { nodeName, reason, message } of status.problems) {
    if (known.has(`${nodeName} ${reason}`) || !isReasonCode(reason)) continue;
    const note = `node ${nodeName}: ${message}`;
    await events.emit(policy, { type: 'Warning', reason, action: 'Reconcile', note });
  }
}

async function tellReady(
  policy: KubeObject,
  earlier: CheckpointPolicyStatus | null,
  status: CheckpointPolicyStatus,
  events: EventRecorder,
): Promise<void> {
  const isOfReady = ({ type }: { readonly type: string }): boolean => type === 'Ready';
  const ready = status.conditions.find(isOfReady);
  const before = earlier?.conditions.find(isOfReady);
  if (ready === undefined || ready.reason === before?.reason || !isReasonCode(ready.reason)) return;
  const type = ready.status === 'False' && ready.reason !== 'RollingOut' ? 'Warning' : 'Normal';
  await events.emit(policy, { type, reason: ready.reason, action: 'Reconcile', note: ready.message });
}
