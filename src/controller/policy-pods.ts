// The pods that a policy means, by a list at the API server: nobody here keeps a cache of pods. Reads only.
import type { PlanPolicy, PlanTarget } from '../api/checkpoint-plan.ts';
import { podCounts, viewPod, type PodView } from '../api/core-views.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { PODS } from '../api/kube-resources.ts';
import { printLabelSelector } from '../domain/policy/label-selector-text.ts';
import { matchingContainers } from '../domain/policy/match-workload.ts';
import { podWorkload } from '../domain/policy/pod-workload.ts';
import type { KubeApi } from '../ports/kube-api.ts';

export interface PolicyPod {
  readonly object: KubeObject;
  readonly view: PodView;
  /** Names of the containers that the targets mean, in the order of the pod. */
  readonly containerNames: readonly string[];
  /** They are all of its regular and sidecar containers, and no other. */
  readonly isWhole: boolean;
}

export interface ListPods {
  readonly kube: KubeApi;
  /** "0": any state that the server's cache has. Absent: the newest. */
  readonly resourceVersion?: string;
  readonly signal: AbortSignal;
}

/** The pods from scheduling until they are gone, each once; at most one list for each selector. */
export async function listPolicyPods(
  policy: PlanPolicy,
  { kube, ...options }: ListPods,
): Promise<readonly PolicyPod[]> {
  const found = new Map<string, PolicyPod>();
  for (const labelSelector of new Set(policy.targets.map(queryOf))) {
    const query = { namespace: policy.namespace, ...(labelSelector !== '' && { labelSelector }) };
    const { items } = await kube.list(PODS, { ...query, ...options });
    for (const object of items) {
      const pod = policyPod(object, policy);
      if (pod !== null) found.set(pod.view.metadata.name, pod);
    }
  }
  return [...found.values()];
}

/** Owners cannot be selected by: a target by workloadRef looks at all pods of its namespace. */
function queryOf({ selector }: PlanTarget): string {
  return selector === undefined ? '' : printLabelSelector(selector);
}

function policyPod(object: KubeObject, { namespace, targets }: PlanPolicy): PolicyPod | null {
  const view = viewPod(object);
  if (!podCounts(view)) return null;
  const workload = podWorkload(view);
  const meant = new Set(targets.flatMap((target) => matchingContainers(target, namespace, workload)));
  if (meant.size === 0) return null;
  const isMain = ({ kind }: (typeof workload.containers)[number]): boolean =>
    kind === 'Regular' || kind === 'Sidecar';
  return {
    object,
    view,
    containerNames: workload.containers.filter((one) => meant.has(one)).map(({ name }) => name),
    isWhole: workload.containers.every((one) => isMain(one) === meant.has(one)),
  };
}
