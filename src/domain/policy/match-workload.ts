// Which workloads and containers a target means. Pure.
import type { LabelSelector, LabelSelectorRequirement } from '../../api/label-selector.ts';
import type { PlanTarget } from '../../api/checkpoint-plan.ts';
import type { WorkloadRef } from '../../api/checkpoint-policy.ts';

/** What matching looks at; ports/workload-source.ts Workload has this shape. */
export interface MatchableWorkload<C extends MatchableContainer = MatchableContainer> {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: { readonly apiGroup: string; readonly kind: string; readonly name: string } | null;
  readonly containers: readonly C[];
}
export interface MatchableContainer {
  readonly name: string;
  readonly kind: 'Regular' | 'Sidecar' | 'Init' | 'Ephemeral';
}

/** metav1.LabelSelector: all terms must hold; an empty selector matches everything. */
export function matchesSelector(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((requirement) => holds(requirement, labels))
  );
}

function holds(
  { key, operator, values = [] }: LabelSelectorRequirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

const DEFAULT_GROUP: Readonly<Record<WorkloadRef['kind'], string>> = {
  Deployment: 'apps',
  StatefulSet: 'apps',
  DaemonSet: 'apps',
  ReplicaSet: 'apps',
  Job: 'batch',
  CronJob: 'batch',
};

/**
 * Agents see only pods, so a Deployment is known by its ReplicaSet's name and the pod's template hash, a CronJob by its Job's name
 * (design: Deployment = ReplicaSet `<name>-<pod-template-hash>`, CronJob = Job `<name>-<digits>`); others by the controlling owner itself.
 */
export function matchesWorkloadRef(
  ref: WorkloadRef,
  workload: Pick<MatchableWorkload, 'owner' | 'labels'>,
): boolean {
  const { owner } = workload;
  if (owner === null || owner.apiGroup !== (ref.apiGroup ?? DEFAULT_GROUP[ref.kind])) return false;
  switch (ref.kind) {
    case 'Deployment':
      return (
        owner.kind === 'ReplicaSet' &&
        owner.name === `${ref.name}-${workload.labels['pod-template-hash'] ?? ''}`
      );
    case 'CronJob':
      return owner.kind === 'Job' && /^-\d+$/.test(suffixOf(owner.name, ref.name));
    default:
      return owner.kind === ref.kind && owner.name === ref.name;
  }
}

/** What follows `prefix` in `name`; empty when it does not begin so. */
function suffixOf(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : '';
}

/** The containers of `workload` that `target` of a policy in `namespace` means; empty: it does not match. */
export function matchingContainers<C extends MatchableContainer>(
  target: PlanTarget,
  namespace: string,
  workload: MatchableWorkload<C>,
): readonly C[] {
  if (workload.namespace !== namespace || !isMeant(target, workload)) return [];
  const { containerNames } = target;
  // Init and ephemeral containers only by name: they are gone or foreign by the time that anybody checkpoints.
  if (containerNames !== undefined)
    return workload.containers.filter(({ name }) => containerNames.includes(name));
  return workload.containers.filter(({ kind }) => kind === 'Regular' || kind === 'Sidecar');
}

function isMeant(target: PlanTarget, workload: Pick<MatchableWorkload, 'labels' | 'owner'>): boolean {
  if (target.selector !== undefined) return matchesSelector(target.selector, workload.labels);
  return target.workloadRef !== undefined && matchesWorkloadRef(target.workloadRef, workload);
}
