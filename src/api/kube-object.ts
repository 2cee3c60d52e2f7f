// What every object of the Kubernetes API looks like to us: its identity and its metadata. Everything else of it is read through the zod view of its kind.

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMetadata {
  readonly name: string;
  /** What the name was made from, where the server made it. */
  readonly generateName?: string;
  /** Absent: the kind is cluster-scoped. */
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

/** To be created under a name that the server makes: `generateName`, cut to 58 characters, and five of its own. */
export interface UnnamedKubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Omit<ObjectMetadata, 'name'> & { readonly name?: never; readonly generateName: string };
  readonly [field: string]: unknown;
}

/** One resource of the API, as its path and its RBAC rule name it. */
export interface KubeResource {
  /** Empty: the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ObjectRef {
  /** Absent for cluster-scoped kinds. */
  readonly namespace?: string;
  readonly name: string;
}

/** The key of an object in queues and stores: "namespace/name", or "name" for a cluster-scoped kind. */
export function objectKey({ namespace, name }: ObjectRef): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The opposite of objectKey; names hold no slash (RFC 1123). */
export function parseObjectKey(key: string): ObjectRef {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** "v1" or "group/version". */
export function apiVersionOf({ group, version }: Pick<KubeResource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}
