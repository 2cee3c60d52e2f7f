import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Http2ServerResponse } from 'node:http2';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../../../../src/adapters/clock/system-clock.ts';
import { createKubeApi } from '../../../../src/adapters/kube/kube-api.ts';
import type { ConnectedKubeApi } from '../../../../src/adapters/kube/kube-api.ts';
import type { KubeConfigSource } from '../../../../src/adapters/kube/kube-config.ts';
import { CHECKPOINT_NODES, CONFIG_MAPS, NODES, PODS } from '../../../../src/api/kube-resources.ts';
import type { WatchEvent } from '../../../../src/ports/kube-api.ts';
import { answerJson, startHttpsServer } from './https-server.ts';
import type { Answer, HttpsServer, HttpsServerOptions } from './https-server.ts';
import { selfSigned } from './self-signed.ts';

const certificate = selfSigned('first');
const CONFIG_MAP = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'shop', name: 'a' } };
const REF = { namespace: 'shop', name: 'a' };

let folder: string;
let server: HttpsServer;
/** What the server answers to everything but a watch. */
let answer: Answer;
const watches: Http2ServerResponse[] = [];
const opened: { close(): Promise<unknown> }[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ghostlimit-kube-'));
  watches.length = 0;
  answer = (_request, response) => {
    answerJson(response, CONFIG_MAP);
  };
});
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close();
  await rm(folder, { recursive: true, force: true });
});

async function startServer(options: Partial<HttpsServerOptions> = {}): Promise<void> {
  server = await startHttpsServer({
    certificate,
    answer: (request, response) => {
      if (!request.url.includes('watch=true')) {
        answer(request, response);
        return;
      }
      watches.push(response);
      response.writeHead(200, { 'content-type': 'application/json' });
      // A first byte, so that the headers go out over HTTP/1.1 too; empty lines are no events.
      response.write('\n');
    },
    ...options,
  });
  opened.push(server);
}

interface Login {
  readonly user?: object;
  readonly cluster?: object;
  readonly namespace?: string;
}

function kubeconfig({ user = { token: 'secret' }, cluster = {}, namespace }: Login = {}): KubeConfigSource {
  const authority = { 'certificate-authority-data': Buffer.from(certificate.cert).toString('base64') };
  const text = JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: server.url, ...authority, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'x', context: { cluster: 'c', user: 'u', ...(namespace === undefined ? {} : { namespace }) } },
    ],
    'current-context': 'x',
  });
  return { from: 'Text', text };
}

function open(source: KubeConfigSource = kubeconfig(), timeoutMs = 30_000): ConnectedKubeApi {
  const api = createKubeApi({ source, version: '1.2.3', component: 'agent', clock: systemClock, timeoutMs });
  opened.push(api);
  return api;
}

/** Reads a watch in the background, until it ends; `ended` says how. */
function follow(
  api: ConnectedKubeApi,
  plural = PODS,
): { events: WatchEvent[]; ended: Promise<unknown>; stop: () => void } {
  const events: WatchEvent[] = [];
  const controller = new AbortController();
  const read = async (): Promise<void> => {
    const options = { resourceVersion: '7', timeoutSeconds: 600, signal: controller.signal };
    for await (const event of api.watch(plural, options)) events.push(event);
  };
  const ended = read().then(
    () => null,
    (error: unknown) => error,
  );
  return {
    events,
    ended,
    stop: () => {
      controller.abort(new Error('stopped'));
    },
  };
}

async function eventually(isSo: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (!isSo()) {
    if (Date.now() > giveUpAt) throw new Error('it did not come to that in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function sendEvent(watch: Http2ServerResponse | undefined, name: string, more: object = {}): void {
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, ...more };
  watch?.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
}

describe('connections', () => {
  test('three watches and calls, all at once from the start, share one', async () => {
    await startServer();
    const api = open();
    const followed = [PODS, CHECKPOINT_NODES, CONFIG_MAPS].map((resource) => follow(api, resource));
    await Promise.all(Array.from({ length: 40 }, () => api.get(CONFIG_MAPS, REF)));
    await eventually(() => watches.length === 3);
    for (const watch of watches) sendEvent(watch, 'one');
    await eventually(() => followed.every(({ events }) => events.length === 1));
    await Promise.all(Array.from({ length: 40 }, () => api.get(CONFIG_MAPS, REF)));
    expect(server.connections()).toBe(1);
    expect(new Set(server.requests.map(({ httpVersion }) => httpVersion))).toEqual(new Set(['2.0']));
    for (const { stop, ended } of followed) {
      stop();
      expect(await ended).toMatchObject({ message: 'stopped' });
    }
  });

  test('without HTTP/2 a watch holds a connection of its own, and calls share others', async () => {
    await startServer({ onlyHttp1: true });
    const api = open();
    const followed = follow(api);
    await eventually(() => watches.length === 1);
    for (let count = 0; count < 5; count += 1) await api.get(CONFIG_MAPS, REF);
    sendEvent(watches[0], 'one');
    await eventually(() => followed.events.length === 1);
    // A pool: six requests need no six connections.
    expect(server.connections()).toBeLessThan(6);
    expect(server.requests.every(({ httpVersion }) => httpVersion === '1.1')).toBe(true);
    followed.stop();
    await followed.ended;
  });

  test('a broken one breaks the watch, and the next request makes another', async () => {
    await startServer();
    const api = open();
    const followed = follow(api);
    await eventually(() => watches.length === 1);
    server.cut();
    expect(await followed.ended).toMatchObject({ name: 'KubeUnreachable' });
    expect(await api.get(CONFIG_MAPS, REF)).toEqual(CONFIG_MAP);
    expect(server.connections()).toBe(2);
  });

  test('leaving a watch ends its stream and not the connection', async () => {
    await startServer();
    const api = open();
    const signal = AbortSignal.timeout(60_000);
    const stream = api.watch(PODS, { resourceVersion: '7', timeoutSeconds: 600, signal });
    const watch = stream[Symbol.asyncIterator]();
    const first = watch.next();
    await eventually(() => watches.length === 1);
    const closed = once(watches[0] as Http2ServerResponse, 'close');
    sendEvent(watches[0], 'one');
    await first;
    await watch.return?.();
    await closed;
    await api.get(CONFIG_MAPS, REF);
    expect(server.connections()).toBe(1);
  });

  test('the server may send far more than the consumer has taken', async () => {
    await startServer();
    const api = open();
    const signal = AbortSignal.timeout(60_000);
    const stream = api.watch(PODS, { resourceVersion: '7', timeoutSeconds: 600, signal });
    const watch = stream[Symbol.asyncIterator]();
    const first = watch.next();
    await eventually(() => watches.length === 1);
    const note = 'x'.repeat(1000);
    for (let count = 0; count < 5000; count += 1) sendEvent(watches[0], `pod-${count}`, { note });
    const sent = new Promise<void>((resolve) => {
      watches[0]?.end(() => {
        resolve();
      });
    });
    await first;
    await sent;
    let last = '';
    for (let next = await watch.next(); next.done !== true; next = await watch.next())
      last = next.value.object.metadata.name;
    expect(last).toBe('pod-4999');
  });

  test('through a proxy', async () => {
    await startServer();
    const targets: string[] = [];
    const proxy = createServer().on('connect', (request, socket) => {
      targets.push(request.url ?? '');
      const upstream = connect(server.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [socket, upstream]) end.on('error', () => undefined);
      socket.on('close', () => upstream.destroy());
      upstream.on('close', () => socket.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    opened.push({ close: () => new Promise((resolve) => proxy.close(resolve)) });
    const { port } = proxy.address() as AddressInfo;
    const api = open(kubeconfig({ cluster: { 'proxy-url': `http://127.0.0.1:${port}` } }));
    expect(await api.get(CONFIG_MAPS, REF)).toEqual(CONFIG_MAP);
    expect(targets).toEqual([`127.0.0.1:${server.port}`]);
  });
});

describe('who we are', () => {
  test('a token, a user agent, JSON; no compression but for lists', async () => {
    await startServer();
    await open().get(CONFIG_MAPS, REF);
    const [seen] = server.requests;
    expect(seen).toMatchObject({
      method: 'GET',
      url: '/api/v1/namespaces/shop/configmaps/a',
      headers: {
        authorization: 'Bearer secret',
        'user-agent': 'ghostlimit/1.2.3 (agent)',
        accept: 'application/json',
      },
    });
    expect(seen?.headers).not.toHaveProperty('accept-encoding');
  });

  test('a client certificate', async () => {
    const client = selfSigned('client');
    await startServer({ clientCertificate: client.cert });
    const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
    const user = { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) };
    await open(kubeconfig({ user })).get(CONFIG_MAPS, REF);
    await open().get(CONFIG_MAPS, REF);
    expect(server.requests.map(({ isCertified }) => isCertified)).toEqual([true, false]);
  });

  test('a login program, run once for requests that start together', async () => {
    await startServer();
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'made' },
    };
    const log = join(folder, 'runs');
    const script = 'fs.appendFileSync(process.argv[1], "run\\n"); process.stdout.write(process.argv[2])';
    const args = ['-e', script, log, JSON.stringify(credential)];
    const exec = { apiVersion: credential.apiVersion, command: process.execPath, args };
    const api = open(kubeconfig({ user: { exec } }));
    await Promise.all([api.get(CONFIG_MAPS, REF), api.get(CONFIG_MAPS, REF), api.get(CONFIG_MAPS, REF)]);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer made',
      'Bearer made',
      'Bearer made',
    ]);
    expect(await readFile(log, 'utf8')).toBe('run\n');
  });

  test('a login program that fails is KubeUnreachable, with what it said', async () => {
    await startServer();
    const exec = {
      command: process.execPath,
      args: ['-e', 'console.error("no such account"); process.exit(1)'],
    };
    await expect(open(kubeconfig({ user: { exec } })).get(CONFIG_MAPS, REF)).rejects.toMatchObject({
      name: 'KubeUnreachable',
      message: expect.stringContaining('no such account') as unknown,
    });
  });

  test('a server below a path, and the namespace of the context', async () => {
    await startServer();
    const api = open(
      kubeconfig({ cluster: { server: `${server.url}/k8s/clusters/c-1/` }, namespace: 'shop' }),
    );
    await api.get(CONFIG_MAPS, REF);
    expect(server.requests[0]?.url).toBe('/k8s/clusters/c-1/api/v1/namespaces/shop/configmaps/a');
    expect([api.namespace, open().namespace]).toEqual(['shop', null]);
  });

  test.each([
    [{ from: 'Text', text: '{}' } as const, /no context/],
    [{ from: 'File', path: '/nonexistent/kubeconfig' } as const, /ENOENT/],
  ])('no usable configuration: %j', (source, message) => {
    expect(() => open(source)).toThrow(message);
  });

  test('an unknown context', async () => {
    await startServer();
    expect(() => open({ ...kubeconfig(), context: 'nope' } as KubeConfigSource)).toThrow(
      'no context named "nope"',
    );
  });
});

describe('several files in KUBECONFIG, as kubectl merges them', () => {
  const saved = process.env['KUBECONFIG'];
  afterEach(() => {
    if (saved === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = saved;
  });

  const put = async (name: string, config: object): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, JSON.stringify(config));
    return path;
  };
  const cluster = (name: string, url = server.url) => ({
    name,
    cluster: { server: url, 'certificate-authority': 'ca.crt' },
  });
  const context = (name: string, cluster: string, user: string, namespace = '') => ({
    name,
    context: { cluster, user, ...(namespace !== '' && { namespace }) },
  });
  const use = (...paths: string[]): void => {
    process.env['KUBECONFIG'] = paths.join(':');
  };
  beforeEach(async () => {
    await startServer();
    await writeFile(join(folder, 'ca.crt'), certificate.cert);
  });

  test('a context of one goes with cluster and user of others; paths count from their own file', async () => {
    await mkdir(join(folder, 'lab'), { recursive: true });
    await writeFile(join(folder, 'lab', 'lab.crt'), certificate.cert);
    const lab = { name: 'c', cluster: { server: server.url, 'certificate-authority': 'lab.crt' } };
    use(
      await put('contexts', { contexts: [context('x', 'c', 'u', 'shop')], 'current-context': 'x' }),
      await put('lab/clusters', { clusters: [lab] }),
      await put('users', { users: [{ name: 'u', user: { token: 'of-another-file' } }] }),
    );
    const api = open({ from: 'Default' });
    await api.get(CONFIG_MAPS, REF);
    expect(server.requests[0]?.headers.authorization).toBe('Bearer of-another-file');
    expect(api.namespace).toBe('shop');
  });

  test('the first one to name a cluster, a user, a context or the current context wins', async () => {
    const first = {
      clusters: [cluster('c')],
      users: [{ name: 'u', user: { token: 'first' } }],
      contexts: [context('x', 'c', 'u', 'one')],
      'current-context': 'x',
    };
    const second = {
      clusters: [cluster('c', 'https://127.0.0.1:1')],
      users: [{ name: 'u', user: { token: 'second' } }],
      contexts: [context('x', 'c', 'u', 'two'), context('y', 'c', 'u', 'three')],
      'current-context': 'y',
    };
    use(await put('1', first), await put('2', second));
    const api = open({ from: 'Default' });
    await api.get(CONFIG_MAPS, REF);
    expect(server.requests[0]?.headers.authorization).toBe('Bearer first');
    expect(api.namespace).toBe('one');
    expect(open({ from: 'Default', context: 'y' }).namespace).toBe('three');
  });

  test('empty places and files that are not there are passed over', async () => {
    const config = {
      clusters: [cluster('c')],
      users: [{ name: 'u', user: { token: 'secret' } }],
      contexts: [context('x', 'c', 'u', 'shop')],
      'current-context': 'x',
    };
    use('', join(folder, 'nothing'), await put('only', config), '');
    expect(open({ from: 'Default' }).namespace).toBe('shop');
  });

  test('none of them is there', () => {
    use('/nonexistent/1', '/nonexistent/2');
    expect(() => open({ from: 'Default' })).toThrow(
      'there is no kubeconfig: KUBECONFIG names no file that is there (/nonexistent/1:/nonexistent/2)',
    );
  });

  test('one that makes no sense is named', async () => {
    const path = await put('bad', { clusters: [{ name: 'c' }] });
    use('/nonexistent/1', path);
    expect(() => open({ from: 'Default' })).toThrow(`${path}: clusters[0].cluster is missing`);
  });
});

describe('in a pod', () => {
  const saved = {
    host: process.env['KUBERNETES_SERVICE_HOST'],
    port: process.env['KUBERNETES_SERVICE_PORT'],
  };
  const account = (): string => join(folder, 'var/run/secrets/kubernetes.io/serviceaccount');
  const put = (name: string, text: string): Promise<void> => writeFile(join(account(), name), text);
  const inPod = (): ConnectedKubeApi => open({ from: 'Cluster', pathPrefix: folder });
  beforeEach(async () => {
    await startServer();
    await mkdir(account(), { recursive: true });
    await put('token', 'first\n');
    await put('ca.crt', certificate.cert);
    await put('namespace', 'ghostlimit-system');
    process.env['KUBERNETES_SERVICE_HOST'] = '127.0.0.1';
    process.env['KUBERNETES_SERVICE_PORT'] = String(server.port);
  });
  afterEach(() => {
    restore('KUBERNETES_SERVICE_HOST', saved.host);
    restore('KUBERNETES_SERVICE_PORT', saved.port);
  });

  test('a token that was replaced is used at once, over the same connection', async () => {
    const api = inPod();
    await api.get(CONFIG_MAPS, REF);
    await put('token', 'second');
    await api.get(CONFIG_MAPS, REF);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer first',
      'Bearer second',
    ]);
    expect(server.connections()).toBe(1);
    expect(api.namespace).toBe('ghostlimit-system');
  });

  test('a replaced authority counts for the next request; watches of before go on', async () => {
    const api = inPod();
    const followed = follow(api);
    await eventually(() => watches.length === 1);
    const next = selfSigned('second');
    server.useCertificate(next);
    await put('ca.crt', certificate.cert + next.cert);
    await api.get(CONFIG_MAPS, REF);
    await api.get(CONFIG_MAPS, REF);
    expect(server.connections()).toBe(2);
    sendEvent(watches[0], 'still there');
    await eventually(() => followed.events.length === 1);
    followed.stop();
    await followed.ended;
  });

  test('an authority that did not sign is KubeUnreachable', async () => {
    await put('ca.crt', selfSigned('other').cert);
    await expect(inPod().get(CONFIG_MAPS, REF)).rejects.toMatchObject({ name: 'KubeUnreachable' });
    expect(server.requests).toEqual([]);
  });

  test.each(['token', 'ca.crt'])('%s that is missing is KubeUnreachable, until it is there', async (name) => {
    const api = inPod();
    const text = await readFile(join(account(), name), 'utf8');
    await rm(join(account(), name));
    await expect(api.get(CONFIG_MAPS, REF)).rejects.toMatchObject({
      name: 'KubeUnreachable',
      message: expect.stringContaining('ENOENT') as unknown,
    });
    await put(name, text);
    expect(await api.get(CONFIG_MAPS, REF)).toEqual(CONFIG_MAP);
  });

  test('elsewhere there is none', () => {
    restore('KUBERNETES_SERVICE_HOST', undefined);
    expect(inPod).toThrow('not in a pod');
  });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) Reflect.deleteProperty(process.env, name);
  else process.env[name] = value;
}

describe('answers', () => {
  const status = (code: number, more: object = {}): object => ({
    apiVersion: 'v1',
    kind: 'Status',
    status: 'Failure',
    code,
    ...more,
  });

  test('a Status is KubeApiError with its message and reason', async () => {
    await startServer();
    answer = (_request, response) => {
      answerJson(response, status(409, { reason: 'Conflict', message: 'has been modified' }), 409);
    };
    await expect(open().update(CONFIG_MAPS, CONFIG_MAP)).rejects.toMatchObject({
      name: 'KubeApiError',
      message: 'has been modified',
      status: 409,
      reason: 'Conflict',
      retryAfterMs: null,
    });
  });

  test.each([
    ['the header in seconds', '3', {}, 3000],
    ['the header before the Status', '3', { retryAfterSeconds: 9 }, 3000],
    ['the Status', undefined, { retryAfterSeconds: 9 }, 9000],
    ['nothing', undefined, {}, null],
  ])('when to come back: %s', async (_what, header, details, expected) => {
    await startServer();
    answer = (_request, response) => {
      if (header !== undefined) response.setHeader('retry-after', header);
      answerJson(response, status(429, { reason: 'TooManyRequests', details }), 429);
    };
    await expect(open().list(CONFIG_MAPS, {})).rejects.toMatchObject({ status: 429, retryAfterMs: expected });
  });

  test('when to come back: the header as a date', async () => {
    await startServer();
    answer = (_request, response) => {
      response.setHeader('retry-after', new Date(Date.now() + 3_600_000).toUTCString());
      answerJson(response, {}, 503);
    };
    const error = await open()
      .get(CONFIG_MAPS, REF)
      .catch((reason: unknown) => reason);
    const { retryAfterMs } = error as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(3_000_000);
    expect(retryAfterMs).toBeLessThanOrEqual(3_600_000);
  });

  test('text of who knows whom says what was asked', async () => {
    await startServer();
    answer = (_request, response) => {
      response.writeHead(502);
      response.end('bad gateway\n');
    };
    await expect(open().list(CONFIG_MAPS, { limit: 5 })).rejects.toMatchObject({
      name: 'KubeApiError',
      status: 502,
      reason: '',
      message: 'GET /api/v1/configmaps: bad gateway',
    });
  });

  test.each([
    ['no JSON', '<html>login</html>'],
    ['no object', '[1]'],
    ['no kind', '{"metadata":{}}'],
  ])('success with %s is KubeUnreachable', async (_what, body) => {
    await startServer();
    answer = (_request, response) => {
      response.writeHead(200);
      response.end(body);
    };
    await expect(open().get(CONFIG_MAPS, REF)).rejects.toMatchObject({ name: 'KubeUnreachable' });
    await expect(open().list(CONFIG_MAPS, {})).rejects.toMatchObject({ name: 'KubeUnreachable' });
  });

  test('404: of an object null, of a kind an error', async () => {
    await startServer();
    answer = (_request, response) => {
      answerJson(
        response,
        status(404, { reason: 'NotFound', details: { name: 'a', kind: 'configmaps' } }),
        404,
      );
    };
    const api = open();
    expect(await api.get(CONFIG_MAPS, REF)).toBeNull();
    expect(await api.delete(CONFIG_MAPS, REF)).toBe(false);
    await expect(api.update(CONFIG_MAPS, CONFIG_MAP)).rejects.toMatchObject({ status: 404 });
    answer = (_request, response) => {
      response.writeHead(404);
      response.end('404 page not found\n');
    };
    await expect(api.get(CONFIG_MAPS, REF)).rejects.toMatchObject({ status: 404 });
    await expect(api.delete(CONFIG_MAPS, REF)).rejects.toMatchObject({ status: 404 });
  });

  test('a list may come compressed; its items get their type', async () => {
    await startServer();
    const list = {
      kind: 'ConfigMapList',
      apiVersion: 'v1',
      metadata: { resourceVersion: '42', continue: 'next' },
      items: [{ metadata: { name: 'ü', namespace: 'shop' }, data: { a: 'b' } }],
    };
    answer = (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync(JSON.stringify(list)));
    };
    expect(await open().list(CONFIG_MAPS, { limit: 1 })).toEqual({
      items: [
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ü', namespace: 'shop' }, data: { a: 'b' } },
      ],
      resourceVersion: '42',
      continueToken: 'next',
    });
    expect(server.requests[0]?.headers['accept-encoding']).toBe('gzip');
  });

  test('an empty list may be null', async () => {
    await startServer();
    answer = (_request, response) => {
      answerJson(response, { metadata: { resourceVersion: '1' }, items: null });
    };
    expect(await open().list(NODES, {})).toEqual({ items: [], resourceVersion: '1', continueToken: null });
  });

  test('a watch that is refused is the refusal', async () => {
    await startServer({
      answer: (_request, response) => {
        answerJson(response, status(410, { reason: 'Expired', message: 'too old' }), 410);
      },
    });
    expect(await follow(open()).ended).toMatchObject({
      name: 'KubeApiError',
      status: 410,
      message: 'too old',
    });
  });

  test('nobody there is KubeUnreachable', async () => {
    await startServer();
    const api = open();
    await server.close();
    await expect(api.get(CONFIG_MAPS, REF)).rejects.toMatchObject({
      name: 'KubeUnreachable',
      message: expect.stringContaining('ECONNREFUSED') as unknown,
    });
    expect(await follow(api).ended).toMatchObject({ name: 'KubeUnreachable' });
  });

  test('a call without an answer is given up, before and after its headers; a watch too until it was accepted', async () => {
    await startServer({ answer: () => undefined });
    const api = open(kubeconfig(), 200);
    const message = expect.stringContaining('no answer within 0.2 s') as unknown;
    await expect(api.get(CONFIG_MAPS, REF)).rejects.toMatchObject({ name: 'KubeUnreachable', message });
    expect(await follow(api).ended).toMatchObject({ name: 'KubeUnreachable', message });
  });

  test('a call whose answer does not end is given up', async () => {
    await startServer();
    answer = (_request, response) => {
      response.writeHead(200);
      response.write('{');
    };
    await expect(open(kubeconfig(), 200).get(CONFIG_MAPS, REF)).rejects.toMatchObject({
      name: 'KubeUnreachable',
    });
  });

  test('an accepted watch has all the time there is', async () => {
    await startServer();
    const followed = follow(open(kubeconfig(), 200));
    await eventually(() => watches.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    sendEvent(watches[0], 'late');
    await eventually(() => followed.events.length === 1);
    watches[0]?.end();
    expect(await followed.ended).toBeNull();
  });

  test('an abort while waiting is its reason', async () => {
    await startServer({ answer: () => undefined });
    const controller = new AbortController();
    const reason = new Error('given up');
    const waiting = open().get(CONFIG_MAPS, REF, controller.signal);
    await eventually(() => server.requests.length === 1);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe('what is sent', () => {
  beforeEach(() => startServer());
  const sent = (): object => {
    const [seen] = server.requests;
    const body = seen?.body ?? '';
    return {
      method: seen?.method,
      url: seen?.url,
      type: seen?.headers['content-type'],
      body: body === '' ? null : (JSON.parse(body) as unknown),
    };
  };
  const path = '/api/v1/namespaces/shop/configmaps';

  test('create', async () => {
    await open().create(CONFIG_MAPS, CONFIG_MAP);
    expect(sent()).toEqual({ method: 'POST', url: path, type: 'application/json', body: CONFIG_MAP });
  });

  test('apply', async () => {
    await open().apply(CONFIG_MAPS, CONFIG_MAP, {
      fieldManager: 'a b',
      force: true,
      subresource: 'status',
      dryRun: true,
    });
    expect(sent()).toEqual({
      method: 'PATCH',
      url: `${path}/a/status?fieldManager=a%20b&force=true&dryRun=All`,
      type: 'application/apply-patch+yaml',
      body: CONFIG_MAP,
    });
  });

  test('mergePatch', async () => {
    await open().mergePatch(CONFIG_MAPS, REF, { data: { a: null } }, { fieldManager: 'x' });
    expect(sent()).toEqual({
      method: 'PATCH',
      url: `${path}/a?fieldManager=x`,
      type: 'application/merge-patch+json',
      body: { data: { a: null } },
    });
  });

  test('update', async () => {
    await open().update(CONFIG_MAPS, CONFIG_MAP);
    expect(sent()).toEqual({ method: 'PUT', url: `${path}/a`, type: 'application/json', body: CONFIG_MAP });
  });

  test('delete', async () => {
    expect(await open().delete(CONFIG_MAPS, REF, { uid: 'u-1', propagationPolicy: 'Foreground' })).toBe(true);
    expect(sent()).toMatchObject({
      method: 'DELETE',
      url: `${path}/a`,
      body: {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        preconditions: { uid: 'u-1' },
        propagationPolicy: 'Foreground',
      },
    });
  });

  test('list, and its next page', async () => {
    answer = (_request, response) => {
      answerJson(response, { metadata: { resourceVersion: '1' }, items: [] });
    };
    const api = open();
    await api.list(CONFIG_MAPS, {
      labelSelector: 'a=b',
      fieldSelector: 'metadata.name=c',
      limit: 500,
      resourceVersion: '0',
    });
    await api.list(CONFIG_MAPS, { limit: 500, resourceVersion: '0', continueToken: 'next' });
    expect(server.requests.map(({ url }) => url)).toEqual([
      '/api/v1/configmaps?labelSelector=a%3Db&fieldSelector=metadata.name%3Dc&resourceVersion=0&limit=500',
      '/api/v1/configmaps?limit=500&continue=next',
    ]);
  });

  test('watch', async () => {
    const followed = follow(open(), CHECKPOINT_NODES);
    await eventually(() => watches.length === 1);
    expect(sent()).toMatchObject({
      method: 'GET',
      url: '/apis/ghostlimit.dev/v1alpha1/checkpointnodes?watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=600',
    });
    followed.stop();
    await followed.ended;
  });
});
