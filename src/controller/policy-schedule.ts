// Whether the schedule of a policy counts now, and what it says. Reads caches only.
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import type { CheckpointPolicy } from '../api/checkpoint-policy.ts';
import type { KubeObject } from '../api/kube-object.ts';
import type { OperatorSettings } from '../api/settings.ts';
import { planNameOf } from '../domain/plan/plan-shards.ts';
import { compilePolicy } from '../domain/policy/compile.ts';
import { parseCronFields } from '../domain/schedule/cron-fields.ts';
import type { ScheduleSpec } from '../domain/schedule/schedule-refusal.ts';
import type { Cron, CronTimes } from '../ports/cron.ts';
import { policyCandidate, type ClusterCaches } from './cluster-view.ts';
import { compileSettings } from './plan-reconciler.ts';
import type { SettingsView } from './settings-view.ts';

export interface ActiveSchedule {
  readonly kind: 'On';
  /** No round starts; the one under way goes on. */
  readonly isSuspended: boolean;
  readonly spec: ScheduleSpec;
  readonly times: CronTimes;
  readonly planned: PlanPolicy;
}

/** A schedule as it counts now. Off: there is none, and its round ends. Held: nothing is made until the obstacle is gone. */
export type Schedule = { readonly kind: 'Off' } | { readonly kind: 'Held' } | ActiveSchedule;

export interface ScheduleView {
  readonly caches: ClusterCaches;
  readonly settings: SettingsView;
  readonly cron: Cron;
}

/** null: the policy is being deleted, or the settings were not read yet. */
export function scheduleOf(policy: KubeObject, view: ScheduleView): Schedule | null {
  const settings = view.settings.current();
  if (settings === null || policy.metadata.deletionTimestamp !== undefined) return null;
  const { parsed } = policyCandidate(policy);
  if (!parsed.ok) return { kind: 'Held' };
  const spec = wantedSchedule(parsed.policy, settings);
  if (spec === null) return { kind: 'Off' };
  const planned = settings.checkpointsPaused ? null : plannedAsItIs(parsed.policy, view);
  const fields = parseCronFields(spec.schedule);
  if (planned === null || !fields.ok) return { kind: 'Held' };
  const times = view.cron.times(fields.fields, spec.timeZone ?? null);
  return { kind: 'On', isSuspended: spec.suspend, spec, times, planned };
}

function wantedSchedule({ spec }: CheckpointPolicy, { removal }: OperatorSettings): ScheduleSpec | null {
  return spec.mode === 'Audit' || removal ? null : (spec.checkpoint ?? null);
}

/** Accepted, and handed to the nodes as it is now: they go by the plan for limits and retention. null: not so. */
function plannedAsItIs(
  policy: CheckpointPolicy,
  { caches, settings, cron }: ScheduleView,
): PlanPolicy | null {
  if (!compilePolicy(policy, compileSettings(settings, cron)).ok) return null;
  const { namespace = '', uid, generation } = policy.metadata;
  const policies = caches.plans.get(planNameOf(namespace))?.policies ?? [];
  return policies.find((planned) => planned.uid === uid && planned.generation === generation) ?? null;
}
