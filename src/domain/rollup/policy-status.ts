// What the nodes say of one policy, rolled up into its status. Pure; the worst wins, and only counts and the first problems go up, never lists of nodes.
import type { GhostFileReport, PolicyReport, TargetReport } from '../../api/checkpoint-node.ts';
import type { CheckpointPolicySpec, CheckpointPolicyStatus } from '../../api/checkpoint-policy.ts';
import type { PlanTarget } from '../../api/checkpoint-plan.ts';
import { carryTransitionTimes, type Condition } from '../../api/condition.ts';
import { printQuantity } from '../../api/quantity.ts';
import { isReasonCode, REASONS, type ReasonCode } from '../../api/reasons.ts';
import type { PolicyVerdict } from '../plan/plan-namespace.ts';

/** Of the conditions it alone is the schedule's: domain/schedule/round-outcome.ts. */
export const CHECKPOINTS_HEALTHY = 'CheckpointsHealthy';

/** Problems shown on one policy; the counts tell of the others. */
export const SHOWN_PROBLEMS = 10;

/** One node that has a matching pod, by the pod list or by its own report. */
export interface PolicyNode {
  readonly nodeName: string;
  /** The Node's own Ready condition. */
  readonly ready: boolean;
  /** Why no agent answers there, in words to show; null: one runs, or it is too early to tell. */
  readonly agentMissing: string | null;
  /** The node's report knows the plan in which this generation of the policy stands. */
  readonly seenPlan: boolean;
  /** What the node's report says of this policy; null: nothing. */
  readonly report: PolicyReport | null;
  /** The limit in force on the node and what asked for it; null: nobody asks for one. */
  readonly limit: { readonly bytes: number; readonly decidedBy: string } | null;
}

export interface PolicyStatusInput {
  readonly policy: {
    readonly namespace: string;
    readonly name: string;
    readonly generation: number;
    readonly mode: CheckpointPolicySpec['mode'];
  };
  readonly verdict: PolicyVerdict;
  /** False: what `verdict.planned` says is not yet in the plan that the API server has. */
  readonly planWritten: boolean;
  readonly nodes: readonly PolicyNode[];
  readonly earlier: Pick<CheckpointPolicyStatus, 'conditions'> | null;
  /** RFC 3339. */
  readonly at: string;
}

type NodeState =
  | { readonly kind: 'InSync' | 'Pending' | 'Unreachable' | 'Gone' }
  | { readonly kind: 'Failing'; readonly reason: string; readonly message: string };

interface JudgedNode extends PolicyNode {
  readonly state: NodeState;
}

/** The status without what the schedule's loop writes: the other writer neither compares nor repeats it. */
export function withoutSchedule(status: CheckpointPolicyStatus | null): CheckpointPolicyStatus | null {
  if (status === null) return null;
  const {
    lastCheckpoint: _last,
    lastScheduleTime: _lastTime,
    nextScheduleTime: _next,
    activeRound: _active,
    ...own
  } = status;
  return { ...own, conditions: own.conditions.filter(({ type }) => type !== CHECKPOINTS_HEALTHY) };
}

/** All but what the schedule says. */
export function rollUpPolicy(input: PolicyStatusInput): CheckpointPolicyStatus {
  const judged = input.nodes.map((node) => ({ ...node, state: stateOf(node, input) }));
  const nodes = judged.filter(({ state }) => state.kind !== 'Gone');
  const counts = countNodes(nodes);
  const { generation } = input.policy;
  const conditions = wantedConditions(input, nodes, counts).map((condition) => ({
    ...condition,
    observedGeneration: generation,
  }));
  const targets = (input.verdict.planned?.targets ?? []).map((target) => targetStatus(target, nodes));
  return {
    observedGeneration: generation,
    conditions: carryTransitionTimes(input.earlier?.conditions ?? [], conditions, input.at),
    nodes: counts,
    summary: `${counts.inSync.toString()}/${counts.matched.toString()}`,
    limit: limitText(input.verdict.planned?.targets ?? [], targets),
    targets,
    problems: problemsOf(nodes),
  };
}

function stateOf(node: PolicyNode, { verdict, planWritten }: PolicyStatusInput): NodeState {
  const { ready, agentMissing, report } = node;
  if (!ready) return { kind: 'Unreachable' };
  if (report !== null && planWritten && isOfPlan(report, verdict)) return stateOfReport(report);
  if (agentMissing !== null) return { kind: 'Failing', reason: 'AgentMissing', message: agentMissing };
  // The agent has read the plan and names no pod of this policy: the pod that was seen has gone.
  return { kind: planWritten && report === null && node.seenPlan ? 'Gone' : 'Pending' };
}

function isOfPlan({ observedGeneration }: PolicyReport, { planned }: PolicyStatusInput['verdict']): boolean {
  return observedGeneration >= (planned?.generation ?? 0);
}

function stateOfReport({ state, reason, message }: PolicyReport): NodeState {
  if (state !== 'Failing') return { kind: 'InSync' };
  return { kind: 'Failing', reason, message: message ?? sentenceOf(reason) };
}

function sentenceOf(reason: string): string {
  return isReasonCode(reason) ? REASONS[reason].sentence : reason;
}

type NodeCounts = CheckpointPolicyStatus['nodes'];

function countNodes(nodes: readonly JudgedNode[]): NodeCounts {
  const count = (kind: NodeState['kind']): number => nodes.filter(({ state }) => state.kind === kind).length;
  return {
    matched: nodes.length,
    inSync: count('InSync'),
    failing: count('Failing'),
    unreachable: count('Unreachable'),
  };
}

type WantedCondition = Omit<Condition, 'lastTransitionTime'>;

/** Ready = Accepted and NodesInSync. Reconciling and Stalled are there only while they are True, as kstatus reads them. */
function wantedConditions(
  input: PolicyStatusInput,
  nodes: readonly JudgedNode[],
  counts: NodeCounts,
): WantedCondition[] {
  const { verdict } = input;
  const accepted: WantedCondition = {
    type: 'Accepted',
    status: verdict.accepted ? 'True' : 'False',
    reason: verdict.reason,
    message: bounded(verdict.message),
  };
  const inSync = nodesCondition(input, nodes, counts);
  const ready = { ...(verdict.accepted ? inSync : accepted), type: 'Ready' };
  const conditions = [ready, accepted, inSync];
  if (!verdict.accepted) return [...conditions, { ...accepted, type: 'Stalled', status: 'True' }];
  return inSync.reason === 'RollingOut'
    ? [...conditions, { ...inSync, type: 'Reconciling', status: 'True' }]
    : conditions;
}

function nodesCondition(
  { policy, planWritten }: PolicyStatusInput,
  nodes: readonly JudgedNode[],
  { matched, inSync, failing, unreachable }: NodeCounts,
): WantedCondition {
  const condition = (
    status: WantedCondition['status'],
    reason: ReasonCode,
    message: string,
  ): WantedCondition => ({ type: 'NodesInSync', status, reason, message: bounded(message) });
  const reachable = matched - unreachable;
  const away = unreachable === 0 ? '' : `; ${unreachable.toString()} ${nodesWord(unreachable)} not ready`;
  if (failing > 0) {
    const [first] = problemsOf(nodes);
    const example = first === undefined ? '' : `: ${first.nodeName}: ${first.message}`;
    return condition(
      'False',
      'NodesFailing',
      `not in force on ${failing.toString()} of ${reachable.toString()} ${nodesWord(reachable)}${away}${example}`,
    );
  }
  if (!planWritten) return condition('False', 'RollingOut', 'being handed to the nodes');
  if (inSync < reachable)
    return condition(
      'False',
      'RollingOut',
      `in force on ${inSync.toString()} of ${reachable.toString()} ${nodesWord(reachable)} so far${away}`,
    );
  if (matched === 0) return condition('True', 'NoMatchingPods', 'no pod matches the policy now');
  if (policy.mode === 'Audit')
    return condition(
      'True',
      'Audited',
      `reported by ${reachable.toString()} ${nodesWord(reachable)}; nothing is written${away}`,
    );
  return condition(
    'True',
    'AllNodesInSync',
    `in force on ${inSync.toString()} ${nodesWord(inSync)}${away}${higherLimit(policy, nodes)}`,
  );
}

function nodesWord(count: number): string {
  return count === 1 ? 'node' : 'nodes';
}

/** A limit is per node: where somebody else asks for more, that is in force, and the user should know whose it is. */
function higherLimit({ namespace, name }: PolicyStatusInput['policy'], nodes: readonly JudgedNode[]): string {
  const own = `${namespace}/${name} `;
  const others = nodes.filter(({ limit }) => limit !== null && !limit.decidedBy.startsWith(own));
  const [highest] = others.sort((one, other) => (other.limit?.bytes ?? 0) - (one.limit?.bytes ?? 0));
  const limit = highest?.limit ?? null;
  if (highest === undefined || limit === null) return '';
  const { bytes, decidedBy } = limit;
  const rest = others.length === 1 ? '' : ` and ${(others.length - 1).toString()} more`;
  return `; a higher limit, ${printQuantity(bytes)} by ${decidedBy}, holds on ${highest.nodeName}${rest}`;
}

function targetStatus(
  target: PlanTarget,
  nodes: readonly JudgedNode[],
): CheckpointPolicyStatus['targets'][number] {
  const reports = nodes
    .flatMap(({ report }) => report?.targets ?? [])
    .filter(({ name }) => name === target.name);
  const learned = highest(reports, ({ learnedLimitBytes }) => learnedLimitBytes);
  const largest = largestFile(reports);
  return {
    name: target.name,
    matchedPods: reports.reduce((sum, { matchedPods }) => sum + matchedPods, 0),
    effectiveLimitBytes: Math.max(
      highest(reports, ({ effectiveLimitBytes }) => effectiveLimitBytes) ?? 0,
      plannedBytes(target),
    ),
    requiredBytes: highest(reports, ({ requiredBytes }) => requiredBytes) ?? 0,
    ...(target.auto !== undefined && learned !== null && { learnedLimitBytes: learned }),
    ...(largest !== null && { largestGhostFile: largest }),
  };
}

/** What the target asks of a node before any container was looked at. */
function plannedBytes({ limitBytes, auto }: PlanTarget): number {
  return limitBytes ?? Math.max(auto?.minimumBytes ?? 0, auto?.learnedLimitBytes ?? 0);
}

function highest(
  reports: readonly TargetReport[],
  value: (report: TargetReport) => number | undefined,
): number | null {
  const values = reports.map(value).filter((bytes) => bytes !== undefined);
  return values.length === 0 ? null : Math.max(...values);
}

function largestFile(reports: readonly TargetReport[]): GhostFileReport | null {
  let largest: GhostFileReport | null = null;
  for (const { largestGhostFile } of reports)
    if (largestGhostFile !== undefined && largestGhostFile.bytes > (largest?.bytes ?? -1))
      largest = largestGhostFile;
  return largest;
}

/** The highest limit of the targets, as the printer column shows it; empty: the policy asks for none. */
function limitText(
  planned: readonly PlanTarget[],
  targets: readonly CheckpointPolicyStatus['targets'][number][],
): string {
  let best = { bytes: 0, isAuto: false };
  for (const [index, { effectiveLimitBytes }] of targets.entries())
    if (effectiveLimitBytes > best.bytes)
      best = { bytes: effectiveLimitBytes, isAuto: planned[index]?.auto !== undefined };
  if (best.bytes === 0) return '';
  return best.isAuto ? `${printQuantity(best.bytes)} (Auto)` : printQuantity(best.bytes);
}

const SEVERITY_ORDER = ['Error', 'Warning', 'Info'];

function problemsOf(nodes: readonly JudgedNode[]): CheckpointPolicyStatus['problems'] {
  const problems = nodes.flatMap(({ nodeName, state }) =>
    state.kind === 'Failing' ? [{ nodeName, reason: state.reason, message: bounded(state.message) }] : [],
  );
  return problems
    .sort(
      (one, other) =>
        severityRank(one.reason) - severityRank(other.reason) || (one.nodeName < other.nodeName ? -1 : 1),
    )
    .slice(0, SHOWN_PROBLEMS);
}

function severityRank(reason: string): number {
  return SEVERITY_ORDER.indexOf(isReasonCode(reason) ? REASONS[reason].severity : 'Error');
}

/** Messages of nodes are data of a machine that may be owned: they only get their bound here, and were escaped where they were made. */
function bounded(message: string): string {
  return message.length > 1024 ? `${message.slice(0, 1023)}…` : message;
}
