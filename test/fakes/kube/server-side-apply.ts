// Server-side apply: merge by field, owners, conflicts, and the removal of what a manager no longer applies.
import type { FakeKind } from './fake-kind.ts';
import { isWriter, readOwners } from './field-owners.ts';
import type { FieldOwner, Writer } from './field-owners.ts';
import { fieldsOf, fieldValue, isWithin, itemsOf, printField } from './field-set.ts';
import type { FieldPath, FieldSet } from './field-set.ts';
import { copyOf, isPlainObject, isSame } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';
import { refused } from './status-errors.ts';

export interface ApplyWrite {
  readonly kind: FakeKind;
  /** As it is; empty for a new object. */
  readonly live: PlainObject;
  readonly applied: PlainObject;
  readonly writer: Writer;
  readonly force: boolean;
  readonly time: string;
}

export interface AppliedObject {
  readonly object: PlainObject;
  readonly owners: readonly FieldOwner[];
}

/** Throws 409 where other managers own applied fields with other values, unless forced. */
export function applied(write: ApplyWrite): AppliedObject {
  const { kind, live, writer, force, time } = write;
  const fields = fieldsOf(kind, write.applied);
  const owners = readOwners(live);
  const before = owners.find((owner) => isWriter(owner, writer));
  const others = owners.filter((owner) => !isWriter(owner, writer));
  const taken = conflicts(write, fields, others);
  if (taken.length > 0 && !force) throw refused.applyConflict(taken.map(printConflict));

  const left = others.map((owner) => {
    const lost = new Set(taken.filter((conflict) => conflict.owner === owner).map(({ key }) => key));
    return { ...owner, fields: new Map([...owner.fields].filter(([key]) => !lost.has(key))) };
  });
  const object = merged(kind, copyOf(live), copyOf(write.applied), []) as PlainObject;
  const dropped = [...(before?.fields ?? [])].filter(
    ([key]) => !fields.has(key) && !left.some((owner) => owner.fields.has(key)),
  );
  const kept = [...fields.values(), ...left.flatMap((owner) => [...owner.fields.values()])];
  removeFields(
    kind,
    object,
    dropped.map(([, path]) => path),
    kept,
  );
  const isNews = before === undefined || !sameKeys(before.fields, fields) || !isSame(object, live);
  const now = { ...writer, fields, time: isNews ? time : before.time };
  const place = owners.findIndex((owner) => isWriter(owner, writer));
  return { object, owners: place < 0 ? [...left, now] : left.toSpliced(place, 0, now) };
}

interface Conflict {
  readonly owner: FieldOwner;
  readonly key: string;
  readonly path: FieldPath;
}

// The same value is owned by both; only another one is a conflict.
function conflicts(
  { kind, live, applied: wanted }: ApplyWrite,
  fields: FieldSet,
  others: readonly FieldOwner[],
): Conflict[] {
  return others.flatMap((owner) =>
    [...owner.fields].flatMap(([key, path]) => {
      // Items of list maps are shared; their fields are not.
      const isItem = path.at(-1)?.startsWith('k:') === true;
      const value = fieldValue(kind, wanted, path);
      // Nor is an empty map, which merges with any other.
      const isSet = fields.has(key) && !isItem && !isPlainObject(value);
      return isSet && !isSame(fieldValue(kind, live, path), value) ? [{ owner, key, path }] : [];
    }),
  );
}

function printConflict({ owner, path }: Conflict): string {
  return `conflict with ${JSON.stringify(owner.manager)}: ${printField(path)}`;
}

function sameKeys(one: FieldSet, other: FieldSet): boolean {
  return one.size === other.size && [...one.keys()].every((key) => other.has(key));
}

function merged(kind: FakeKind, live: unknown, wanted: unknown, path: FieldPath): unknown {
  if (isPlainObject(wanted)) {
    const result: PlainObject = isPlainObject(live) ? { ...live } : {};
    for (const [name, value] of Object.entries(wanted))
      result[name] = merged(kind, result[name], value, [...path, `f:${name}`]);
    return result;
  }
  if (!Array.isArray(wanted) || !Array.isArray(live)) return wanted;
  const wantedItems = itemsOf(kind, wanted, path);
  const liveItems = itemsOf(kind, live, path);
  if (wantedItems === null || liveItems === null) return wanted;
  const liveByPart = new Map(liveItems.map(({ part, item }) => [part, item]));
  return inMergedOrder(
    liveItems.map(({ part }) => part),
    wantedItems.map(({ part }) => part),
  ).map((part) => {
    const wantedItem = wantedItems.find((item) => item.part === part);
    return wantedItem === undefined
      ? liveByPart.get(part)
      : merged(kind, liveByPart.get(part), wantedItem.item, [...path, part]);
  });
}

/** Applied items keep the order that they were applied in; the others stay before the first shared item that they stood before. Measured on kube-apiserver. */
function inMergedOrder(live: readonly string[], wanted: readonly string[]): string[] {
  const order: string[] = [];
  let next = 0;
  for (const part of live) {
    const place = wanted.indexOf(part);
    const nextShared = wanted.findIndex((one, index) => index >= next && live.includes(one));
    if (place < 0) order.push(part);
    else if (place === nextShared) {
      order.push(...wanted.slice(next, place + 1));
      next = place + 1;
    }
  }
  return [...order, ...wanted.slice(next)];
}

/** `kept` are the fields that somebody still owns: an item with one of them stays. */
function removeFields(
  kind: FakeKind,
  object: PlainObject,
  paths: readonly FieldPath[],
  kept: readonly FieldPath[],
): void {
  for (const path of paths) {
    const isItem = path.at(-1)?.startsWith('f:') === false;
    if (isItem && kept.some((other) => isWithin(other, path))) continue;
    removeField(kind, object, path);
  }
}

function removeField(kind: FakeKind, object: PlainObject, path: FieldPath): void {
  const last = path.at(-1) ?? '';
  const parentPath = path.slice(0, -1);
  const parent = fieldValue(kind, object, parentPath);
  if (isPlainObject(parent)) Reflect.deleteProperty(parent, last.slice(2));
  if (Array.isArray(parent)) {
    const place = itemsOf(kind, parent, parentPath)?.findIndex(({ part }) => part === last) ?? -1;
    if (place >= 0) parent.splice(place, 1);
  }
  if (parentPath.length > 1 && isEmpty(parent)) removeField(kind, object, parentPath);
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
