// Speaks HTTP with a container engine over its unix socket. Knows nothing of what is asked.
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';
import { errorCode } from './error-code.ts';

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With the API version and the query. */
  readonly path: string;
  readonly body?: unknown;
  /** null: wait as long as it takes. */
  readonly timeoutMs: number | null;
}

/** True when the request never reached an engine: then nothing was begun. */
export function isUnsent(error: RuntimeUnavailable): boolean {
  return ['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTSOCK'].includes(errorCode(error.cause) ?? '');
}

export interface EngineAnswer {
  readonly status: number;
  readonly text: string;
}

const ANSWER_LIMIT_BYTES = 64 * 1024 * 1024;

/** One request, one answer of any status. Rejects with RuntimeUnavailable when there is no whole answer. */
export function askEngine(socketPath: string, asked: EngineRequest): Promise<EngineAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(new RuntimeUnavailable(`${asked.method} ${asked.path}: ${error.message}`, { cause: error }));
    };
    const body = asked.body === undefined ? undefined : JSON.stringify(asked.body);
    const call = request(
      {
        socketPath,
        method: asked.method,
        path: asked.path,
        // One connection each: the engine is asked seldom, and an idle connection would end with every restart of it.
        agent: false,
        headers: body === undefined ? { host: 'engine' } : jsonHeaders(body),
        ...(asked.timeoutMs === null ? {} : { signal: AbortSignal.timeout(asked.timeoutMs) }),
      },
      (answer) => {
        readText(answer).then((text) => {
          resolve({ status: answer.statusCode ?? 0, text });
        }, fail);
      },
    );
    call.on('error', fail);
    call.end(body);
  });
}

/** Opens a stream that goes on until `signal` aborts or the engine ends it; calls `onData` for each piece. Resolves at its end, however it ends. */
export function followEngine(
  socketPath: string,
  path: string,
  signal: AbortSignal,
  on: { readonly open: () => void; readonly data: () => void },
): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      resolve();
    };
    const call = request(
      { socketPath, path, agent: false, headers: { host: 'engine' }, signal },
      (answer) => {
        answer.on('end', end).on('error', end).on('close', end);
        if (answer.statusCode !== 200) {
          answer.destroy();
          return;
        }
        on.open();
        answer.on('data', on.data);
      },
    );
    call.on('error', end);
    // A stream must not keep a program alive that has nothing else to do.
    call.on('socket', (socket) => socket.unref());
    call.end();
  });
}

function jsonHeaders(body: string): Record<string, string | number> {
  return { host: 'engine', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > ANSWER_LIMIT_BYTES) throw new Error('the answer is longer than 64 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
