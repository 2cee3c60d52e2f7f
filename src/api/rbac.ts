// RBAC as data: the rules that stand beside the code that needs them (src/controller/rbac.ts, src/agent/rbac.ts), and that the manifests are made from. Types only.

/** rbac.authorization.k8s.io/v1 PolicyRule, without the parts that we never use. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly Verb[];
  /** Only these objects; a list or watch must name one by the field selector metadata.name. Absent: all. */
  readonly resourceNames?: readonly string[];
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface Rights {
  /** In every namespace, and on cluster-scoped kinds. */
  readonly cluster: readonly PolicyRule[];
  /** In the operator's own namespace. */
  readonly ownNamespace: readonly PolicyRule[];
}
