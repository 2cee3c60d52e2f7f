// What the controller knows of the cluster: the caches of the kinds that it watches, projected to what it reads of them. Reads only, never waits.
import {
  readCheckpointNodeSpec,
  readCheckpointNodeStatus,
  type CheckpointNodeSpec,
  type CheckpointNodeStatus,
} from '../api/checkpoint-node.ts';
import {
  readCheckpointPlan,
  readPlanNodeSettings,
  type PlanNodeSettings,
  type PlanPolicy,
} from '../api/checkpoint-plan.ts';
import { readCheckpointPolicy } from '../api/checkpoint-policy.ts';
import { isReady, viewNode, viewPod, type PodView } from '../api/core-views.ts';
import { objectKey, type KubeObject, type ObjectMetadata } from '../api/kube-object.ts';
import { POLICY_LABEL } from '../api/names.ts';
import type { PolicyCandidate } from '../domain/plan/plan-namespace.ts';
import { planNameOf } from '../domain/plan/plan-shards.ts';
import { SCHEDULE_TIME_ANNOTATION } from '../domain/schedule/scheduled-request.ts';
import type { IndexFunctions, StoreView } from '../machinery/store.ts';

export interface CachedPlan {
  readonly name: string;
  readonly generation: number;
  readonly policies: readonly PlanPolicy[];
  readonly nodeSettings: PlanNodeSettings | null;
}

export interface CachedReport {
  readonly nodeName: string;
  readonly uid: string;
  /** Of the Node that the object was made for. */
  readonly ownerUid: string | null;
  /** What is ordered there; null: not in the agreed shape, and nothing of it is touched. */
  readonly spec: CheckpointNodeSpec | null;
  /** null: nothing was reported yet, or not in the agreed shape: the word of a possibly owned machine. */
  readonly status: CheckpointNodeStatus | null;
}

export interface CachedNode {
  readonly name: string;
  readonly uid: string;
  readonly ready: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** A pod of our DaemonSet. */
export interface CachedAgentPod {
  readonly nodeName: string;
  readonly ready: boolean;
  /** When it became what it is, by its condition Ready, milliseconds since 1970; 0: not said. */
  readonly sinceMs: number;
}

export interface ClusterCaches {
  readonly policies: StoreView<KubeObject>;
  readonly plans: StoreView<CachedPlan>;
  readonly reports: StoreView<CachedReport>;
  readonly nodes: StoreView<CachedNode>;
  readonly agentPods: StoreView<CachedAgentPod>;
  readonly requests: StoreView<KubeObject>;
}

/** How each object is cut down before it is cached. Pure; may throw for an object that is not of the kind. */
export const PROJECTIONS = {
  policies: ({ metadata, ...object }: KubeObject): KubeObject => ({ ...object, metadata: slim(metadata) }),
  requests: ({ metadata, ...object }: KubeObject): KubeObject => ({
    ...object,
    metadata: { ...slim(metadata), ...keptAnnotations(metadata) },
  }),
  plans: (object: KubeObject): CachedPlan => ({
    name: object.metadata.name,
    generation: object.metadata.generation ?? 0,
    policies: readCheckpointPlan(object),
    nodeSettings: readPlanNodeSettings(object),
  }),
  reports: (object: KubeObject): CachedReport => ({
    nodeName: object.metadata.name,
    uid: object.metadata.uid ?? '',
    ownerUid: object.metadata.ownerReferences?.find(({ kind }) => kind === 'Node')?.uid ?? null,
    spec: readCheckpointNodeSpec(object),
    status: readCheckpointNodeStatus(object),
  }),
  nodes: (object: KubeObject): CachedNode => {
    const view = viewNode(object);
    const { name, uid, labels } = view.metadata;
    return { name, uid, ready: isReady(view), labels };
  },
  agentPods: (object: KubeObject): CachedAgentPod => {
    const view = viewPod(object);
    return {
      nodeName: view.spec.nodeName,
      ready: isReady(view) && object.metadata.deletionTimestamp === undefined,
      sinceMs: readySinceMs(view),
    };
  },
};

function readySinceMs({ status }: PodView): number {
  const ready = status.conditions.find(({ type }) => type === 'Ready');
  return Date.parse(ready?.lastTransitionTime ?? '') || 0;
}

/** The annotation of kubectl apply holds the whole object once more. */
function slim({ annotations: _dropped, ...metadata }: ObjectMetadata): ObjectMetadata {
  return metadata;
}

/** Which round of a schedule the request belongs to. */
function keptAnnotations({ annotations }: ObjectMetadata): Pick<ObjectMetadata, 'annotations'> {
  const time = annotations?.[SCHEDULE_TIME_ANNOTATION];
  return time === undefined ? {} : { annotations: { [SCHEDULE_TIME_ANNOTATION]: time } };
}

export const POLICY_INDEXES: IndexFunctions<KubeObject> = {
  namespace: ({ metadata }) => [metadata.namespace ?? ''],
  plan: ({ metadata }) => [planNameOf(metadata.namespace ?? '')],
};

export const REPORT_INDEXES: IndexFunctions<CachedReport> = { policy: policyKeysOf };

/** By the policy that the label names, as an object key. */
export const REQUEST_INDEXES: IndexFunctions<KubeObject> = { policy: requestPolicyKeys };

export function requestPolicyKeys({ metadata: { namespace = '', labels } }: KubeObject): string[] {
  const name = labels?.[POLICY_LABEL];
  return name === undefined ? [] : [objectKey({ namespace, name })];
}

export const AGENT_POD_INDEXES: IndexFunctions<CachedAgentPod> = { node: ({ nodeName }) => [nodeName] };

/** The policies that a node reports on, as object keys. */
export function policyKeysOf({ status }: Pick<CachedReport, 'status'>): string[] {
  return (status?.policies ?? []).map(({ namespace, name }) => objectKey({ namespace, name }));
}

/** The policies of a namespace that are not being deleted. */
export function candidatesOf(
  namespace: string,
  { policies }: Pick<ClusterCaches, 'policies'>,
): PolicyCandidate[] {
  return policies
    .by('namespace', namespace)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(policyCandidate);
}

export function policyCandidate(object: KubeObject): PolicyCandidate {
  const { name, namespace = '', uid = '', creationTimestamp = '', generation = 0 } = object.metadata;
  const { apiVersion, kind } = object;
  const metadata = { name, namespace, uid, generation };
  return {
    namespace,
    name,
    uid,
    createdAt: creationTimestamp,
    parsed: readCheckpointPolicy({ apiVersion, kind, metadata, spec: object['spec'] }),
  };
}

/** The agent of the node has read the plan of `namespace` as it is now, or there is none to read. */
export function hasSeenPlan(
  nodeName: string,
  planName: string,
  { plans, reports }: Pick<ClusterCaches, 'plans' | 'reports'>,
): boolean {
  const plan = plans.get(planName);
  if (plan === null) return true;
  const seen = reports.get(nodeName)?.status?.plans ?? [];
  return seen.some(({ name, generation }) => name === planName && generation >= plan.generation);
}

export function agentRunsOn(nodeName: string, { agentPods }: Pick<ClusterCaches, 'agentPods'>): boolean {
  return agentPods.by('node', nodeName).some(({ ready }) => ready);
}
