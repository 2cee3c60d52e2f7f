// The local HTTP address of a program: /healthz, /readyz, /metrics. Read-only; says nothing about containers by name.
import { createServer, type ServerResponse } from 'node:http';

export interface StatusPages {
  /** null: healthy; else what is wrong. */
  health(): string | null;
  /** null: ready; else what is missing. */
  readiness(): string | null;
  /** Prometheus text and its content type. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface StatusServer {
  /** "127.0.0.1:9808", with the real port when 0 was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

/** Listens on `listen` ("host:port", "[::1]:port"). Rejects with the error of the address (in use, not local). */
export async function startStatusServer(listen: string, pages: StatusPages): Promise<StatusServer> {
  const { host, port } = parseListenAddress(listen);
  const server = createServer((request, response) => {
    respond(request.method ?? '', request.url ?? '', response, pages).catch(() => {
      send(response, 500, 'text/plain', 'internal error\n');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${boundPort.toString()}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** Throws on anything but host:port with a port of 0 to 65535. */
export function parseListenAddress(listen: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new Error(`"${listen}" is not an address: write host:port, such as 127.0.0.1:9808`);
  return { host: match[1] ?? match[2] ?? '', port };
}

async function respond(
  method: string,
  url: string,
  response: ServerResponse,
  pages: StatusPages,
): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    send(response, 405, 'text/plain', 'only GET\n');
    return;
  }
  switch (url.split('?')[0]) {
    case '/healthz':
      sendVerdict(response, pages.health());
      return;
    case '/readyz':
      sendVerdict(response, pages.readiness());
      return;
    case '/metrics': {
      const { contentType, text } = await pages.metrics();
      send(response, 200, contentType, text);
      return;
    }
    default:
      send(response, 404, 'text/plain', 'there are /healthz, /readyz and /metrics\n');
  }
}

function sendVerdict(response: ServerResponse, problem: string | null): void {
  send(response, problem === null ? 200 : 503, 'text/plain', `${problem ?? 'ok'}\n`);
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType });
  response.end(body);
}
