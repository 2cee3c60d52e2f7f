// What the simulated cluster should have come to, straight from what users wrote (compile + resolve + the plan of a file), and where it differs from that.
// Reads the world only through the objects of the API and the disks of the nodes.
import { isDeepStrictEqual } from 'node:util';
import {
  readCheckpointNodeStatus,
  type CheckpointNodeStatus,
  type PolicyReport,
} from '../../src/api/checkpoint-node.ts';
import { readCheckpointPlan, readPlanNodeSettings, type PlanPolicy } from '../../src/api/checkpoint-plan.ts';
import {
  readCheckpointPolicy,
  readCheckpointPolicyStatus,
  type CheckpointPolicyStatus,
} from '../../src/api/checkpoint-policy.ts';
import { podCounts, viewPod } from '../../src/api/core-views.ts';
import { objectKey, type KubeObject } from '../../src/api/kube-object.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  DAEMON_SETS,
  NODES,
  PODS,
} from '../../src/api/kube-resources.ts';
import { AGENT_NAME, CLEANUP_FINALIZER, SYSTEM_NAMESPACE } from '../../src/api/names.ts';
import type { OperatorSettings } from '../../src/api/settings.ts';
import { judgeCriuConf } from '../../src/domain/criu-conf/judge.ts';
import { noteOrigin, planFile, type FilePlan } from '../../src/domain/criu-conf/plan-file.ts';
import { planNameOf } from '../../src/domain/plan/plan-shards.ts';
import { compilePolicy, isStillAllowed, type CompileResult } from '../../src/domain/policy/compile.ts';
import { podWorkload } from '../../src/domain/policy/pod-workload.ts';
import {
  resolveNode,
  targetKey,
  type DesiredNode,
  type GhostObservation,
  type ResolvedPolicy,
} from '../../src/domain/policy/resolve.ts';
import type { SettleWorld } from './settle-world.ts';
import { requestDifferences } from './wanted-requests.ts';
import { RUNC_CONF, type SimulatedNode } from './simulated-node.ts';

/** One line for each thing that is not as it should be; empty: the world has settled. */
export function differences(world: SettleWorld): string[] {
  const plan = plannedPolicies(world);
  const judged = [...world.nodes.values()].map((node) => judgeNode(node, plan, world));
  return [
    ...planDifferences(world),
    ...nodeObjectDifferences(world),
    ...judged.flatMap((node) => nodeDifferences(node, world)),
    ...world.policies().flatMap((policy) => policyDifferences(policy, judged, world)),
    ...daemonSetDifferences(world),
    ...requestDifferences(world),
  ];
}

// The plan.

function plannedPolicies({ kube }: SettleWorld): PlanPolicy[] {
  return kube.all(CHECKPOINT_PLANS).flatMap(readCheckpointPlan);
}

function planDifferences(world: SettleWorld): string[] {
  const found: string[] = [];
  const live = world.policies().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const byUid = new Map(live.map((policy) => [policy.metadata.uid ?? '', policy]));
  for (const object of world.kube.all(CHECKPOINT_PLANS)) {
    const { name } = object.metadata;
    found.push(...nodeSettingsDifference(object, world));
    for (const planned of readCheckpointPlan(object)) {
      const key = `${planned.namespace}/${planned.name}`;
      if (!byUid.has(planned.uid)) found.push(`${name} still has ${key}`);
      if (planNameOf(planned.namespace) !== name) found.push(`${name} has ${key} of another shard`);
    }
  }
  if (world.kube.find(CHECKPOINT_PLANS, { name: 'plan-00' }) === null) found.push('there is no plan-00');
  const planned = new Map(plannedPolicies(world).map((policy) => [policy.uid, policy]));
  for (const [uid, policy] of byUid)
    found.push(...plannedDifference(policy, planned.get(uid) ?? null, world));
  return found;
}

function nodeSettingsDifference(plan: KubeObject, { settings, nodes }: SettleWorld): string[] {
  const { baseGhostLimit, checkpointsPaused, removal } = settings;
  const wanted = {
    ...(baseGhostLimit !== null && !removal && { baseGhostLimitBytes: baseGhostLimit }),
    checkpointsPaused: checkpointsPaused || removal,
    // For fewer than 100 nodes.
    reportSpreadSeconds: nodes.size < 100 ? 0 : 1,
  };
  const found = readPlanNodeSettings(plan);
  const isRight = plan.metadata.name === 'plan-00' ? isDeepStrictEqual(found, wanted) : found === null;
  return isRight ? [] : [`${plan.metadata.name} has the node settings ${JSON.stringify(found)}`];
}

function plannedDifference(policy: KubeObject, planned: PlanPolicy | null, world: SettleWorld): string[] {
  const { settings } = world;
  const key = objectKey(policy.metadata);
  const found = planned === null ? null : withoutLearned(planned);
  if (settings.removal) return found === null ? [] : [`${key} is in the plan`];
  const compiled = compiledBy(policy, settings);
  if (compiled.ok)
    return isDeepStrictEqual(found, compiled.policy) ? [] : [`${key} is planned as ${JSON.stringify(found)}`];
  if (found === null) return [];
  return isLastGood(policy, found, world)
    ? []
    : [`${key} is refused and planned as ${JSON.stringify(found)}`];
}

/** Some generation of it, as some settings that were in force let it, and as these still do. */
function isLastGood(
  policy: KubeObject,
  found: PlanPolicy,
  { specs, settings, settingsHistory }: SettleWorld,
): boolean {
  const wasGood = (specs.get(policy.metadata.uid ?? '') ?? []).some((spec) =>
    settingsHistory.some((earlier) => {
      const result = compiledBy(spec, earlier);
      return result.ok && isDeepStrictEqual(result.policy, found);
    }),
  );
  return wasGood && isStillAllowed(found, { ...settings, ownersKnown: true });
}

function compiledBy(
  { apiVersion, kind, metadata, spec }: KubeObject,
  settings: OperatorSettings,
): CompileResult {
  const { name, namespace = '', uid = '', generation = 0 } = metadata;
  const read = readCheckpointPolicy({
    apiVersion,
    kind,
    metadata: { name, namespace, uid, generation },
    spec,
  });
  if (!read.ok) throw new Error(`${name}: ${JSON.stringify(read.problems)}`);
  return compilePolicy(read.policy, { ...settings, ownersKnown: true });
}

function withoutLearned({ targets, ...policy }: PlanPolicy): PlanPolicy {
  return {
    ...policy,
    targets: targets.map(({ auto, ...target }) => {
      if (auto === undefined) return target;
      const { learnedLimitBytes: _learned, ...bounds } = auto;
      return { ...target, auto: bounds };
    }),
  };
}

// The nodes.

function nodeObjectDifferences({ kube }: SettleWorld): string[] {
  const uids = new Map(kube.all(NODES).map(({ metadata }) => [metadata.name, metadata.uid]));
  const objects = kube.all(CHECKPOINT_NODES);
  const names = new Set(objects.map(({ metadata }) => metadata.name));
  return [
    ...[...uids.keys()].filter((name) => !names.has(name)).map((name) => `${name} has no CheckpointNode`),
    ...objects
      .filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid !== uids.get(metadata.name))
      .map(({ metadata }) => `CheckpointNode ${metadata.name} is of no node or of an earlier one`),
  ];
}

interface JudgedNode {
  readonly node: SimulatedNode;
  /** With what runs there now. */
  readonly desired: DesiredNode;
  /** The same with all that ever ran there: what an agent learned it does not forget at once. */
  readonly highest: DesiredNode;
  readonly filePlan: FilePlan;
  readonly report: CheckpointNodeStatus | null;
}

function judgeNode(node: SimulatedNode, policies: readonly PlanPolicy[], world: SettleWorld): JudgedNode {
  const { kube, settings } = world;
  const pods = kube
    .all(PODS)
    .map(viewPod)
    .filter((pod) => pod.spec.nodeName === node.name && podCounts(pod));
  const workloads = pods.map((pod) => {
    const workload = podWorkload(pod);
    return { ...workload, containers: workload.containers.map((one) => ({ ...one, pid: 1 })) };
  });
  const observations = new Map([...node.ghosts].map(([id, bytes]) => [id, observed(bytes)]));
  const baseGhostLimitBytes = settings.removal ? null : settings.baseGhostLimit;
  const largest = Math.max(0, ...node.ghosts.values());
  const peaks = new Map(
    policies.flatMap((policy) =>
      policy.targets.map(({ name }) => [targetKey(policy, name), largest] as const),
    ),
  );
  const input = { policies, workloads, observations, baseGhostLimitBytes };
  const desired = resolveNode({ ...input, peaks: new Map() });
  const object = kube.find(CHECKPOINT_NODES, { name: node.name });
  return {
    node,
    desired,
    highest: resolveNode({ ...input, peaks }),
    filePlan: planOf(node, desired),
    report: object === null ? null : readCheckpointNodeStatus(object),
  };
}

function observed(bytes: number): GhostObservation {
  return { requiredBytes: bytes, largest: { path: '/tmp/lib.so', bytes }, blindness: null };
}

/** What becomes of the users' file, as if we had never been there. */
function planOf({ foreign }: SimulatedNode, { ghostLimitBytes, options }: DesiredNode): FilePlan {
  const content = foreign === null ? null : Buffer.from(foreign);
  return planFile({
    path: RUNC_CONF,
    content,
    directoryPresent: true,
    desired: { ghostLimitBytes: ghostLimitBytes === null ? null : BigInt(ghostLimitBytes), options },
    judge: judgeCriuConf,
    origin: noteOrigin(null, content, true),
  });
}

function nodeDifferences(judged: JudgedNode, { settings, kube }: SettleWorld): string[] {
  const { node, report } = judged;
  if (!node.ready || (settings.removal && node.agent === null)) return [];
  if (report === null) return [`${node.name} has not reported`];
  return [
    ...fileDifferences(judged),
    ...reportDifferences(node, report, kube),
    ...policyReportDifferences(judged, report),
  ];
}

function policyReportDifferences({ node, desired }: JudgedNode, report: CheckpointNodeStatus): string[] {
  const named = report.policies.map(keyOf).sort();
  const wanted = desired.policies.map(({ policy }) => keyOf(policy)).sort();
  if (!isDeepStrictEqual(named, wanted))
    return [`${node.name} reports on [${named.join(' ')}], not [${wanted.join(' ')}]`];
  return desired.policies
    .filter(({ policy, matchedPods }) => {
      const said = report.policies.find((one) => keyOf(one) === keyOf(policy));
      return said?.observedGeneration !== policy.generation || said.matchedPods !== matchedPods;
    })
    .map(({ policy }) => `${node.name} says of ${keyOf(policy)}: ${JSON.stringify(report.policies)}`);
}

/** What the report says apart from policies. */
function reportDifferences(
  { name, conf }: SimulatedNode,
  report: CheckpointNodeStatus,
  kube: SettleWorld['kube'],
): string[] {
  const found: string[] = [];
  const generation = kube.find(CHECKPOINT_NODES, { name })?.metadata.generation;
  if (report.observedGeneration !== generation)
    found.push(`${name} has observed its object at ${report.observedGeneration}`);
  const plans = kube
    .all(CHECKPOINT_PLANS)
    .map(({ metadata }) => ({ name: metadata.name, generation: metadata.generation ?? 0 }));
  if (!isDeepStrictEqual(report.plans ?? [], plans))
    found.push(`${name} has seen the plans ${JSON.stringify(report.plans)}`);
  const files = report.files.map(({ path, managed }) => ({ path, managed }));
  const wanted = [{ path: RUNC_CONF, managed: conf?.includes('# BEGIN ghostlimit') === true }];
  if (!isDeepStrictEqual(files, wanted)) found.push(`${name} reports the files ${JSON.stringify(files)}`);
  return found;
}

function keyOf({ namespace, name }: Pick<PolicyReport, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function fileDifferences({ node, desired, highest, filePlan }: JudgedNode): string[] {
  const { action } = filePlan;
  const wanted = action.kind === 'Write' ? Buffer.from(action.content).toString() : node.foreign;
  if (node.conf === wanted) return [];
  const found = `${node.name}: the file is ${JSON.stringify(node.conf)}, not ${JSON.stringify(wanted)}`;
  if (desired.ghostLimitBytes === highest.ghostLimitBytes) return [found];
  const bytes = Number(judgeCriuConf(Buffer.from(node.conf ?? '')).ghostLimitBytes ?? 0n);
  return bytes >= (desired.ghostLimitBytes ?? 0) && bytes <= (highest.ghostLimitBytes ?? 0) ? [] : [found];
}

// The policies.

function policyDifferences(policy: KubeObject, nodes: readonly JudgedNode[], world: SettleWorld): string[] {
  const { settings } = world;
  const { deletionTimestamp, finalizers = [], generation } = policy.metadata;
  const key = objectKey(policy.metadata);
  if (deletionTimestamp !== undefined) return [`${key} is still being deleted`];
  const found: string[] = [];
  if (finalizers.includes(CLEANUP_FINALIZER) === settings.removal)
    found.push(`${key} has the finalizers [${finalizers.join(' ')}]`);
  const status = readCheckpointPolicyStatus(policy);
  if (status === null || status.observedGeneration !== generation)
    return [...found, `${key}: observed ${status?.observedGeneration ?? 'nothing'} of ${generation ?? 0}`];
  const wrong = statusProblems(policy, status, nodes, world);
  return [
    ...found,
    ...wrong.map(
      (problem) =>
        `${key}: ${problem}: ${JSON.stringify({ nodes: status.nodes, conditions: status.conditions })}`,
    ),
  ];
}

function statusProblems(
  policy: KubeObject,
  status: CheckpointPolicyStatus,
  nodes: readonly JudgedNode[],
  { settings }: SettleWorld,
): string[] {
  const uid = policy.metadata.uid ?? '';
  const matched = nodes.flatMap((node) => {
    const resolved = node.desired.policies.find((one) => one.policy.uid === uid);
    return node.node.ready && resolved !== undefined ? [{ node, resolved }] : [];
  });
  const failing = matched.filter(({ node, resolved }) => isFailing(resolved, node)).length;
  // Without agents the reports stay as they were: nobody keeps the DaemonSet while everything is taken back.
  const isLeftAlone = settings.removal && nodes.some(({ node }) => node.ready && node.agent === null);
  return [
    ...(isLeftAlone ? [] : countProblems(status, matched, failing)),
    ...(isLeftAlone ? [] : unreachableProblems(uid, status.nodes.unreachable, nodes, policy)),
    ...conditionProblems(policy, status, failing, settings),
  ];
}

function countProblems(
  { nodes, summary, problems, targets }: CheckpointPolicyStatus,
  matched: readonly { readonly resolved: ResolvedPolicy }[],
  failing: number,
): string[] {
  const { unreachable } = nodes;
  const inSync = matched.length - failing;
  const wanted = { matched: matched.length + unreachable, inSync, failing, unreachable };
  const wantedSummary = `${inSync}/${wanted.matched}`;
  const found: string[] = [];
  if (!isDeepStrictEqual(nodes, wanted) || summary !== wantedSummary)
    found.push(`the counts should be ${JSON.stringify(wanted)}, the summary is ${summary}`);
  if (problems.length !== failing) found.push(`${problems.length} problems are named`);
  const pods = matched.reduce((sum, { resolved }) => sum + (resolved.targets[0]?.matchedPods ?? 0), 0);
  const said = targets[0]?.matchedPods ?? 0;
  if (unreachable === 0 && said !== pods) found.push(`the first target matches ${pods} pods, not ${said}`);
  return found;
}

function conditionProblems(
  policy: KubeObject,
  status: CheckpointPolicyStatus,
  failing: number,
  settings: OperatorSettings,
): string[] {
  const found: string[] = [];
  const condition = (type: string) => status.conditions.find((one) => one.type === type);
  const holds = (type: string): boolean => condition(type)?.status === 'True';
  if (status.conditions.some(({ observedGeneration }) => observedGeneration !== policy.metadata.generation))
    found.push('conditions of another generation');
  if (condition('Reconciling') !== undefined) found.push('still reconciling');
  const { accepted, reason } = wantedVerdict(policy, { failing, matched: status.nodes.matched }, settings);
  const isReady = accepted && failing === 0;
  if (condition('Ready')?.reason !== reason || holds('Ready') !== isReady)
    found.push(`Ready should be ${isReady} ${reason}`);
  if (holds('Accepted') !== accepted) found.push(`Accepted should be ${accepted}`);
  if (holds('Stalled') === accepted) found.push('Stalled is wrong');
  return found;
}

function wantedVerdict(
  policy: KubeObject,
  { failing, matched }: { readonly failing: number; readonly matched: number },
  settings: OperatorSettings,
): { readonly accepted: boolean; readonly reason: string } {
  if (settings.removal) return { accepted: false, reason: 'TakenBack' };
  const compiled = compiledBy(policy, settings);
  if (!compiled.ok) return { accepted: false, reason: compiled.refusal.reason };
  return { accepted: true, reason: readyReason(failing, matched, policy) };
}

function readyReason(failing: number, matched: number, policy: KubeObject): string {
  if (failing > 0) return 'NodesFailing';
  if (matched === 0) return 'NoMatchingPods';
  return (policy['spec'] as { readonly mode?: string }).mode === 'Audit' ? 'Audited' : 'AllNodesInSync';
}

/** A node that is not ready counts when its pods or its last report name the policy; what of that was seen before it went silent is not known here. */
function unreachableProblems(
  uid: string,
  unreachable: number,
  nodes: readonly JudgedNode[],
  { metadata }: KubeObject,
): string[] {
  const silent = nodes.filter(({ node }) => !node.ready);
  const key = objectKey(metadata);
  const reported = silent.filter(({ report }) => report?.policies.some((one) => keyOf(one) === key) === true);
  const possible = silent.filter(
    (judged) => reported.includes(judged) || judged.desired.policies.some(({ policy }) => policy.uid === uid),
  );
  return unreachable >= reported.length && unreachable <= possible.length
    ? []
    : [`unreachable should be ${reported.length} to ${possible.length}`];
}

function isFailing(resolved: ResolvedPolicy, { node, desired, filePlan }: JudgedNode): boolean {
  const { policy, targets } = resolved;
  if (policy.mode === 'Audit') return false;
  const { verdict, ghostLimitBytes } = judgeCriuConf(Buffer.from(node.conf ?? ''));
  const inForce = verdict === 'Refused' ? 0 : Number(ghostLimitBytes ?? 1_048_576n);
  const isShort = targets.some(
    ({ limitBytes, requiredBytes }) => limitBytes > 0 && requiredBytes > Math.max(limitBytes, inForce),
  );
  if (isShort || policy.scope === 'Checkpoint') return isShort;
  if (!['InSync', 'ForeignLimitSuffices'].includes(filePlan.state)) return true;
  return desired.conflicts.some((pair) => pair.some((option) => policy.options.includes(option)));
}

// The agents.

function daemonSetDifferences({ kube, settings }: SettleWorld): string[] {
  // While everything is taken back nobody keeps it.
  if (settings.removal) return [];
  const object = kube.find(DAEMON_SETS, { namespace: SYSTEM_NAMESPACE, name: AGENT_NAME });
  if (object === null) return ['there is no DaemonSet'];
  const spec = object['spec'] as {
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
  const found = spec.template.spec.containers.map(({ image }) => image);
  const wanted = [settings.agent.image ?? 'ghostlimit:test'];
  return [
    ...(isDeepStrictEqual(found, wanted) ? [] : [`the DaemonSet has the image ${found.join(' ')}`]),
    ...('minReadySeconds' in spec ? ['the DaemonSet has a field of somebody else'] : []),
    ...(object.metadata.ownerReferences?.[0]?.kind === 'Deployment' ? [] : ['the DaemonSet has no owner']),
  ];
}
