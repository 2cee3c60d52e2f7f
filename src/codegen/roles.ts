// The roles and bindings that the rules beside the code make, and the roles that users get. As data.
import { AGENT_RIGHTS, KUBELET_CHECKPOINT_RULES } from '../agent/rbac.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { AGENT_NAME, CONTROLLER_NAME, GROUP } from '../api/names.ts';
import type { PolicyRule } from '../api/rbac.ts';
import { CONTROLLER_RIGHTS } from '../controller/rbac.ts';

const API_VERSION = 'rbac.authorization.k8s.io/v1';

interface Grant {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** The ServiceAccount, in the operator's namespace. */
  readonly account: string;
  readonly namespace: string;
  /** Absent: in every namespace. */
  readonly within?: 'OwnNamespace';
}

/** What controller and agents always need. `namespace`: of the operator, or the chart's word for it. */
export function operatorRoles(namespace: string): KubeObject[] {
  return [
    ...grant({
      name: CONTROLLER_NAME,
      rules: CONTROLLER_RIGHTS.cluster,
      account: CONTROLLER_NAME,
      namespace,
    }),
    ...grant({
      name: CONTROLLER_NAME,
      rules: CONTROLLER_RIGHTS.ownNamespace,
      account: CONTROLLER_NAME,
      namespace,
      within: 'OwnNamespace',
    }),
    ...grant({ name: AGENT_NAME, rules: AGENT_RIGHTS.cluster, account: AGENT_NAME, namespace }),
  ];
}

/** For the backends kubelet and auto only. */
export function kubeletCheckpointRoles(namespace: string): KubeObject[] {
  const name = `${AGENT_NAME}-kubelet-checkpoint`;
  return grant({ name, rules: KUBELET_CHECKPOINT_RULES, account: AGENT_NAME, namespace });
}

/** Added to Kubernetes' own roles view, edit and admin; without them nobody but a cluster-admin could write a policy. */
export function userRoles(): KubeObject[] {
  const read = ['get', 'list', 'watch'];
  const write = ['create', 'update', 'patch', 'delete'];
  const users = ['checkpointpolicies', 'checkpointrequests'];
  const all = [...users, 'checkpointnodes', 'checkpointplans'];
  return [
    aggregated('view', ['view'], [{ apiGroups: [GROUP], resources: all, verbs: read }]),
    aggregated('edit', ['edit', 'admin'], [{ apiGroups: [GROUP], resources: users, verbs: write }]),
  ];
}

function aggregated(name: string, to: readonly string[], rules: readonly unknown[]): KubeObject {
  const labels = Object.fromEntries(
    to.map((role) => [`rbac.authorization.k8s.io/aggregate-to-${role}`, 'true']),
  );
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRole',
    metadata: { name: `ghostlimit-${name}`, labels },
    rules,
  };
}

function grant({ name, rules, account, namespace, within }: Grant): KubeObject[] {
  const prefix = within === undefined ? 'Cluster' : '';
  const metadata = within === undefined ? { name } : { name, namespace };
  return [
    { apiVersion: API_VERSION, kind: `${prefix}Role`, metadata, rules },
    {
      apiVersion: API_VERSION,
      kind: `${prefix}RoleBinding`,
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: `${prefix}Role`, name },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
    },
  ];
}
