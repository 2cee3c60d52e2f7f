// Turns what the API server answers instead of success into KubeApiError, and what the network does into KubeUnreachable. Retries nothing.
import { KubeApiError, KubeUnreachable } from '../../ports/kube-api.ts';
import { isRecord, parseJson } from './json.ts';
import { parseRetryAfter } from './retry-after.ts';

const MESSAGE_LIMIT = 2048;

export interface WholeAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** What a metav1.Status says; each part null where it does not. */
interface StatusParts {
  readonly code: number | null;
  readonly message: string | null;
  readonly reason: string | null;
  readonly retryAfterMs: number | null;
  /** It is about one object, not about an unknown kind or path. */
  readonly namesObject: boolean;
}

/** `asked` is "GET /path", for answers that say nothing themselves. The header Retry-After counts before the Status. */
export function apiError(asked: string, answer: WholeAnswer, nowMs: number): KubeApiError {
  const said = statusParts(parseJson(answer.text));
  const plain = answer.text.trim().slice(0, MESSAGE_LIMIT);
  return new KubeApiError(said?.message ?? `${asked}: ${plain === '' ? 'no message' : plain}`, {
    status: answer.status,
    reason: said?.reason ?? '',
    retryAfterMs: parseRetryAfter(answer.retryAfter, nowMs) ?? said?.retryAfterMs ?? null,
  });
}

/** An ERROR event of a watch: its object is a metav1.Status with the code in it. */
export function watchError(asked: string, object: unknown): KubeApiError {
  const said = statusParts(object);
  return new KubeApiError(said?.message ?? `${asked}: the server ended the watch with an unknown error`, {
    status: said?.code ?? 500,
    reason: said?.reason ?? '',
    retryAfterMs: said?.retryAfterMs ?? null,
  });
}

/** 404 of an object; the same code for a kind or a path that the server does not know at all is false: that is no answer to "is it there". */
export function isMissingObject({ status, text }: WholeAnswer): boolean {
  if (status !== 404) return false;
  const said = statusParts(parseJson(text));
  return said?.reason === 'NotFound' && said.namesObject;
}

/** For whatever went wrong before there was an answer. */
export function unreachable(asked: string, error: unknown): KubeUnreachable {
  return new KubeUnreachable(`${asked}: ${errorText(error)}`, { cause: error });
}

function statusParts(value: unknown): StatusParts | null {
  if (!isRecord(value) || value['kind'] !== 'Status') return null;
  const details = isRecord(value['details']) ? value['details'] : {};
  const seconds = details['retryAfterSeconds'];
  return {
    code: typeof value['code'] === 'number' ? value['code'] : null,
    message: textOf(value['message']),
    reason: textOf(value['reason']),
    retryAfterMs: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : null,
    namesObject: textOf(details['name']) !== null,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

// Not by instanceof: errors of Node's own modules belong to another realm under some test runners.
function errorText(error: unknown): string {
  if (!isRecord(error)) return String(error);
  // Connecting to several addresses of a name fails with an AggregateError that says nothing itself.
  const [first] = Array.isArray(error['errors']) ? (error['errors'] as unknown[]) : [];
  return textOf(error['message']) ?? (first === undefined ? null : errorText(first)) ?? 'unknown error';
}
