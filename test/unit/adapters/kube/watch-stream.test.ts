import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PassThrough } from 'node:stream';
import { watchEvents } from '../../../../src/adapters/kube/watch-stream.ts';
import type { WatchEvent } from '../../../../src/ports/kube-api.ts';
import { inChunks } from './chunks.ts';

const never = new AbortController().signal;
const WHAT = 'GET /api/v1/pods';

function event(type: string, name: string, more: object = {}): object {
  return { type, object: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, ...more } };
}

function text(events: readonly object[]): string {
  return events.map((one) => `${JSON.stringify(one)}\n`).join('');
}

async function read(body: PassThrough, signal = never): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const one of watchEvents(body, signal, WHAT)) events.push(one);
  return events;
}

/** A body that says this and ends. */
function saying(...pieces: (string | Buffer)[]): PassThrough {
  const body = new PassThrough();
  for (const piece of pieces) body.write(piece);
  body.end();
  return body;
}

describe('watchEvents', () => {
  test('gives the events however the bytes are cut', async () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 12 });
    const type = fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK');
    const events = fc.array(fc.record({ type, name }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(events, fc.array(fc.nat({ max: 50 })), async (made, sizes) => {
        const sent = made.map((one) => event(one.type, one.name));
        expect(await read(saying(...inChunks(Buffer.from(text(sent)), sizes)))).toEqual(sent);
      }),
    );
  });

  test.each([
    ['no JSON', 'hello\n', 'an event is no JSON object'],
    ['a list', '[]\n', 'an event is no JSON object'],
    ['an unknown type', text([event('CHANGED', 'a')]), 'an event has no known type or no object'],
    ['no object', '{"type":"ADDED"}\n', 'an event has no known type or no object'],
    ['an end inside an event', '{"type":"ADD', 'the stream ended inside an event'],
  ])('%s is KubeUnreachable', async (_what, said, message) => {
    await expect(read(saying(said))).rejects.toMatchObject({
      name: 'KubeUnreachable',
      message: `${WHAT}: ${message}`,
    });
  });

  test('a body that breaks is KubeUnreachable, after what came before', async () => {
    const body = new PassThrough();
    body.write(text([event('ADDED', 'a')]));
    const events = watchEvents(body, never, WHAT);
    expect(await events.next()).toMatchObject({ value: { type: 'ADDED' } });
    const next = events.next();
    body.destroy(new Error('reset'));
    await expect(next).rejects.toMatchObject({ name: 'KubeUnreachable', message: `${WHAT}: reset` });
  });

  test('a body that is closed without an end is no end', async () => {
    const body = new PassThrough();
    const reading = read(body);
    body.destroy();
    await expect(reading).rejects.toMatchObject({ name: 'KubeUnreachable' });
  });

  test('an ERROR event is the error in it', async () => {
    const object = {
      kind: 'Status',
      message: 'too old resource version: 1 (7)',
      reason: 'Expired',
      code: 410,
      details: { retryAfterSeconds: 2 },
    };
    await expect(read(saying(text([{ type: 'ERROR', object }])))).rejects.toMatchObject({
      name: 'KubeApiError',
      message: 'too old resource version: 1 (7)',
      status: 410,
      reason: 'Expired',
      retryAfterMs: 2000,
    });
  });

  test('an ERROR event of unknown shape is still an error of the server', async () => {
    await expect(read(saying('{"type":"ERROR","object":null}\n'))).rejects.toMatchObject({
      name: 'KubeApiError',
      status: 500,
    });
  });

  test('an event that is too long is KubeUnreachable, and the body is closed', async () => {
    const body = new PassThrough();
    const events = watchEvents(body, never, WHAT, { lineBytes: 10, aheadChars: 100 });
    const next = events.next();
    body.write('x'.repeat(11));
    await expect(next).rejects.toThrow('a line is longer than 10 bytes');
    expect(body.destroyed).toBe(true);
  });

  test('an abort is its reason, and the body is closed', async () => {
    const controller = new AbortController();
    const body = new PassThrough({ signal: controller.signal });
    const reading = read(body, controller.signal);
    const reason = new Error('given up');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
  });

  test('what was read ahead is not shown after an abort', async () => {
    const controller = new AbortController();
    const body = saying(text([event('ADDED', 'a'), event('ADDED', 'b')]));
    const events = watchEvents(body, controller.signal, WHAT);
    await events.next();
    const reason = new Error('given up');
    controller.abort(reason);
    await expect(events.next()).rejects.toBe(reason);
  });

  test('leaving the loop closes the body', async () => {
    const body = new PassThrough();
    body.write(text([event('ADDED', 'a'), event('ADDED', 'b')]));
    for await (const one of watchEvents(body, never, WHAT)) {
      expect(one.type).toBe('ADDED');
      break;
    }
    expect(body.destroyed).toBe(true);
  });

  test('reads ahead of a slow consumer, and holds back beyond the bound only', async () => {
    const body = new PassThrough();
    const line = text([event('ADDED', 'a')]);
    const limits = { lineBytes: 1000, aheadChars: line.length * 10 };
    const events = watchEvents(body, never, WHAT, limits);
    const first = events.next();
    for (let count = 0; count < 5; count += 1) body.write(line);
    await first;
    expect(body.isPaused()).toBe(false);
    for (let count = 0; count < 10; count += 1) body.write(line);
    await new Promise((resolve) => setImmediate(resolve));
    expect(body.isPaused()).toBe(true);
    for (let count = 0; count < 10; count += 1) await events.next();
    expect(body.isPaused()).toBe(false);
    body.end();
    let left = 0;
    for await (const one of events) left += one.type === 'ADDED' ? 1 : 0;
    expect(left).toBe(4);
  });
});
