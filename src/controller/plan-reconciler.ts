// Keeps the plan shards: what the policies of their namespaces compile to. One duty: CheckpointPlan.spec, written only when its content changes.
import { isDeepStrictEqual } from 'node:util';
import type { PlanNodeSettings, PlanPolicy } from '../api/checkpoint-plan.ts';
import { apiVersionOf } from '../api/kube-object.ts';
import { CHECKPOINT_PLANS } from '../api/kube-resources.ts';
import { CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import { planNamespace, type NamespacePlan } from '../domain/plan/plan-namespace.ts';
import { planNameOf, SETTINGS_PLAN_NAME } from '../domain/plan/plan-shards.ts';
import type { CompileSettings } from '../domain/policy/compile.ts';
import type { Cron } from '../ports/cron.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import { candidatesOf, type ClusterCaches } from './cluster-view.ts';
import type { LearnedLimits } from './learned-limits.ts';
import type { SettingsView } from './settings-view.ts';

export interface PlanReconcilerParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly settings: SettingsView;
  readonly learned: LearnedLimits;
  readonly cron: Pick<Cron, 'isTimeZone'>;
  readonly log: Log;
}

/** Reconciles the plan of the given name ("plan-00" to "plan-15"). */
export function createPlanReconciler(parts: PlanReconcilerParts) {
  return async (planName: string, signal: AbortSignal): Promise<void> => {
    const settings = parts.settings.current();
    if (settings === null) return;
    const existing = parts.caches.plans.get(planName);
    const policies = settings.removal ? [] : wantedPolicies(planName, parts);
    const nodeSettings = planName === SETTINGS_PLAN_NAME ? nodeSettingsOf(settings, parts.caches) : null;
    const before = { policies: existing?.policies ?? [], nodeSettings: existing?.nodeSettings ?? null };
    if (isDeepStrictEqual(before, { policies, nodeSettings })) return;
    await parts.kube.apply(
      CHECKPOINT_PLANS,
      {
        apiVersion: apiVersionOf(CHECKPOINT_PLANS),
        kind: CHECKPOINT_PLANS.kind,
        metadata: { name: planName },
        spec: { policies, ...(nodeSettings !== null && { nodeSettings }) },
      },
      { fieldManager: CONTROLLER_FIELD_MANAGER, force: true, signal },
    );
    parts.log.info('plan written', { plan: planName, policies: policies.length });
  };
}

/** Agents spread their reports over a hundredth of a second for each node; in powers of two, so that a node that comes or goes does not change the plan. */
function nodeSettingsOf(
  { baseGhostLimit, checkpointsPaused, removal }: OperatorSettings,
  { nodes }: Pick<ClusterCaches, 'nodes'>,
): PlanNodeSettings {
  const spreadSeconds = Math.min(600, Math.floor(2 ** Math.ceil(Math.log2(Math.max(1, nodes.size))) / 100));
  return {
    ...(baseGhostLimit !== null && !removal && { baseGhostLimitBytes: baseGhostLimit }),
    checkpointsPaused: checkpointsPaused || removal,
    reportSpreadSeconds: spreadSeconds,
  };
}

function wantedPolicies(planName: string, parts: PlanReconcilerParts): PlanPolicy[] {
  const policies = parts.caches.policies.by('plan', planName);
  const namespaces = new Set(policies.map(({ metadata }) => metadata.namespace ?? ''));
  return [...namespaces].sort().flatMap((namespace) => planOf(namespace, parts).policies);
}

/** What the policies of one namespace compile to now, with a verdict on each. The same for the plan and for the status. */
export function planOf(
  namespace: string,
  { caches, settings, learned, cron }: Pick<PlanReconcilerParts, 'caches' | 'settings' | 'learned' | 'cron'>,
): NamespacePlan {
  const earlier = caches.plans.get(planNameOf(namespace))?.policies ?? [];
  return planNamespace(candidatesOf(namespace, caches), {
    settings: compileSettings(settings, cron),
    earlier: earlier.filter((policy) => policy.namespace === namespace),
    learned: learned.current(),
  });
}

export function compileSettings(settings: SettingsView, cron: Pick<Cron, 'isTimeZone'>): CompileSettings {
  const current = settings.current();
  if (current === null) throw new Error('the settings were not read yet');
  const { maxGhostLimit, allowedCriuOptions, namespaces, minimumScheduleIntervalSeconds } = current;
  const schedules = { minimumIntervalSeconds: minimumScheduleIntervalSeconds, isTimeZone: cron.isTimeZone };
  return { maxGhostLimit, allowedCriuOptions, namespaces, ownersKnown: true, schedules };
}
