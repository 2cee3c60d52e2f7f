// RBAC as the API server judges it: PolicyRules as data, cluster-wide or for one namespace.
import type { KubeResource } from '../../../src/api/kube-object.ts';
import { refused } from './status-errors.ts';

/** As in a Role or ClusterRole. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  /** "pods", "pods/status", "*". */
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Absent or empty: all names. */
  readonly resourceNames?: readonly string[];
}

/** The rules of one binding. */
export interface AccessGrant {
  readonly rules: readonly PolicyRule[];
  /** Of a RoleBinding; absent: a ClusterRoleBinding, which holds everywhere. */
  readonly namespace?: string;
}

export type AccessVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface AccessRequest {
  readonly user: string;
  readonly verb: AccessVerb;
  readonly resource: KubeResource;
  readonly subresource: 'status' | null;
  /** null: cluster-scoped, or all namespaces. */
  readonly namespace: string | null;
  /** null: a collection that no field selector narrows to one name. */
  readonly name: string | null;
}

/** Throws 403 unless a rule allows it. */
export function authorize(grants: readonly AccessGrant[], request: AccessRequest): void {
  const rules = grants.flatMap(({ rules: all, namespace }) =>
    namespace === undefined || namespace === request.namespace ? all : [],
  );
  if (!rules.some((rule) => allows(rule, request))) throw refused.forbidden(explain(request));
}

function allows(rule: PolicyRule, request: AccessRequest): boolean {
  const { resource, subresource, verb, name } = request;
  const full = subresource === null ? resource.plural : `${resource.plural}/${subresource}`;
  const names = rule.resourceNames ?? [];
  return (
    has(rule.apiGroups, resource.group) &&
    has(rule.verbs, verb) &&
    (has(rule.resources, full) || (subresource !== null && rule.resources.includes(`*/${subresource}`))) &&
    (names.length === 0 || (name !== null && names.includes(name)))
  );
}

function has(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value);
}

function explain({ user, verb, resource, subresource, namespace, name }: AccessRequest): string {
  const what = subresource === null ? resource.plural : `${resource.plural}/${subresource}`;
  const which = name === null ? '' : ` ${JSON.stringify(name)}`;
  const where = namespace === null ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return `${what}${which} is forbidden: User ${JSON.stringify(user)} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(resource.group)} ${where}`;
}
