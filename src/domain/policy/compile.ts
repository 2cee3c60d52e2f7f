// Policies → plan: validated, typed, in final units. Pure; the same function serves the controller and the standalone agent.
import type { CheckpointPolicy, PolicyRetention, PolicyTarget } from '../../api/checkpoint-policy.ts';
import type { PlanAutoLimit, PlanPolicy, PlanTarget } from '../../api/checkpoint-plan.ts';
import { parseQuantity, printQuantity } from '../../api/quantity.ts';
import {
  refuseSchedule,
  type ScheduleRefusal,
  type ScheduleRules,
  type ScheduleSpec,
} from '../schedule/schedule-refusal.ts';

export interface CompileSettings {
  readonly maxGhostLimit: number;
  readonly allowedCriuOptions: readonly string[];
  /** null: the policies of all namespaces count. */
  readonly namespaces: readonly string[] | null;
  /** Targets by workloadRef need pods with owners: false on a host without Kubernetes. */
  readonly ownersKnown: boolean;
  /** Absent: schedules are not served here, and not judged. */
  readonly schedules?: ScheduleRules;
}

export interface CompileRefusal {
  readonly reason:
    'LimitOverCap' | 'OptionNotAllowed' | 'InvalidPolicy' | 'NamespaceNotAllowed' | ScheduleRefusal['reason'];
  /** Names the field, the value and what to do. */
  readonly message: string;
}

export type CompileResult =
  | { readonly ok: true; readonly policy: PlanPolicy }
  | { readonly ok: false; readonly refusal: CompileRefusal };

const DEFAULT_NAMESPACE = 'default';

/**
 * Compiles one policy. A limit over the cap is refused, never lowered; so is an option that the settings do not list.
 * `policy` has passed parseCheckpointPolicy, so quantities parse.
 */
export function compilePolicy(policy: CheckpointPolicy, settings: CompileSettings): CompileResult {
  const { metadata, spec } = policy;
  const namespace = metadata.namespace ?? DEFAULT_NAMESPACE;
  const refusal = policyRefusal(namespace, spec, settings);
  if (refusal !== null) return { ok: false, refusal };
  return {
    ok: true,
    policy: {
      namespace,
      name: metadata.name,
      uid: metadata.uid ?? '',
      generation: metadata.generation ?? 0,
      mode: spec.mode,
      scope: spec.scope,
      options: spec.criuOptions ?? [],
      targets: spec.targets.map((target) => compileTarget(target, settings.maxGhostLimit)),
      ...compileRetention(spec.checkpoint?.retention),
    },
  };
}

/** The first thing that is not allowed; null: nothing. */
function policyRefusal(
  namespace: string,
  { criuOptions = [], targets, checkpoint }: CheckpointPolicy['spec'],
  settings: CompileSettings,
): CompileRefusal | null {
  return (
    namespaceRefusal(namespace, settings) ??
    optionRefusal(criuOptions, settings) ??
    firstTargetRefusal(targets, settings) ??
    scheduleRefusal(checkpoint, settings)
  );
}

/** Whether a policy that was compiled under other settings may still be in force under these. */
export function isStillAllowed(policy: PlanPolicy, settings: CompileSettings): boolean {
  const { maxGhostLimit } = settings;
  return (
    namespaceRefusal(policy.namespace, settings) === null &&
    optionRefusal(policy.options, settings) === null &&
    policy.targets.every(({ limitBytes, auto }) =>
      [limitBytes, auto?.minimumBytes, auto?.maximumBytes].every((bytes) => (bytes ?? 0) <= maxGhostLimit),
    )
  );
}

function namespaceRefusal(namespace: string, { namespaces }: CompileSettings): CompileRefusal | null {
  if (namespaces === null || namespaces.includes(namespace)) return null;
  const message = `metadata.namespace: "${namespace}" is not among the served namespaces (${namespaces.join(', ')}): use one of them, or add it to the setting namespaces`;
  return { reason: 'NamespaceNotAllowed', message };
}

function optionRefusal(
  options: readonly string[],
  { allowedCriuOptions }: CompileSettings,
): CompileRefusal | null {
  const index = options.findIndex((option) => !allowedCriuOptions.includes(option));
  const option = options[index];
  if (option !== undefined) {
    const allowed =
      allowedCriuOptions.length === 0 ? 'allows none' : `allows ${allowedCriuOptions.join(', ')}`;
    const message = `spec.criuOptions[${index}]: "${option}" is not allowed: the setting allowedCriuOptions ${allowed}; remove it, or have it allowed`;
    return { reason: 'OptionNotAllowed', message };
  }
  if (!options.includes('TcpEstablished') || !options.includes('TcpClose')) return null;
  const message = 'spec.criuOptions: "TcpEstablished" and "TcpClose" exclude each other: keep one of them';
  return { reason: 'InvalidPolicy', message };
}

function scheduleRefusal(
  spec: ScheduleSpec | undefined,
  { schedules }: CompileSettings,
): CompileRefusal | null {
  return spec === undefined || schedules === undefined ? null : refuseSchedule(spec, schedules);
}

function firstTargetRefusal(
  targets: readonly PolicyTarget[],
  settings: CompileSettings,
): CompileRefusal | null {
  for (const [index, target] of targets.entries()) {
    const refusal = targetRefusal(target, `spec.targets[${index}]`, settings);
    if (refusal !== null) return refusal;
  }
  return null;
}

function targetRefusal(
  target: PolicyTarget,
  field: string,
  settings: CompileSettings,
): CompileRefusal | null {
  if (target.workloadRef !== undefined && !settings.ownersKnown) {
    const message = `${field}.workloadRef: ${JSON.stringify(`${target.workloadRef.kind}/${target.workloadRef.name}`)} needs Kubernetes: use \`selector\` on a host without it`;
    return { reason: 'InvalidPolicy', message };
  }
  const { fixed, auto } = target.ghostLimit ?? {};
  const limits = { fixed, 'auto.minimum': auto?.minimum, 'auto.maximum': auto?.maximum };
  const over = Object.entries(limits).find(
    ([, value]) => value !== undefined && bytesOf(value) > settings.maxGhostLimit,
  );
  if (over === undefined) return null;
  const cap = printQuantity(settings.maxGhostLimit);
  const message = `${field}.ghostLimit.${over[0]}: ${JSON.stringify(over[1])} is over the cap ${cap} (setting maxGhostLimit): lower it, or have the cap raised`;
  return { reason: 'LimitOverCap', message };
}

function compileTarget(target: PolicyTarget, capBytes: number): PlanTarget {
  const { name, selector, workloadRef, containerNames, ghostLimit } = target;
  return {
    name,
    ...(selector !== undefined && { selector }),
    ...(workloadRef !== undefined && { workloadRef }),
    ...(containerNames !== undefined && { containerNames }),
    ...(ghostLimit?.fixed !== undefined && { limitBytes: bytesOf(ghostLimit.fixed) }),
    ...(ghostLimit?.auto !== undefined && { auto: compileAuto(ghostLimit.auto, capBytes) }),
  };
}

function compileAuto(
  auto: NonNullable<NonNullable<PolicyTarget['ghostLimit']>['auto']>,
  capBytes: number,
): PlanAutoLimit {
  return {
    minimumBytes: bytesOf(auto.minimum),
    maximumBytes: auto.maximum === undefined ? capBytes : bytesOf(auto.maximum),
    headroomPercent: auto.headroomPercent,
  };
}

function compileRetention(retention: PolicyRetention | undefined): Pick<PlanPolicy, 'retention'> {
  if (retention === undefined) return {};
  const { maxTotalSize, ...bounds } = retention;
  return {
    retention: {
      ...bounds,
      ...(maxTotalSize !== undefined && { maxTotalSizeBytes: bytesOf(maxTotalSize) }),
    },
  };
}

function bytesOf(value: string | number): number {
  const result = parseQuantity(value);
  if (!result.ok) throw new Error(`not a quantity: ${String(value)}`);
  return Number(result.bytes);
}
