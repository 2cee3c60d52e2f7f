// JSON of the API server, read as what it is: unknown until looked at.
import type { KubeObject } from '../../api/kube-object.ts';

/** undefined: not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** null: nothing that could be an object of the API. Only the outermost shape is looked at; the rest is for who knows the kind. */
export function asKubeObject(value: unknown): KubeObject | null {
  if (!isRecord(value) || !isRecord(value['metadata'])) return null;
  return typeof value['kind'] === 'string' && typeof value['apiVersion'] === 'string'
    ? (value as unknown as KubeObject)
    : null;
}
