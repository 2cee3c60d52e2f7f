// Which nodes should answer for a policy: by a pod list when the policy changes, by the nodes' own reports from then on. Keeps no cache of pods.
import type { CheckpointNodeStatus } from '../api/checkpoint-node.ts';
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { CHECKPOINT_NODES } from '../api/kube-resources.ts';
import { planNameOf } from '../domain/plan/plan-shards.ts';
import type { PolicyNode } from '../domain/rollup/policy-status.ts';
import type { Clock } from '../ports/clock.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import { agentRunsOn, hasSeenPlan, type CachedReport, type ClusterCaches } from './cluster-view.ts';
import { listPolicyPods } from './policy-pods.ts';

/** While nodes that the pod list named have not answered, it is read anew so often, milliseconds: their pods may be gone. */
export const RELIST_MS = 60_000;
/** The same for nodes that are not Ready, and may not be for days. */
export const SILENT_RELIST_MS = 300_000;
/** A Ready node without an agent is no news for so long, milliseconds: images are pulled, the DaemonSet rolls. */
export const AGENT_GRACE_MS = 30_000;

export interface PolicyNodes {
  /** Lists pods where that is due. `planned` is what the nodes are told of the policy; null: nothing. */
  gather(key: string, planned: PlanPolicy | null, signal: AbortSignal): Promise<readonly PolicyNode[]>;
  /** The policies whose pod list named the node: what becomes of it concerns them, whether it ever reported on them or not. */
  expecting(nodeName: string): readonly string[];
  forget(key: string): void;
}

export interface PolicyNodesParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly clock: Clock;
}

interface Expectation {
  /** Of the policy that was listed for. */
  readonly generation: number;
  readonly nodeNames: ReadonlySet<string>;
  readonly listedAtMs: number;
}

export function createPolicyNodes(parts: PolicyNodesParts): PolicyNodes {
  const expectations = new Map<string, Expectation>();
  const absentSinceMs = new Map<string, number>();
  return {
    gather: async (key, planned, signal) => {
      const reports = parts.caches.reports.by('policy', key);
      const expected =
        planned === null
          ? new Set<string>()
          : await expectedNodes(key, planned, { parts, expectations, reports, signal });
      const names = new Set([...expected, ...reports.map(({ nodeName }) => nodeName)]);
      return [...names].sort().flatMap((name) => policyNode(name, key, parts, absentSinceMs));
    },
    expecting: (nodeName) =>
      [...expectations].filter(([, { nodeNames }]) => nodeNames.has(nodeName)).map(([key]) => key),
    forget: (key) => {
      expectations.delete(key);
    },
  };
}

interface Expecting {
  readonly parts: PolicyNodesParts;
  readonly expectations: Map<string, Expectation>;
  readonly reports: readonly CachedReport[];
  readonly signal: AbortSignal;
}

async function expectedNodes(
  key: string,
  planned: PlanPolicy,
  { parts, expectations, reports, signal }: Expecting,
): Promise<ReadonlySet<string>> {
  const known = expectations.get(key);
  const now = parts.clock.monotonicMs();
  if (known?.generation === planned.generation) {
    const unanswered = unansweredOf(known, planned, parts.caches, reports);
    const isReady = (name: string): boolean => parts.caches.nodes.get(name)?.ready === true;
    const periodMs = unanswered.some(isReady) ? RELIST_MS : SILENT_RELIST_MS;
    if (unanswered.length === 0 || now - known.listedAtMs < periodMs) return known.nodeNames;
  }
  const nodeNames = await listNodes(planned, parts.kube, signal);
  expectations.set(key, { generation: planned.generation, nodeNames, listedAtMs: now });
  return nodeNames;
}

/** Nodes that are there, and neither report on the policy nor have said, by the plan that they read, that no pod of theirs matches. */
function unansweredOf(
  { nodeNames }: Expectation,
  { namespace }: PlanPolicy,
  caches: ClusterCaches,
  reports: readonly CachedReport[],
): string[] {
  const reporting = new Set(reports.map(({ nodeName }) => nodeName));
  return [...nodeNames].filter((name) => {
    const node = caches.nodes.get(name);
    if (node === null || reporting.has(name)) return false;
    return !node.ready || !hasSeenPlan(name, planNameOf(namespace), caches);
  });
}

async function listNodes(
  policy: PlanPolicy,
  kube: KubeApi,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const pods = await listPolicyPods(policy, { kube, resourceVersion: '0', signal });
  return new Set(pods.map(({ view }) => view.spec.nodeName));
}

/** Empty: the node is no more. */
function policyNode(
  nodeName: string,
  key: string,
  { caches, clock }: PolicyNodesParts,
  absentSinceMs: Map<string, number>,
): PolicyNode[] {
  const node = caches.nodes.get(nodeName);
  if (node === null) return [];
  const [namespace = '', name = ''] = key.split('/');
  const report = caches.reports.get(nodeName)?.status ?? null;
  const absentForMs = absence(nodeName, agentRunsOn(nodeName, caches), clock.monotonicMs(), absentSinceMs);
  return [
    {
      nodeName,
      ready: node.ready,
      agentMissing: absentForMs < AGENT_GRACE_MS ? null : missingMessage(nodeName, report),
      seenPlan: hasSeenPlan(nodeName, planNameOf(namespace), caches),
      report:
        report?.policies.find((policy) => policy.namespace === namespace && policy.name === name) ?? null,
      limit: limitOf(report),
    },
  ];
}

/** For how long no agent was seen on the node, milliseconds; 0: one runs. */
function absence(
  nodeName: string,
  agentRuns: boolean,
  nowMs: number,
  absentSinceMs: Map<string, number>,
): number {
  if (agentRuns) absentSinceMs.delete(nodeName);
  else if (!absentSinceMs.has(nodeName)) absentSinceMs.set(nodeName, nowMs);
  return nowMs - (absentSinceMs.get(nodeName) ?? nowMs);
}

function missingMessage(nodeName: string, report: CheckpointNodeStatus | null): string {
  const since = report === null ? 'and none ever reported' : 'what it reported last may be old';
  return `no ready agent pod on ${nodeName}, ${since} (${CHECKPOINT_NODES.plural}/${nodeName})`;
}

function limitOf(report: CheckpointNodeStatus | null): PolicyNode['limit'] {
  let limit: PolicyNode['limit'] = null;
  for (const { desiredLimitBytes, decidedBy } of report?.files ?? [])
    if (decidedBy !== undefined && desiredLimitBytes > (limit?.bytes ?? 0))
      limit = { bytes: desiredLimitBytes, decidedBy };
  return limit;
}
