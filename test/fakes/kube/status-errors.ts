// The refusals of an API server, with the codes, reasons and roughly the words of the real one.
import { KubeApiError } from '../../../src/ports/kube-api.ts';
import type { KubeResource } from '../../../src/api/kube-object.ts';

function refusal(
  status: number,
  reason: string,
  message: string,
  retryAfterMs: number | null = null,
): KubeApiError {
  return new KubeApiError(message, { status, reason, retryAfterMs });
}

/** "widgets.example.com", or "pods". */
export function qualified({ group, plural }: KubeResource): string {
  return group === '' ? plural : `${plural}.${group}`;
}

export const refused = {
  badRequest: (message: string) => refusal(400, 'BadRequest', message),
  forbidden: (message: string) => refusal(403, 'Forbidden', message),
  notFound: (resource: KubeResource, name: string) =>
    refusal(404, 'NotFound', `${qualified(resource)} "${name}" not found`),
  unknownKind: (resource: KubeResource) => refusal(404, '', `404 page not found: ${qualified(resource)}`),
  alreadyExists: (resource: KubeResource, name: string) =>
    refusal(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`),
  conflict: (resource: KubeResource, name: string, why: string) =>
    refusal(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`),
  applyConflict: (conflicts: readonly string[]) =>
    refusal(
      409,
      'Conflict',
      `Apply failed with ${conflicts.length} conflict${conflicts.length === 1 ? '' : 's'}: ${conflicts.join('; ')}`,
    ),
  expired: (message: string) => refusal(410, 'Expired', message),
  invalid: (resource: KubeResource, name: string, why: string) =>
    refusal(422, 'Invalid', `${resource.kind}.${resource.group} "${name}" is invalid: ${why}`),
  tooLargeRevision: (revision: string) =>
    refusal(504, 'Timeout', `Timeout: Too large resource version: ${revision}`, 1000),
  /** `reason` as the server gives it for such a code. */
  status: (status: number, retryAfterMs: number | null) =>
    refusal(status, REASONS[status] ?? '', `the fake server answers ${status}`, retryAfterMs),
};

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};
