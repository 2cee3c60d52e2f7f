// Single requests to a lab's API server, for what the lab itself and its tests ask. The product has its own client.
import { request } from 'node:https';

export interface ApiAddress {
  /** `https://HOST:PORT`. */
  url: string;
  /** PEM of the CA that signed the server's certificate. */
  ca: string;
}

export interface ApiCall {
  path: string;
  token: string;
  /** GET when absent. */
  method?: string;
  /** Sent as JSON. */
  body?: unknown;
  /** 60 s when absent. */
  timeoutMs?: number;
}

export interface ApiAnswer {
  status: number;
  text: string;
}

/** Rejects when there is no answer, never for its status. One connection a call. */
export function requestApi({ url, ca }: ApiAddress, call: ApiCall): Promise<ApiAnswer> {
  const { path, token, method = 'GET', body, timeoutMs = 60_000 } = call;
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, url),
      {
        ca,
        method,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
