import { afterEach, describe, expect, test } from '@jest/globals';
import {
  parseListenAddress,
  startStatusServer,
  type StatusPages,
  type StatusServer,
} from '../../../../src/adapters/http/status-server.ts';

describe('parseListenAddress', () => {
  test.each([
    ['127.0.0.1:9808', '127.0.0.1', 9808],
    ['localhost:0', 'localhost', 0],
    ['[::1]:65535', '::1', 65_535],
    ['0.0.0.0:80', '0.0.0.0', 80],
  ])('%s', (listen, host, port) => {
    expect(parseListenAddress(listen)).toEqual({ host, port });
  });

  test.each([
    '',
    '9808',
    ':9808',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.0.0.1:80a',
    '::1:80',
    '[::1]',
    '[::1]:',
    '127.0.0.1:80\n',
  ])('not an address: %j', (listen) => {
    expect(() => parseListenAddress(listen)).toThrow(
      `"${listen}" is not an address: write host:port, such as 127.0.0.1:9808`,
    );
  });
});

describe('the pages', () => {
  let server: StatusServer | null = null;
  afterEach(async () => {
    await server?.close();
  });
  const PAGES: StatusPages = {
    health: () => null,
    readiness: () => null,
    metrics: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'x 1\n' }),
  };
  const get = async (path: string, pages: Partial<StatusPages> = {}, method = 'GET') => {
    server = await startStatusServer('127.0.0.1:0', { ...PAGES, ...pages });
    const response = await fetch(`http://${server.address}${path}`, { method });
    return [response.status, response.headers.get('content-type'), await response.text()];
  };

  test.each<[string, string, Partial<StatusPages>, string, unknown[]]>([
    ['healthy', '/healthz', {}, 'GET', [200, 'text/plain', 'ok\n']],
    ['not healthy: why', '/healthz', { health: () => 'EIO' }, 'GET', [503, 'text/plain', 'EIO\n']],
    ['ready', '/readyz?verbose', {}, 'GET', [200, 'text/plain', 'ok\n']],
    ['not ready', '/readyz', { readiness: () => 'wait' }, 'GET', [503, 'text/plain', 'wait\n']],
    ['metrics', '/metrics', {}, 'GET', [200, 'text/plain; version=0.0.4', 'x 1\n']],
    [
      'metrics that fail',
      '/metrics',
      { metrics: () => Promise.reject(new Error('secret')) },
      'GET',
      [500, 'text/plain', 'internal error\n'],
    ],
    ['nothing else', '/', {}, 'GET', [404, 'text/plain', 'there are /healthz, /readyz and /metrics\n']],
    ['nothing is changed', '/healthz', {}, 'POST', [405, 'text/plain', 'only GET\n']],
    ['HEAD', '/healthz', {}, 'HEAD', [200, 'text/plain', '']],
  ])('%s', async (...[, path, pages, method, expected]) => {
    expect(await get(path, pages, method)).toEqual(expected);
  });

  test('an address in use rejects', async () => {
    server = await startStatusServer('127.0.0.1:0', PAGES);
    await expect(startStatusServer(server.address, PAGES)).rejects.toThrow('EADDRINUSE');
  });
});
