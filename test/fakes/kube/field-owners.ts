// Who owns which field of an object: metadata.managedFields, read and written.
import type { FakeKind } from './fake-kind.ts';
import { fieldsOf, fieldValue, fromFieldsV1, toFieldsV1 } from './field-set.ts';
import type { FieldSet } from './field-set.ts';
import { isPlainObject, isSame, metadataOf } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';

/** A manager is another one for each way of writing and each subresource. */
export interface Writer {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly subresource: 'status' | null;
}

export interface FieldOwner extends Writer {
  readonly time: string;
  readonly fields: FieldSet;
}

export function isWriter(owner: Writer, writer: Writer): boolean {
  return (
    owner.manager === writer.manager &&
    owner.operation === writer.operation &&
    owner.subresource === writer.subresource
  );
}

export function readOwners(object: PlainObject): FieldOwner[] {
  const entries = metadataOf(object)['managedFields'];
  if (!Array.isArray(entries)) return [];
  return entries.filter(isPlainObject).map((entry) => ({
    manager: String(entry['manager']),
    operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
    subresource: entry['subresource'] === 'status' ? 'status' : null,
    time: String(entry['time']),
    fields: fromFieldsV1(entry['fieldsV1']),
  }));
}

/** Into `object`, without owners of nothing. */
export function writeOwners(object: PlainObject, owners: readonly FieldOwner[]): void {
  const entries = owners
    .filter(({ fields }) => fields.size > 0)
    .map(({ manager, operation, subresource, time, fields }) => ({
      manager,
      operation,
      apiVersion: object['apiVersion'],
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource === null ? {} : { subresource }),
    }));
  object['metadata'] = { ...metadataOf(object), managedFields: entries };
}

export interface PlainWrite {
  readonly kind: FakeKind;
  readonly before: PlainObject | null;
  readonly after: PlainObject;
  readonly writer: Writer;
  readonly time: string;
}

/** Owners after a write that is no apply: what it changed is its writer's, and nobody else's any longer. */
export function ownersAfterUpdate({ kind, before, after, writer, time }: PlainWrite): FieldOwner[] {
  const old = before === null ? [] : readOwners(before);
  const fields = fieldsOf(kind, after);
  const changed = new Set(
    [...fields].flatMap(([key, path]) =>
      before !== null && isSame(fieldValue(kind, before, path), fieldValue(kind, after, path)) ? [] : [key],
    ),
  );
  const isOwn = (owner: Writer): boolean => isWriter(owner, writer);
  const others = old.map((owner) => ({
    ...owner,
    fields: filtered(owner.fields, (key) => fields.has(key) && (isOwn(owner) || !changed.has(key))),
  }));
  const own = others.find(isOwn);
  const ownFields: FieldSet = new Map([
    ...(own?.fields ?? []),
    ...filtered(fields, (key) => changed.has(key)),
  ]);
  const now = { ...writer, fields: ownFields, time: changed.size > 0 ? time : (own?.time ?? time) };
  return own === undefined ? [...others, now] : others.map((owner) => (isOwn(owner) ? now : owner));
}

function filtered(fields: FieldSet, keeps: (key: string) => boolean): FieldSet {
  return new Map([...fields].filter(([key]) => keeps(key)));
}
