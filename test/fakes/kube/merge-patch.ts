// JSON merge patch, RFC 7386.
import { isPlainObject } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';

export function mergePatched(target: unknown, patch: unknown): unknown {
  if (!isPlainObject(patch)) return patch;
  const result: PlainObject = isPlainObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, name);
    else result[name] = mergePatched(result[name], value);
  }
  return result;
}
