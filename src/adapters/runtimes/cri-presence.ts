// Asks whether anybody speaks the CRI behind a socket, with Node's own HTTP/2: gRPC's library, which costs 30 MB, is loaded only where it is needed.
// Docker's containerd has a socket, but its CRI plugin is off.
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';

const TIMEOUT_MS = 10_000;
/** gRPC's frame of an empty message: not compressed, length 0. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/** Resolves when the CRI's call Version is answered. Rejects with RuntimeUnavailable. */
export async function requireCri(socketPath: string, path: string): Promise<void> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socketPath) });
  try {
    const { status, message } = await ask(session, path);
    if (status !== '0') throw new RuntimeUnavailable(`${path}: ${message} (gRPC status ${status})`);
  } finally {
    session.destroy();
  }
}

function ask(
  session: ClientHttp2Session,
  path: string,
): Promise<{ readonly status: string; readonly message: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(new RuntimeUnavailable(`${path}: ${error.message}`, { cause: error }));
    };
    session.on('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let said: IncomingHttpHeaders = {};
    const take = (headers: IncomingHttpHeaders): void => {
      said = { ...said, ...headers };
    };
    // A refusal comes in the headers, else the status follows the message.
    stream.on('response', take).on('trailers', take).on('error', fail);
    stream.on('close', () => {
      const status = said['grpc-status'];
      if (typeof status !== 'string') fail(new Error('what answers does not speak gRPC'));
      else resolve({ status, message: decodeURIComponent(String(said['grpc-message'] ?? '')) });
    });
    stream.setTimeout(TIMEOUT_MS, () => {
      stream.destroy(new Error(`no answer within ${(TIMEOUT_MS / 1000).toString()} s`));
    });
    stream.resume();
    stream.end(EMPTY_MESSAGE);
  });
}
