// The policies of one namespace → what of them is handed to the nodes, and a verdict on each. Pure; the oldest policies come first.
import type { CheckpointPolicy, ParsedPolicy } from '../../api/checkpoint-policy.ts';
import type { PlanPolicy, PlanTarget } from '../../api/checkpoint-plan.ts';
import { printFieldProblem } from '../../api/field-problem.ts';
import type { ReasonCode } from '../../api/reasons.ts';
import { compilePolicy, isStillAllowed, type CompileSettings } from '../policy/compile.ts';
import { targetKey } from '../policy/resolve.ts';

/** Of one namespace in the plan, bytes of JSON: all agents read all plans, so one tenant must not make them large for everybody. */
export const NAMESPACE_PLAN_BYTES = 32 * 1024;

/** A policy as the API server shows it. */
export interface PolicyCandidate {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly parsed: ParsedPolicy;
}

export interface PolicyVerdict {
  readonly accepted: boolean;
  readonly reason: ReasonCode;
  readonly message: string;
  /** What of the policy is in the plan: its newest state, or the last good one; null: nothing. */
  readonly planned: PlanPolicy | null;
}

export interface NamespacePlan {
  /** By name. */
  readonly policies: readonly PlanPolicy[];
  /** By uid. */
  readonly verdicts: ReadonlyMap<string, PolicyVerdict>;
}

export interface PlanContext {
  readonly settings: CompileSettings;
  /** What the plan holds now: the last good state of a policy that turned invalid stays in force as far as the settings allow it. */
  readonly earlier: readonly PlanPolicy[];
  /** What nodes learned, by targetKey, bytes. */
  readonly learned: ReadonlyMap<string, number>;
}

/** `candidates` are the policies of one namespace that are not being deleted. */
export function planNamespace(candidates: readonly PolicyCandidate[], context: PlanContext): NamespacePlan {
  const verdicts = new Map<string, PolicyVerdict>();
  let bytes = 0;
  for (const candidate of [...candidates].sort(byAge)) {
    const verdict = judge(candidate, context);
    const size = verdict.planned === null ? 0 : sizeOf(verdict.planned);
    if (bytes + size > NAMESPACE_PLAN_BYTES) {
      verdicts.set(candidate.uid, planFull(candidate, size));
      continue;
    }
    bytes += size;
    verdicts.set(candidate.uid, verdict);
  }
  const policies = [...verdicts.values()].map(({ planned }) => planned).filter((planned) => planned !== null);
  return { policies: policies.sort((one, other) => compareText(one.name, other.name)), verdicts };
}

function judge({ uid, parsed }: PolicyCandidate, context: PlanContext): PolicyVerdict {
  const refused = (reason: ReasonCode, message: string): PolicyVerdict => {
    const planned = context.earlier.find((policy) => policy.uid === uid) ?? null;
    const isKept = planned !== null && isStillAllowed(planned, context.settings);
    return {
      accepted: false,
      reason,
      message: isKept ? `${message} (generation ${planned.generation.toString()} stays in force)` : message,
      planned: isKept ? planned : null,
    };
  };
  if (!parsed.ok) return refused('InvalidPolicy', parsed.problems.map(printFieldProblem).join('; '));
  const compiled = compilePolicy(parsed.policy, context.settings);
  if (!compiled.ok) return refused(compiled.refusal.reason, compiled.refusal.message);
  return {
    accepted: true,
    reason: 'Accepted',
    message: acceptedMessage(parsed.policy),
    planned: withLearned(compiled.policy, context.learned),
  };
}

function acceptedMessage({ spec }: CheckpointPolicy): string {
  return `${spec.targets.length.toString()} target${spec.targets.length === 1 ? '' : 's'} handed to the nodes`;
}

function planFull({ namespace, name }: PolicyCandidate, size: number): PolicyVerdict {
  const message = `${namespace}/${name} takes ${size.toString()} bytes, and the older policies of the namespace leave less of the ${NAMESPACE_PLAN_BYTES.toString()} that one namespace has: use fewer or smaller policies there`;
  return { accepted: false, reason: 'PlanFull', message, planned: null };
}

function withLearned(policy: PlanPolicy, learned: ReadonlyMap<string, number>): PlanPolicy {
  return { ...policy, targets: policy.targets.map((target) => learnedTarget(policy, target, learned)) };
}

function learnedTarget(
  policy: PlanPolicy,
  target: PlanTarget,
  learned: ReadonlyMap<string, number>,
): PlanTarget {
  const bytes = learned.get(targetKey(policy, target.name));
  if (target.auto === undefined || bytes === undefined) return target;
  const { minimumBytes, maximumBytes } = target.auto;
  const learnedLimitBytes = Math.min(maximumBytes, Math.max(minimumBytes, bytes));
  return { ...target, auto: { ...target.auto, learnedLimitBytes } };
}

function sizeOf(policy: PlanPolicy): number {
  return new TextEncoder().encode(JSON.stringify(policy)).length;
}

function byAge(one: PolicyCandidate, other: PolicyCandidate): number {
  return compareText(one.createdAt, other.createdAt) || compareText(one.name, other.name);
}

/** By code units: the same order on every machine, whatever its locale. */
function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
