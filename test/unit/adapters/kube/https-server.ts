// A small HTTPS server on 127.0.0.1 that counts its connections and remembers what it was asked: for what only the wire can show.
import { createSecureServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { RequestListener } from 'node:http';
import { createServer as createHttp1Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SelfSigned } from './self-signed.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Http2ServerRequest['headers'];
  readonly body: string;
  readonly httpVersion: string;
  /** The client showed a certificate that the server trusts. */
  readonly isCertified: boolean;
}

export type Answer = (request: SeenRequest, response: Http2ServerResponse) => void;

export interface HttpsServer {
  readonly port: number;
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** TCP connections so far. */
  connections(): number;
  /** For connections from now on. */
  useCertificate(certificate: SelfSigned): void;
  /** Ends all connections without a word. */
  cut(): void;
  close(): Promise<void>;
}

export interface HttpsServerOptions {
  readonly certificate: SelfSigned;
  readonly answer: Answer;
  /** Default: HTTP/2 and HTTP/1.1. */
  readonly onlyHttp1?: boolean;
  /** Asks clients for certificates and trusts this one. */
  readonly clientCertificate?: string;
}

export async function startHttpsServer(options: HttpsServerOptions): Promise<HttpsServer> {
  const { certificate, answer, onlyHttp1, clientCertificate } = options;
  const requests: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const listen = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    const chunks: Buffer[] = [];
    const tls = request.httpVersion === '2.0' ? request.stream.session?.socket : request.socket;
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const seen = {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        httpVersion: request.httpVersion,
        isCertified: (tls as { readonly authorized?: boolean } | undefined)?.authorized === true,
      };
      requests.push(seen);
      answer(seen, response);
    });
  };
  const trust =
    clientCertificate === undefined
      ? {}
      : { requestCert: true, rejectUnauthorized: false, ca: clientCertificate };
  const server =
    onlyHttp1 === true
      ? // The two kinds of requests and answers look alike where they are used here.
        createHttp1Server(certificate, listen as unknown as RequestListener)
      : createSecureServer({ ...certificate, ...trust, allowHTTP1: true }, listen);
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    url: `https://127.0.0.1:${port}`,
    requests,
    connections: () => connections,
    useCertificate: (next) => {
      server.setSecureContext(next);
    },
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function answerJson(response: Http2ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
