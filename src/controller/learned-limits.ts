// What the plan says that nodes learned of auto targets. Takes a node's word only for targets with a pod that the API server shows there, and inside the target's bounds.
import type { PlanPolicy, PlanTarget } from '../api/checkpoint-plan.ts';
import { podCounts, viewPod } from '../api/core-views.ts';
import { PODS } from '../api/kube-resources.ts';
import { foldLearned } from '../domain/plan/learned-limits.ts';
import { PLAN_NAMES } from '../domain/plan/plan-shards.ts';
import { printLabelSelector } from '../domain/policy/label-selector-text.ts';
import { matchingContainers } from '../domain/policy/match-workload.ts';
import { podWorkload } from '../domain/policy/pod-workload.ts';
import { targetKey } from '../domain/policy/resolve.ts';
import type { Clock } from '../ports/clock.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { ClusterCaches } from './cluster-view.ts';

/** A plan follows what nodes learn at most so often, milliseconds: every agent reads every plan. */
export const LEARN_PERIOD_MS = 60_000;

export interface LearnedLimits {
  /** Bytes by targetKey; what the plans said at the start, then what was folded. */
  current(): ReadonlyMap<string, number>;
  /** Looks at the reports of all nodes for the policies of one plan; true when the plan should be written anew. */
  fold(planName: string, signal: AbortSignal): Promise<boolean>;
}

export interface LearnedLimitsParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly clock: Clock;
}

export function createLearnedLimits(parts: LearnedLimitsParts): LearnedLimits {
  const lowerSinceMs = new Map<string, number>();
  let learned: Map<string, number> | null = null;
  const current = (): Map<string, number> => (learned ??= learnedInPlans(parts.caches));
  return {
    current,
    fold: async (planName, signal) => {
      let changed = false;
      for (const policy of parts.caches.plans.get(planName)?.policies ?? [])
        for (const target of policy.targets)
          changed =
            (await foldTarget(policy, target, { parts, learned: current(), lowerSinceMs, signal })) ||
            changed;
      return changed;
    },
  };
}

function learnedInPlans({ plans }: ClusterCaches): Map<string, number> {
  const learned = new Map<string, number>();
  for (const policy of PLAN_NAMES.flatMap((name) => plans.get(name)?.policies ?? []))
    for (const { name, auto } of policy.targets)
      if (auto?.learnedLimitBytes !== undefined) learned.set(targetKey(policy, name), auto.learnedLimitBytes);
  return learned;
}

interface Folding {
  readonly parts: LearnedLimitsParts;
  readonly learned: Map<string, number>;
  readonly lowerSinceMs: Map<string, number>;
  readonly signal: AbortSignal;
}

async function foldTarget(policy: PlanPolicy, target: PlanTarget, folding: Folding): Promise<boolean> {
  const { auto } = target;
  if (auto === undefined) return false;
  const { parts, learned, lowerSinceMs } = folding;
  const key = targetKey(policy, target.name);
  const now = parts.clock.monotonicMs();
  const currentBytes = learned.get(key) ?? null;
  const { minimumBytes, maximumBytes, headroomPercent } = auto;
  const fold = (requiredBytes: number, lowerForMs: number): number | null =>
    foldLearned({
      auto: { minimumBytes, maximumBytes, headroomPercent },
      requiredBytes,
      currentBytes,
      lowerForMs,
    });
  const claims = claimsOf(policy, target, parts.caches);
  const requiredBytes = await believed(claims, currentBytes, { policy, target, folding, fold });
  // As if nothing had to be held: is less asked for than the plan says?
  const isLower = (fold(requiredBytes, Infinity) ?? 0) < (currentBytes ?? 0);
  if (!isLower) lowerSinceMs.delete(key);
  else if (!lowerSinceMs.has(key)) lowerSinceMs.set(key, now);
  const wanted = fold(requiredBytes, now - (lowerSinceMs.get(key) ?? now));
  if (wanted === currentBytes) return false;
  if (wanted === null) learned.delete(key);
  else learned.set(key, wanted);
  return true;
}

interface Claim {
  readonly nodeName: string;
  readonly requiredBytes: number;
}

/** What nodes say that the target's containers hold, the largest first. */
function claimsOf(policy: PlanPolicy, { name }: PlanTarget, { reports }: ClusterCaches): Claim[] {
  return reports
    .by('policy', `${policy.namespace}/${policy.name}`)
    .flatMap(({ nodeName, status }) =>
      (status?.policies ?? [])
        .filter((report) => report.namespace === policy.namespace && report.name === policy.name)
        .flatMap(({ targets }) => targets)
        .filter((target) => target.name === name && target.requiredBytes > 0)
        .map(({ requiredBytes }) => ({ nodeName, requiredBytes })),
    )
    .sort((one, other) => other.requiredBytes - one.requiredBytes);
}

/** The largest claim that may count: one that would lift the limit only from a node that has such a pod. */
async function believed(
  claims: readonly Claim[],
  currentBytes: number | null,
  {
    policy,
    target,
    folding,
    fold,
  }: {
    readonly policy: PlanPolicy;
    readonly target: PlanTarget;
    readonly folding: Folding;
    readonly fold: (requiredBytes: number, lowerForMs: number) => number | null;
  },
): Promise<number> {
  for (const { nodeName, requiredBytes } of claims) {
    const lifts = (fold(requiredBytes, 0) ?? 0) > (currentBytes ?? 0);
    if (!lifts || (await hasPod(policy, target, nodeName, folding))) return requiredBytes;
  }
  return 0;
}

async function hasPod(
  { namespace }: PlanPolicy,
  target: PlanTarget,
  nodeName: string,
  { parts, signal }: Folding,
): Promise<boolean> {
  const labelSelector = target.selector === undefined ? '' : printLabelSelector(target.selector);
  const { items } = await parts.kube.list(PODS, {
    namespace,
    fieldSelector: `spec.nodeName=${nodeName}`,
    ...(labelSelector !== '' && { labelSelector }),
    resourceVersion: '0',
    signal,
  });
  return items
    .map(viewPod)
    .some((pod) => podCounts(pod) && matchingContainers(target, namespace, podWorkload(pod)).length > 0);
}
