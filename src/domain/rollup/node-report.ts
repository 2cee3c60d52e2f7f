// What the engine found and did on one node, rolled up into its report. Pure; the worst wins.
import type {
  CheckpointNodeStatus,
  FileReport,
  PolicyProblem,
  PolicyReport,
  RuntimeReport,
  TargetReport,
} from '../../api/checkpoint-node.ts';
import { carryTransitionTimes, type Condition } from '../../api/condition.ts';
import { printable } from '../../api/printable.ts';
import { printQuantity } from '../../api/quantity.ts';
import type { ReasonCode } from '../../api/reasons.ts';
import type { DesiredNode, ResolvedPolicy, ResolvedTarget } from '../policy/resolve.ts';

export interface NodeReportInput {
  readonly earlier: CheckpointNodeStatus | null;
  readonly agentVersion: string;
  readonly nodeName: string;
  readonly runtime: RuntimeReport;
  readonly desired: DesiredNode;
  readonly files: readonly FileReport[];
  readonly problems: readonly PolicyProblem[];
  /** Why checkpoints cannot work on this node whatever the files say; null: nothing found. */
  readonly obstacle: { readonly reason: string; readonly message: string } | null;
  /** RFC 3339. */
  readonly at: string;
}

/** States of a file in which what policies ask for is in force. */
const FILE_IN_FORCE: ReadonlySet<string> = new Set<ReasonCode>(['InSync', 'ForeignLimitSuffices']);

export function isInForce(fileState: string): boolean {
  return FILE_IN_FORCE.has(fileState);
}

export function rollUpNode(input: NodeReportInput): CheckpointNodeStatus {
  const failing = input.files.find(({ state }) => !isInForce(state)) ?? null;
  const config = configCondition(failing);
  const checkpoint = checkpointCondition(input);
  const bad = [config, checkpoint].find(({ status }) => status === 'False');
  const ready = bad === undefined ? { ...config, type: 'Ready' } : { ...bad, type: 'Ready' };
  return {
    observedGeneration: 0,
    conditions: carryTransitionTimes(input.earlier?.conditions ?? [], [ready, config, checkpoint], input.at),
    agentVersion: input.agentVersion,
    runtime: input.runtime,
    files: [...input.files],
    policies: input.desired.policies.slice(0, 64).map((policy) => policyReport(policy, input, failing)),
    problems: input.problems
      .slice(0, 32)
      .map((problem) => ({ ...problem, message: bounded(problem.message) })),
  };
}

type WantedCondition = Omit<Condition, 'lastTransitionTime'>;

function configCondition(failing: FileReport | null): WantedCondition {
  if (failing === null)
    return {
      type: 'ConfigInSync',
      status: 'True',
      reason: 'InSync',
      message: 'every CRIU file holds what policies ask for',
    };
  return { type: 'ConfigInSync', status: 'False', reason: failing.state, message: fileProblem(failing) };
}

/** Messages of files name the file themselves. */
function fileProblem({ path, state, message }: FileReport): string {
  return bounded(message ?? `${path}: ${state}`);
}

/** Messages are made of parts that are already escaped; here they only get their bound. */
function bounded(message: string): string {
  return message.length > 1024 ? `${message.slice(0, 1023)}…` : message;
}

function checkpointCondition({ obstacle, files }: NodeReportInput): WantedCondition {
  const type = 'CheckpointReady';
  if (obstacle !== null)
    return { type, status: 'False', reason: obstacle.reason, message: bounded(obstacle.message) };
  const refused = files.find(({ verdict }) => verdict === 'Refused');
  if (refused !== undefined)
    return { type, status: 'False', reason: 'ConfigInvalid', message: fileProblem(refused) };
  return {
    type,
    status: 'True',
    reason: 'InSync',
    message: 'nothing is known that would make every checkpoint on this node fail',
  };
}

function policyReport(
  resolved: ResolvedPolicy,
  input: NodeReportInput,
  failing: FileReport | null,
): PolicyReport {
  const { policy, matchedPods, targets } = resolved;
  return {
    namespace: policy.namespace,
    name: policy.name,
    observedGeneration: policy.generation,
    ...policyState(resolved, input, failing),
    matchedPods,
    targets: targets.map((target) => targetReport(target, input.nodeName)),
  };
}

function policyState(
  { policy, targets, dumpConflict }: ResolvedPolicy,
  { desired, files }: NodeReportInput,
  failing: FileReport | null,
): Pick<PolicyReport, 'state' | 'reason' | 'message'> {
  if (policy.mode === 'Audit') return { state: 'Audited', reason: 'Audited', message: auditMessage(targets) };
  // Nobody knows which runtime a container will be dumped by: the file that gives least counts.
  const inForceBytes = Math.min(...files.map(({ effectiveLimitBytes }) => effectiveLimitBytes));
  const short = targets.find(
    ({ limitBytes, requiredBytes }) => limitBytes > 0 && requiredBytes > Math.max(limitBytes, inForceBytes),
  );
  if (short !== undefined)
    return { state: 'Failing', reason: 'GhostLimitExceeded', message: shortMessage(short) };
  const blind = targets.find(({ learned, blindness }) => learned && blindness !== null);
  if (blind !== undefined) {
    const message = bounded(
      `target ${blind.name} learns its limit, but not all could be seen: ${blind.blindness ?? ''}`,
    );
    return { state: 'Failing', reason: 'ScanFailed', message };
  }
  if (dumpConflict !== undefined) {
    const container = printable(dumpConflict.containerName, 253);
    return {
      state: 'Failing',
      reason: 'OptionConflict',
      message: `${dumpConflict.pair.join(' and ')} are asked for by policies of container ${container} and exclude each other: neither is in force while it is dumped`,
    };
  }
  if (policy.scope === 'Checkpoint') {
    return {
      state: 'Held',
      reason: 'InSync',
      message: 'in force only while ghostlimit dumps a matching container',
    };
  }
  if (failing !== null) return { state: 'Failing', reason: failing.state, message: fileProblem(failing) };
  const conflict = desired.conflicts.find((pair) => pair.some((option) => policy.options.includes(option)));
  if (conflict !== undefined) {
    return {
      state: 'Failing',
      reason: 'OptionConflict',
      message: `${conflict.join(' and ')} are asked for by policies of this node and exclude each other: neither is written`,
    };
  }
  return { state: 'InForce', reason: 'InSync' };
}

function auditMessage(targets: readonly ResolvedTarget[]): string {
  const limitBytes = Math.max(0, ...targets.map((target) => target.limitBytes));
  return limitBytes === 0
    ? 'asks for no limit'
    : `would ask for ghost-limit ${limitBytes.toString()} (${printQuantity(limitBytes)}); nothing is written`;
}

function shortMessage({ name, requiredBytes, limitBytes, largestGhostFile }: ResolvedTarget): string {
  const file = largestGhostFile === null ? '' : ` (${printable(largestGhostFile.path, 256)})`;
  return `target ${name}: a ghost file of ${requiredBytes.toString()} bytes${file} is over the target's limit of ${limitBytes.toString()}: raise \`ghostLimit\` of this target`;
}

function targetReport(target: ResolvedTarget, nodeName: string): TargetReport {
  const file = target.largestGhostFile;
  return {
    name: target.name,
    matchedPods: target.matchedPods,
    effectiveLimitBytes: target.limitBytes,
    requiredBytes: target.requiredBytes,
    ...(target.learned && { learnedLimitBytes: target.limitBytes }),
    ...(file !== null && {
      largestGhostFile: {
        path: printable(file.path, 1024),
        bytes: file.bytes,
        podName: printable(file.podName, 253),
        containerName: printable(file.containerName, 253),
        nodeName,
      },
    }),
  };
}
