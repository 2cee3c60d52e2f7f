// Sets of fields, as metadata.managedFields names them: "f:name" for a field, 'k:{"name":"a"}' for an item of a list map, 'v:"x"' for a member of a set.
import { listTypeOf } from './fake-kind.ts';
import type { FakeKind } from './fake-kind.ts';
import { isPlainObject } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';

export type FieldPath = readonly string[];

/** By joined path. */
export type FieldSet = Map<string, FieldPath>;

export function fieldKey(path: FieldPath): string {
  return path.join('\n');
}

export function fieldSet(paths: Iterable<FieldPath>): FieldSet {
  return new Map([...paths].map((path) => [fieldKey(path), path]));
}

/** `inner` is `outer`, or lies below it. */
export function isWithin(inner: FieldPath, outer: FieldPath): boolean {
  return outer.length <= inner.length && outer.every((part, index) => part === inner[index]);
}

/** ".spec.targets[name="a"].ghostLimit", as conflicts name it. */
export function printField(path: FieldPath): string {
  return path
    .map((part) => {
      if (part.startsWith('f:')) return `.${part.slice(2)}`;
      if (part.startsWith('v:')) return `[=${part.slice(2)}]`;
      const keys = Object.entries(JSON.parse(part.slice(2)) as PlainObject);
      return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
    })
    .join('');
}

/** The fields of an object that can have owners: leaves, and items of list maps. Not what names the object or belongs to the server. */
export function fieldsOf(kind: FakeKind, object: PlainObject): FieldSet {
  const found: FieldPath[] = [];
  collect(kind, object, [], found);
  return fieldSet(found.filter((path) => !NOBODYS.some((fixed) => isWithin(path, fixed))));
}

const NOBODYS: readonly FieldPath[] = [
  ['f:apiVersion'],
  ['f:kind'],
  ...[
    'name',
    'namespace',
    'uid',
    'resourceVersion',
    'generation',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'managedFields',
    'selfLink',
  ].map((name) => ['f:metadata', `f:${name}`]),
];

function collect(kind: FakeKind, value: unknown, path: FieldPath, found: FieldPath[]): void {
  if (isPlainObject(value) && Object.keys(value).length > 0) {
    for (const [name, part] of Object.entries(value)) collect(kind, part, [...path, `f:${name}`], found);
    return;
  }
  const items = Array.isArray(value) ? itemsOf(kind, value, path) : null;
  if (items === null) {
    found.push(path);
    return;
  }
  for (const { part, item } of items) {
    found.push([...path, part]);
    if (isPlainObject(item)) collect(kind, item, [...path, part], found);
  }
}

export interface ListItem {
  /** "k:..." or "v:...". */
  readonly part: string;
  readonly item: unknown;
}

/** The items of a list whose items have owners of their own; null: it is atomic, and so is a list map whose items lack their keys. */
export function itemsOf(
  kind: FakeKind,
  list: readonly unknown[],
  path: FieldPath,
): readonly ListItem[] | null {
  const type = listTypeOf(kind, schemaPath(path));
  if (type === 'atomic') return null;
  if (type === 'set') return list.map((item) => ({ part: `v:${JSON.stringify(item)}`, item }));
  return list.map((item) => {
    const fields = isPlainObject(item) ? item : {};
    const keys = Object.fromEntries(type.toSorted().map((name) => [name, fields[name]]));
    return { part: `k:${JSON.stringify(keys)}`, item };
  });
}

/** Field names only: "spec.targets". */
function schemaPath(path: FieldPath): string {
  return path
    .filter((part) => part.startsWith('f:'))
    .map((part) => part.slice(2))
    .join('.');
}

/** The value of a field; undefined where it is not there. */
export function fieldValue(kind: FakeKind, object: unknown, path: FieldPath): unknown {
  let value: unknown = object;
  for (const [index, part] of path.entries()) {
    if (part.startsWith('f:')) value = isPlainObject(value) ? value[part.slice(2)] : undefined;
    else {
      const items = Array.isArray(value) ? itemsOf(kind, value, path.slice(0, index)) : null;
      value = items?.find((item) => item.part === part)?.item;
    }
  }
  return value;
}

/** metadata.managedFields[].fieldsV1. */
export function toFieldsV1(fields: FieldSet): PlainObject {
  const root: PlainObject = {};
  const paths = [...fields.values()].toSorted((one, other) => (fieldKey(one) < fieldKey(other) ? -1 : 1));
  for (const path of paths) {
    let node = root;
    for (const part of path) node = (node[part] ??= {}) as PlainObject;
    // An item is owned as such, beside its fields.
    if (path.at(-1)?.startsWith('k:') === true) node['.'] = {};
  }
  return root;
}

export function fromFieldsV1(root: unknown): FieldSet {
  const found: FieldPath[] = [];
  readNode(root, [], found);
  return fieldSet(found);
}

function readNode(node: unknown, path: FieldPath, found: FieldPath[]): void {
  if (!isPlainObject(node)) return;
  const parts = Object.entries(node).filter(([part]) => part !== '.');
  if (path.length > 0 && (parts.length === 0 || '.' in node)) found.push(path);
  for (const [part, inner] of parts) readNode(inner, [...path, part], found);
}
