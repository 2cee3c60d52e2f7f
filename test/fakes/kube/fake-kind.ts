// What the fake API server must know of a kind, and how that is read from a CustomResourceDefinition.
import type { KubeResource } from '../../../src/api/kube-object.ts';
import { isPlainObject, valueAt } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';

/** "atomic": one value; "set": of scalars; else a list map with these keys. */
export type ListType = 'atomic' | 'set' | readonly string[];

export interface FakeKind {
  readonly resource: KubeResource;
  /** Has the subresource status: what comes through the main one leaves it alone, and the other way round. */
  readonly hasStatus: boolean;
  /** metadata.generation counts changes outside of metadata and, with hasStatus, of status. */
  readonly hasGeneration: boolean;
  /** A PUT without resourceVersion replaces whatever is there. */
  readonly updatesUnconditionally: boolean;
  /** By path of field names, without keys of lists: "spec.targets". Others are atomic. */
  readonly lists: Readonly<Record<string, ListType>>;
  /** For field selectors, beside metadata.name and metadata.namespace. */
  readonly selectableFields: readonly string[];
  /** Changes a new or updated object in place: defaults, pruning. */
  readonly complete?: (object: PlainObject) => void;
}

const METADATA_LISTS: Readonly<Record<string, ListType>> = {
  'metadata.finalizers': 'set',
  'metadata.ownerReferences': ['uid'],
};

export function listTypeOf(kind: FakeKind, path: string): ListType {
  return METADATA_LISTS[path] ?? kind.lists[path] ?? 'atomic';
}

/** A kind as its CustomResourceDefinition (apiextensions.k8s.io/v1, as JSON) declares it: list types, defaults, pruning, status, selectable fields. */
export function kindFromCrd(crd: object): FakeKind {
  const spec = valueAt(crd, ['spec']) as {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly plural: string; readonly kind: string };
    readonly versions: readonly PlainObject[];
  };
  const version = spec.versions.find(({ storage }) => storage === true) ?? {};
  const schema = valueAt(version, ['schema', 'openAPIV3Schema']);
  const lists: Record<string, ListType> = {};
  readListTypes(schema, '', lists);
  const hasStatus = valueAt(version, ['subresources', 'status']) !== undefined;
  const selectable = (version['selectableFields'] ?? []) as readonly { readonly jsonPath: string }[];
  return {
    resource: {
      group: spec.group,
      version: String(version['name']),
      plural: spec.names.plural,
      kind: spec.names.kind,
      namespaced: spec.scope === 'Namespaced',
    },
    hasStatus,
    hasGeneration: true,
    updatesUnconditionally: false,
    lists,
    selectableFields: selectable.map(({ jsonPath }) => jsonPath.replace(/^\./, '')),
    complete: (object) => {
      // Rules of a definition about metadata are rules only: nothing of it is pruned.
      const { apiVersion, kind, metadata } = object;
      object['metadata'] = {};
      complete(object, schema);
      Object.assign(object, { apiVersion, kind, metadata });
    },
  };
}

function readListTypes(schema: unknown, path: string, found: Record<string, ListType>): void {
  if (!isPlainObject(schema)) return;
  const type = schema['x-kubernetes-list-type'];
  if (type === 'map') found[path] = schema['x-kubernetes-list-map-keys'] as readonly string[];
  if (type === 'set') found[path] = 'set';
  readListTypes(schema['items'], path, found);
  if (!isPlainObject(schema['properties'])) return;
  for (const [name, part] of Object.entries(schema['properties']))
    readListTypes(part, path === '' ? name : `${path}.${name}`, found);
}

// Structural defaulting and pruning: what the schema does not name goes, unless it keeps unknown fields or takes any name.
function complete(value: unknown, schema: unknown): void {
  if (!isPlainObject(schema)) return;
  if (Array.isArray(value)) for (const item of value) complete(item, schema['items']);
  if (!isPlainObject(value)) return;
  const properties = isPlainObject(schema['properties']) ? schema['properties'] : {};
  prune(value, properties, schema);
  for (const [name, part] of Object.entries(properties)) {
    setDefault(value, name, part);
    complete(value[name], part);
  }
}

function setDefault(value: PlainObject, name: string, schema: unknown): void {
  if (!isPlainObject(schema) || !('default' in schema)) return;
  if (value[name] === undefined || value[name] === null) value[name] = structuredClone(schema['default']);
}

function prune(value: PlainObject, properties: PlainObject, schema: PlainObject): void {
  const anyName = schema['additionalProperties'];
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return;
  for (const name of Object.keys(value)) {
    if (name in properties) continue;
    if (isPlainObject(anyName)) complete(value[name], anyName);
    else if (anyName !== true) Reflect.deleteProperty(value, name);
  }
}
