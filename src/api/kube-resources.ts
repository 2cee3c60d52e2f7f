// The resources of the Kubernetes API that the operator reads or writes: what stands in their paths and in RBAC rules.
import type { KubeResource } from './kube-object.ts';
import { GROUP } from './names.ts';

const core = { group: '', version: 'v1' } as const;
const own = { group: GROUP, version: 'v1alpha1' } as const;

export const PODS: KubeResource = { ...core, plural: 'pods', kind: 'Pod', namespaced: true };
export const NODES: KubeResource = { ...core, plural: 'nodes', kind: 'Node', namespaced: false };
export const CONFIG_MAPS: KubeResource = {
  ...core,
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export const LEASES: KubeResource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/** events.k8s.io, not the events of the core group: regarding, reason, action, note. */
export const EVENTS: KubeResource = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

export const DAEMON_SETS: KubeResource = {
  group: 'apps',
  version: 'v1',
  plural: 'daemonsets',
  kind: 'DaemonSet',
  namespaced: true,
};

export const DEPLOYMENTS: KubeResource = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};

export const CHECKPOINT_POLICIES: KubeResource = {
  ...own,
  plural: 'checkpointpolicies',
  kind: 'CheckpointPolicy',
  namespaced: true,
};

export const CHECKPOINT_REQUESTS: KubeResource = {
  ...own,
  plural: 'checkpointrequests',
  kind: 'CheckpointRequest',
  namespaced: true,
};

export const CHECKPOINT_PLANS: KubeResource = {
  ...own,
  plural: 'checkpointplans',
  kind: 'CheckpointPlan',
  namespaced: false,
};

export const CHECKPOINT_NODES: KubeResource = {
  ...own,
  plural: 'checkpointnodes',
  kind: 'CheckpointNode',
  namespaced: false,
};
