// The path and the query of a request to the Kubernetes API. Sends nothing.
import type { KubeResource, ObjectRef } from '../../api/kube-object.ts';
import { KubeApiError } from '../../ports/kube-api.ts';

export type QueryValue = string | number | boolean | undefined;

/** Path of a collection: of one namespace, or of all where `namespace` is absent. */
export function collectionPath(resource: KubeResource, namespace: string | undefined): string {
  const group = resource.group === '' ? '/api' : `/apis/${segment(resource.group)}`;
  const root = `${group}/${segment(resource.version)}`;
  if (namespace === undefined) return `${root}/${segment(resource.plural)}`;
  if (!resource.namespaced) throw badRequest(`${resource.plural} have no namespace`);
  return `${root}/namespaces/${segment(namespace)}/${segment(resource.plural)}`;
}

/** Path of the collection that an object of `resource` is created in. */
export function creationPath(resource: KubeResource, namespace: string | undefined): string {
  if (resource.namespaced && namespace === undefined)
    throw badRequest(`an object of ${resource.plural} needs a namespace`);
  return collectionPath(resource, namespace);
}

/** Path of one object, or of its subresource. */
export function objectPath(resource: KubeResource, ref: ObjectRef, subresource?: string): string {
  const path = `${creationPath(resource, ref.namespace)}/${segment(ref.name)}`;
  return subresource === undefined ? path : `${path}/${segment(subresource)}`;
}

/** "?a=1&b=2", in the order given, without what is undefined; empty when nothing is left. */
export function queryString(values: Readonly<Record<string, QueryValue>>): string {
  const pairs = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

// An empty segment would turn the deletion of one object into that of its whole collection, and so would ".." for a proxy that tidies paths.
// Source: k8s.io/apimachinery pkg/api/validation/path, which lets no name be "." or ".." or hold "/" or "%".
function segment(name: string): string {
  if (['', '.', '..'].includes(name) || /[/%]/.test(name))
    throw badRequest(`${JSON.stringify(name)} can be no name`);
  return encodeURIComponent(name);
}

function badRequest(message: string): KubeApiError {
  return new KubeApiError(message, { status: 400, reason: 'BadRequest', retryAfterMs: null });
}
