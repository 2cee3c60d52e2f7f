// One request to the API server and its answer, whole or as a stream. Knows no verbs and no kinds.
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Readable } from 'node:stream';
import type { Clock } from '../../ports/clock.ts';
import { KubeUnreachable } from '../../ports/kube-api.ts';
import { unreachable } from './api-error.ts';
import type { WholeAnswer } from './api-error.ts';
import type { KubeConnection } from './kube-connection.ts';

/** Far over any page of a list. */
const ANSWER_LIMIT_BYTES = 256 * 1024 * 1024;

const decompress = promisify(gunzip);

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query, without the server's base path. */
  readonly path: string;
  readonly body?: unknown;
  /** Of the body; default application/json. */
  readonly contentType?: string;
  /** The answer may come compressed. */
  readonly compressed?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface KubeTransport {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly userAgent: string;
  /** For a whole call; for a stream, until its headers are there. */
  readonly timeoutMs: number;
}

/** How a request is called in messages. */
export function asked({ method, path }: KubeRequest): string {
  return `${method} ${path.split('?', 1)[0] ?? path}`;
}

/** An answer of any status, with its whole text. Rejects with KubeUnreachable, or with the reason of the aborted signal. */
export async function ask(transport: KubeTransport, request: KubeRequest): Promise<WholeAnswer> {
  const limit = deadline(transport, request.signal);
  try {
    return await wholeAnswer(await send(transport, request, limit.signal));
  } catch (error) {
    throw failure(request, error, limit);
  } finally {
    limit.cancel();
  }
}

/** An accepted request whose text has yet to come, for as long as it takes; or the whole answer that refused it. */
export type OpenedStream = { readonly body: Readable } | { readonly refused: WholeAnswer };

/** Rejects as `ask`; the signal ends the body too. */
export async function openStream(transport: KubeTransport, request: KubeRequest): Promise<OpenedStream> {
  const limit = deadline(transport, request.signal);
  try {
    const answer = await send(transport, request, limit.signal);
    return answer.status === 200 ? { body: answer.body } : { refused: await wholeAnswer(answer) };
  } catch (error) {
    throw failure(request, error, limit);
  } finally {
    limit.cancel();
  }
}

interface Deadline {
  /** Aborts with the caller's signal, or when the time is up before `cancel`. */
  readonly signal: AbortSignal;
  readonly caller: AbortSignal | undefined;
  readonly isUp: () => boolean;
  readonly cancel: () => void;
}

function deadline({ clock, timeoutMs }: KubeTransport, caller: AbortSignal | undefined): Deadline {
  caller?.throwIfAborted();
  const timer = new AbortController();
  const cancel = clock.after(timeoutMs, () => {
    timer.abort(new KubeUnreachable(`no answer within ${timeoutMs / 1000} s`));
  });
  const signal = caller === undefined ? timer.signal : AbortSignal.any([caller, timer.signal]);
  return { signal, caller, isUp: () => timer.signal.aborted, cancel };
}

function failure(request: KubeRequest, error: unknown, limit: Deadline): Error {
  limit.caller?.throwIfAborted();
  return unreachable(asked(request), limit.isUp() ? limit.signal.reason : error);
}

interface StartedAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly isGzip: boolean;
  readonly body: Readable;
}

async function send(
  { connection, userAgent }: KubeTransport,
  request: KubeRequest,
  signal: AbortSignal,
): Promise<StartedAnswer> {
  const { dispatcher, headers } = await unlessAborted(connection.access(), signal);
  const body = request.body === undefined ? null : JSON.stringify(request.body);
  const answer = await dispatcher.request({
    origin: connection.origin,
    path: connection.basePath + request.path,
    method: request.method,
    headers: {
      ...lowerCaseNames(headers),
      accept: 'application/json',
      'user-agent': userAgent,
      ...(request.compressed === true ? { 'accept-encoding': 'gzip' } : {}),
      ...(body === null ? {} : { 'content-type': request.contentType ?? 'application/json' }),
    },
    body,
    signal,
    // The deadline above counts for calls; a watch is silent for as long as nothing happens.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const retryAfter = answer.headers['retry-after'];
  return {
    status: answer.statusCode,
    retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    isGzip: answer.headers['content-encoding'] === 'gzip',
    body: answer.body,
  };
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

async function wholeAnswer({ status, retryAfter, isGzip, body }: StartedAnswer): Promise<WholeAnswer> {
  const bytes = await readAll(body);
  const plain = isGzip ? await decompress(bytes, { maxOutputLength: ANSWER_LIMIT_BYTES }) : bytes;
  return { status, retryAfter, text: plain.toString('utf8') };
}

async function readAll(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > ANSWER_LIMIT_BYTES) throw new Error(`the answer is longer than ${ANSWER_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** `promise`, or the reason of the signal: for work that knows no signals (a login program). */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}
