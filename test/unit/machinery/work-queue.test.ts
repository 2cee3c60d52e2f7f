import { describe, expect, test } from '@jest/globals';
import { createWorkQueue, type WorkQueue } from '../../../src/machinery/work-queue.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingMetrics } from './recording.ts';

function aQueue() {
  const time = new VirtualTime();
  const metrics = new RecordingMetrics();
  return { time, metrics, queue: createWorkQueue({ name: 'q', clock: time, metrics }) };
}

/** What get gives now, or "waits". */
async function taken(time: VirtualTime, queue: WorkQueue): Promise<string | null> {
  let got: string | null = 'waits';
  void queue.get().then((key) => {
    got = key;
  });
  await time.rest();
  return got;
}

describe('work queue', () => {
  test('hands out what waited longest first, each key once', async () => {
    const { time, queue } = aQueue();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    expect(queue.depth()).toBe(3);
    expect([await taken(time, queue), await taken(time, queue), await taken(time, queue)]).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(await taken(time, queue)).toBe('waits');
  });

  test('a worker that waits gets the next key at once, the one that waited longest first', async () => {
    const { time, queue } = aQueue();
    const got: string[] = [];
    void queue.get().then((key) => got.push(`one ${key}`));
    void queue.get().then((key) => got.push(`two ${key}`));
    queue.add('a');
    queue.add('b');
    await time.rest();
    expect(got).toEqual(['one a', 'two b']);
    expect(queue.depth()).toBe(0);
  });

  test('a key added while it is worked on comes once more after its done, however often it was added', async () => {
    const { time, queue } = aQueue();
    queue.add('a');
    expect(await taken(time, queue)).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.depth()).toBe(0);
    queue.done('a');
    expect(queue.depth()).toBe(1);
    expect(await taken(time, queue)).toBe('a');
    queue.done('a');
    expect(queue.depth()).toBe(0);
  });

  test('done of a key that nobody has changes nothing', async () => {
    const { time, queue } = aQueue();
    queue.add('a');
    queue.done('a');
    queue.done('b');
    expect(queue.depth()).toBe(1);
    expect(await taken(time, queue)).toBe('a');
  });

  test('of several delays the earliest counts, and the key comes once', async () => {
    const { time, queue } = aQueue();
    queue.addAfter('a', 5_000);
    queue.addAfter('a', 2_000);
    queue.addAfter('a', 9_000);
    await time.advance(1_999);
    expect(queue.depth()).toBe(0);
    await time.advance(1);
    expect(queue.depth()).toBe(1);
    await time.advance(10_000);
    expect(queue.depth()).toBe(1);
  });

  test('no delay is an add', () => {
    const { queue } = aQueue();
    queue.addAfter('a', 0);
    queue.addAfter('b', -1);
    expect(queue.depth()).toBe(2);
  });

  test('a delay that ends while the key is worked on makes it come once more', async () => {
    const { time, queue } = aQueue();
    queue.add('a');
    queue.addAfter('a', 1_000);
    expect(await taken(time, queue)).toBe('a');
    await time.advance(1_000);
    expect(queue.depth()).toBe(0);
    queue.done('a');
    expect(queue.depth()).toBe(1);
  });

  test('failures wait 5, 10, 20 ms ... at most 1000 s, each key for itself, until they are forgotten', async () => {
    const { time, queue } = aQueue();
    const waits = async (key: string): Promise<number> => {
      const from = time.monotonicMs();
      queue.addRateLimited(key);
      await time.advanceUntil(() => queue.depth() > 0, 2_000_000);
      queue.done((await taken(time, queue)) ?? '');
      return time.monotonicMs() - from;
    };
    const row: number[] = [];
    for (let failure = 0; failure < 20; failure += 1) row.push(await waits('a'));
    // By hand: doubled each time; 5 ms x 2^18 would be 1310.72 s.
    expect(row.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
    expect(row.slice(-3)).toEqual([655_360, 1_000_000, 1_000_000]);
    expect(queue.failures('a')).toBe(20);
    expect(await waits('b')).toBe(5);
    queue.forget('a');
    expect(queue.failures('a')).toBe(0);
    expect(await waits('a')).toBe(5);
  });

  test('a failure does not come back before the time that the server asked for', async () => {
    const { time, queue } = aQueue();
    queue.addRateLimited('a', 3_000);
    await time.advance(2_999);
    expect(queue.depth()).toBe(0);
    await time.advance(1);
    expect(queue.depth()).toBe(1);
  });

  test('a rate for all keys together holds back whoever comes after the burst', async () => {
    const time = new VirtualTime();
    const parts = { name: 'q', clock: time, metrics: new RecordingMetrics() };
    const queue = createWorkQueue(parts, { overall: { perSecond: 10, burst: 2 } });
    for (const key of ['a', 'b', 'c', 'd']) queue.addRateLimited(key);
    await time.advance(5);
    expect(queue.depth()).toBe(2);
    await time.advance(94);
    expect(queue.depth()).toBe(2);
    await time.advance(1);
    expect(queue.depth()).toBe(3);
    await time.advance(100);
    expect(queue.depth()).toBe(4);
  });

  test('a shutdown hands out what waits, drops what is delayed, takes nothing more, and resolves when all is done', async () => {
    const { time, queue } = aQueue();
    queue.add('a');
    queue.add('b');
    queue.addAfter('late', 1_000);
    expect(await taken(time, queue)).toBe('a');
    queue.add('a');
    let drained = false;
    void queue.shutDown().then(() => {
      drained = true;
    });
    queue.add('new');
    queue.addAfter('new', 0);
    queue.addRateLimited('new');
    expect(await taken(time, queue)).toBe('b');
    expect(await taken(time, queue)).toBeNull();
    queue.done('b');
    queue.done('a');
    await time.advance(10_000);
    expect(drained).toBe(false);
    // It was added before the shutdown, while it was worked on: nothing is lost.
    expect(await taken(time, queue)).toBe('a');
    queue.done('a');
    await time.rest();
    expect(drained).toBe(true);
    expect(await taken(time, queue)).toBeNull();
  });

  test('a shutdown sends waiting workers home', async () => {
    const { time, queue } = aQueue();
    const got: (string | null)[] = [];
    void queue.get().then((key) => got.push(key));
    void queue.get().then((key) => got.push(key));
    await queue.shutDown();
    await time.rest();
    expect(got).toEqual([null, null]);
  });

  test('metrics: depth, adds, retries, time in the queue from the add, time of work', async () => {
    const { time, queue, metrics } = aQueue();
    queue.add('a');
    queue.add('a');
    await time.advance(1_500);
    await taken(time, queue);
    queue.add('a');
    await time.advance(250);
    queue.done('a');
    queue.addRateLimited('b');
    expect(metrics.calls).toEqual([
      'added q',
      'depth q 1',
      'waited q 1.5',
      'depth q 0',
      'added q',
      'worked q 0.25',
      'depth q 1',
      'retried q',
    ]);
    await taken(time, queue);
    expect(metrics.of('waited').at(-1)).toBe('waited q 0.25');
  });
});
