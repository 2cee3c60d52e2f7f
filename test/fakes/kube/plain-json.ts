// Objects of the fake as what goes over the wire: JSON, copied on the way in and frozen, so that no caller changes what others see.
import type { KubeObject } from '../../../src/api/kube-object.ts';

export type PlainObject = Record<string, unknown>;

export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A copy that shares nothing, without undefined. */
export function copyOf(value: object): PlainObject {
  return JSON.parse(JSON.stringify(value)) as PlainObject;
}

export function frozen(object: PlainObject): KubeObject {
  freezeAll(object);
  return object as unknown as KubeObject;
}

function freezeAll(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeAll(part);
}

/** Same JSON, whatever the order of fields. */
export function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isSame(item, other[index]));
  if (!isPlainObject(one) || !isPlainObject(other)) return one === other;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => key in other && isSame(one[key], other[key]))
  );
}

/** The value at a path of field names; undefined where there is none. */
export function valueAt(object: unknown, path: readonly string[]): unknown {
  let value: unknown = object;
  for (const name of path) value = isPlainObject(value) ? value[name] : undefined;
  return value;
}

/** metadata of an object, for reading. */
export function metadataOf(object: PlainObject): PlainObject {
  return isPlainObject(object['metadata']) ? object['metadata'] : {};
}
