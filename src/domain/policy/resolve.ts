// plan + workloads of this node → what the node wants. Pure: all the thinking of the node engine is here.
import type { PlanPolicy, PlanTarget } from '../../api/checkpoint-plan.ts';
import type { CriuOptionName } from '../../api/criu-option.ts';
import { printable } from '../../api/printable.ts';
import { learnLimit } from '../ghost/learn-limit.ts';
import { matchingContainers, type MatchableContainer, type MatchableWorkload } from './match-workload.ts';

export interface NodeContainer extends MatchableContainer {
  readonly id: string | null;
  readonly pid: number | null;
  /** The OCI annotation org.criu.config; null or absent: not set. */
  readonly criuConfigAnnotation?: string | null;
}
export interface NodeWorkload extends MatchableWorkload<NodeContainer> {
  readonly podName: string;
}

/** What a scan found in one container. */
export interface GhostObservation {
  /** Smallest ghost-limit that would do; 0: no ghost file. */
  readonly requiredBytes: number;
  readonly largest: { readonly path: string; readonly bytes: number } | null;
  /** Why the scan may have missed files, in words to show; null: it saw all. */
  readonly blindness: string | null;
}

export interface ResolveInput {
  readonly policies: readonly PlanPolicy[];
  readonly workloads: readonly NodeWorkload[];
  /** By container id. */
  readonly observations: ReadonlyMap<string, GhostObservation>;
  /** Largest requirement ever observed for a target, bytes, by targetKey. */
  readonly peaks: ReadonlyMap<string, number>;
  /** Floor of the node without any policy; null: none. */
  readonly baseGhostLimitBytes: number | null;
}

export interface MatchedContainer {
  readonly workload: NodeWorkload;
  readonly container: NodeContainer;
}

export interface ResolvedTarget {
  readonly name: string;
  readonly matched: readonly MatchedContainer[];
  readonly matchedPods: number;
  /** 0: the target asks for no limit. */
  readonly limitBytes: number;
  readonly requiredBytes: number;
  readonly learned: boolean;
  /** Why what the containers hold is not known for sure; null: it is. */
  readonly blindness: string | null;
  readonly largestGhostFile: {
    readonly path: string;
    readonly bytes: number;
    readonly podName: string;
    readonly containerName: string;
  } | null;
}

export interface ResolvedPolicy {
  readonly policy: PlanPolicy;
  readonly matchedPods: number;
  readonly targets: readonly ResolvedTarget[];
  /** Of a policy of scope Checkpoint: a container for whose dump its options and those of other policies exclude each other; absent: there is none. */
  readonly dumpConflict?: DumpConflict;
}

export interface DumpConflict {
  readonly containerName: string;
  readonly pair: OptionPair;
}

type OptionPair = readonly [CriuOptionName, CriuOptionName];

export interface WantedLines {
  /** null: no ghost-limit line is wanted. */
  readonly ghostLimitBytes: number | null;
  /** Sorted, without opposites. */
  readonly options: readonly CriuOptionName[];
}

/** Lines of one dump. */
export interface DumpLines extends WantedLines {
  /** Opposites that policies of the container ask for: while it is dumped neither stands, whoever else asks for it. Absent: none. */
  readonly withheld?: readonly CriuOptionName[];
}

export const NO_LINES: WantedLines = { ghostLimitBytes: null, options: [] };

export interface DesiredNode extends WantedLines {
  /** Which target set the limit: "namespace/policy target"; "baseGhostLimit"; null when there is no limit. */
  readonly decidedBy: string | null;
  /** Options that exclude each other and were asked for by different policies: none of them is written. */
  readonly conflicts: readonly OptionPair[];
  /** Policies with a matching container here, in the order of the plan. */
  readonly policies: readonly ResolvedPolicy[];
}

const OPPOSITES: readonly OptionPair[] = [['TcpEstablished', 'TcpClose']];

export function targetKey(policy: Pick<PlanPolicy, 'namespace' | 'name'>, targetName: string): string {
  return `${policy.namespace}/${policy.name}/${targetName}`;
}

/** Limit of the node = the highest of all targets of enforced Node-scoped policies and the base; a target is a floor, never a ceiling. */
export function resolveNode(input: ResolveInput): DesiredNode {
  const policies = input.policies
    .map((policy) => resolvePolicy(policy, input))
    .filter(({ matchedPods }) => matchedPods > 0);
  const standing = policies.filter(({ policy }) => policy.mode === 'Enforce' && policy.scope === 'Node');
  const floors = standing.flatMap(({ policy, targets }) =>
    targets.map((target) => ({
      limitBytes: target.limitBytes,
      decidedBy: `${policy.namespace}/${policy.name} ${target.name}`,
    })),
  );
  if (input.baseGhostLimitBytes !== null)
    floors.unshift({ limitBytes: input.baseGhostLimitBytes, decidedBy: 'baseGhostLimit' });
  const highest = floors.reduce((best, floor) => (floor.limitBytes > best.limitBytes ? floor : best), {
    limitBytes: 0,
    decidedBy: '',
  });
  const { options, conflicts } = combineOptions(standing.map(({ policy }) => policy.options));
  return {
    ghostLimitBytes: highest.limitBytes === 0 ? null : highest.limitBytes,
    decidedBy: highest.limitBytes === 0 ? null : highest.decidedBy,
    options,
    conflicts,
    policies: withDumpConflicts(policies),
  };
}

function withDumpConflicts(policies: readonly ResolvedPolicy[]): ResolvedPolicy[] {
  const optionsOf = new Map<NodeContainer, (readonly CriuOptionName[])[]>();
  for (const { policy, targets } of policies) {
    if (policy.mode !== 'Enforce' || policy.options.length === 0) continue;
    const containers = targets.flatMap(({ matched }) => matched.map(({ container }) => container));
    for (const container of new Set(containers))
      optionsOf.set(container, [...(optionsOf.get(container) ?? []), policy.options]);
  }
  return policies.map((resolved) => {
    const dumpConflict = dumpConflictOf(resolved, optionsOf);
    return dumpConflict === null ? resolved : { ...resolved, dumpConflict };
  });
}

function dumpConflictOf(
  { policy, targets }: ResolvedPolicy,
  optionsOf: ReadonlyMap<NodeContainer, readonly (readonly CriuOptionName[])[]>,
): DumpConflict | null {
  if (policy.scope !== 'Checkpoint' || policy.mode !== 'Enforce') return null;
  for (const { container } of targets.flatMap(({ matched }) => matched)) {
    const { conflicts } = combineOptions(optionsOf.get(container) ?? []);
    const pair = conflicts.find((each) => each.some((option) => policy.options.includes(option)));
    if (pair !== undefined) return { containerName: container.name, pair };
  }
  return null;
}

function resolvePolicy(policy: PlanPolicy, input: ResolveInput): ResolvedPolicy {
  const targets = policy.targets.map((target) => resolveTarget(policy, target, input));
  const pods = new Set(targets.flatMap(({ matched }) => matched.map(({ workload }) => workload)));
  return { policy, matchedPods: pods.size, targets };
}

function resolveTarget(policy: PlanPolicy, target: PlanTarget, input: ResolveInput): ResolvedTarget {
  const matched = input.workloads.flatMap((workload) =>
    matchingContainers(target, policy.namespace, workload).map((container) => ({
      workload,
      container,
    })),
  );
  const largestGhostFile = largestOf(matched, input.observations);
  const requiredBytes = Math.max(
    0,
    ...matched.map(({ container }) =>
      container.id === null ? 0 : (input.observations.get(container.id)?.requiredBytes ?? 0),
    ),
  );
  const peakBytes = Math.max(requiredBytes, input.peaks.get(targetKey(policy, target.name)) ?? 0);
  const matchedPods = new Set(matched.map(({ workload }) => workload)).size;
  return {
    name: target.name,
    matched,
    matchedPods,
    limitBytes: matchedPods === 0 ? 0 : targetLimit(target, peakBytes),
    requiredBytes,
    learned: target.auto !== undefined,
    blindness: blindnessOf(matched, input.observations),
    largestGhostFile,
  };
}

/** What one target asks for when its containers were seen to need `peakBytes`; 0: it asks for no limit. */
export function targetLimit(target: PlanTarget, peakBytes: number): number {
  return target.auto === undefined ? (target.limitBytes ?? 0) : learnLimit(target.auto, peakBytes);
}

function blindnessOf(
  matched: readonly MatchedContainer[],
  observations: ReadonlyMap<string, GhostObservation>,
): string | null {
  for (const { container } of matched) {
    const blindness = container.id === null ? null : observations.get(container.id)?.blindness;
    if (typeof blindness === 'string') return `container ${printable(container.name, 253)}: ${blindness}`;
  }
  return null;
}

function largestOf(
  matched: readonly MatchedContainer[],
  observations: ReadonlyMap<string, GhostObservation>,
): ResolvedTarget['largestGhostFile'] {
  let largest: ResolvedTarget['largestGhostFile'] = null;
  for (const { workload, container } of matched) {
    const file = container.id === null ? null : (observations.get(container.id)?.largest ?? null);
    if (file !== null && file.bytes > (largest?.bytes ?? -1)) {
      largest = { ...file, podName: workload.podName, containerName: container.name };
    }
  }
  return largest;
}

/** The union of option sets; of two opposites neither stays, as no order of lines could satisfy both. */
export function combineOptions(
  sets: readonly (readonly CriuOptionName[])[],
): Pick<DesiredNode, 'options' | 'conflicts'> {
  const union = new Set(sets.flat());
  const conflicts = OPPOSITES.filter(([one, other]) => union.has(one) && union.has(other));
  for (const option of conflicts.flat()) union.delete(option);
  return { options: [...union].sort(), conflicts };
}

/**
 * The node's lines with those of a dump that is running (null: none is): the higher limit, the union of the options. Of two opposites that of the dump stays:
 * it is the one that is needed now, and it goes with the dump. What the dump's own policies do not agree on stands for nobody as long.
 */
export function combineLines(node: WantedLines, dump: DumpLines | null): WantedLines {
  const dumpOptions = combineOptions([dump?.options ?? []]).options;
  const withheld = dump?.withheld ?? [];
  const nodeOptions = node.options.filter(
    (option) => !withheld.includes(option) && !dumpOptions.some((own) => areOpposites(own, option)),
  );
  const limits = [node.ghostLimitBytes, dump?.ghostLimitBytes ?? null].filter((limit) => limit !== null);
  return {
    ghostLimitBytes: limits.length === 0 ? null : Math.max(...limits),
    options: combineOptions([nodeOptions, dumpOptions]).options,
  };
}

function areOpposites(one: CriuOptionName, other: CriuOptionName): boolean {
  return OPPOSITES.some((pair) => one !== other && pair.includes(one) && pair.includes(other));
}

/**
 * What a checkpoint of one container needs while it is dumped: the limits and options of every enforced policy that means it, whatever its scope.
 * `requiredBytes` is what a scan just found, 0 to go by what was known before; `autoMatched` tells whether an auto target may raise the limit.
 */
export function linesForDump(
  input: Pick<ResolveInput, 'policies' | 'peaks'>,
  subject: MatchedContainer,
  requiredBytes: number,
): Required<DumpLines> & { readonly autoMatched: boolean; readonly decidedBy: string | null } {
  let ghostLimitBytes: number | null = null;
  let decidedBy: string | null = null;
  let autoMatched = false;
  const options: (readonly CriuOptionName[])[] = [];
  for (const policy of input.policies) {
    if (policy.mode !== 'Enforce') continue;
    const targets = policy.targets.filter((target) =>
      matchingContainers(target, policy.namespace, subject.workload).includes(subject.container),
    );
    if (targets.length > 0) options.push(policy.options);
    for (const target of targets) {
      const peakBytes = Math.max(requiredBytes, input.peaks.get(targetKey(policy, target.name)) ?? 0);
      const limitBytes = targetLimit(target, peakBytes);
      autoMatched ||= target.auto !== undefined;
      if (limitBytes > (ghostLimitBytes ?? 0)) {
        ghostLimitBytes = limitBytes;
        decidedBy = `${policy.namespace}/${policy.name} ${target.name}`;
      }
    }
  }
  const combined = combineOptions(options);
  const withheld = combined.conflicts.flat();
  return { ghostLimitBytes, decidedBy, autoMatched, options: combined.options, withheld };
}
