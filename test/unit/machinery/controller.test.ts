import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import {
  type ControllerOptions,
  createController,
  keysFrom,
  type Reconcile,
} from '../../../src/machinery/controller.ts';
import { createObjectReflector } from '../../../src/machinery/reflector.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingLog, RecordingMetrics } from './recording.ts';
import { apiError, ScriptedServer, WIDGETS } from './scripted-server.ts';

/** A controller of widgets on a server with a and b; neither it nor its reflector is started. */
function aWorld(reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  const time = new VirtualTime();
  const server = new ScriptedServer(time);
  server.put('a');
  server.put('b');
  const log = new RecordingLog();
  const metrics = new RecordingMetrics();
  const parts = { api: server, clock: time, log, metrics, random: () => 0.5 };
  const reflector = createObjectReflector(parts, { name: 'widgets', resource: WIDGETS });
  const sources = [keysFrom(reflector, ({ key }) => [key])];
  const controller = createController(parts, { name: 'c', reconcile, sources, ...options });
  return { time, server, log, metrics, parts, reflector, controller, stop: new AbortController() };
}

/** What was reconciled, as "key at second". */
function aRecorder(time: () => VirtualTime) {
  const calls: string[] = [];
  const note = (key: string): Promise<void> => {
    calls.push(`${key} ${time().monotonicMs() / 1000}`);
    return Promise.resolve();
  };
  return { calls, note };
}

describe('controller', () => {
  test('reconciles each key that is there, and each that changes or goes', async () => {
    const recorder = aRecorder(() => world.time);
    const world = aWorld((key) => recorder.note(key));
    void world.reflector.run(world.stop.signal);
    void world.controller.run(world.stop.signal);
    await world.time.advance(1_000);
    world.server.put('c');
    world.server.remove('a');
    await world.time.advance(1_000);
    expect(recorder.calls).toEqual(['a 0', 'b 0', 'c 1', 'a 1']);
    expect(world.metrics.of('reconciled')).toEqual(Array(4).fill('reconciled c success 0'));
  });

  test('begins only when all of its sources are complete', async () => {
    const recorder = aRecorder(() => world.time);
    const world = aWorld((key) => recorder.note(key));
    const slow = createObjectReflector(world.parts, { name: 'slow', resource: WIDGETS });
    const controller = createController(world.parts, {
      name: 'c',
      reconcile: (key) => recorder.note(key),
      sources: [keysFrom(world.reflector, ({ key }) => [key]), keysFrom(slow, () => [])],
    });
    void world.reflector.run(world.stop.signal);
    void controller.run(world.stop.signal);
    await world.time.advance(5_000);
    expect(recorder.calls).toEqual([]);
    void slow.run(world.stop.signal);
    await world.time.advance(100);
    expect(recorder.calls).toEqual(['a 5', 'b 5']);
  });

  test('one that starts after the caches, as the leader’s do, gets all that is there; and again at a second start', async () => {
    const recorder = aRecorder(() => world.time);
    const world = aWorld((key) => recorder.note(key));
    void world.reflector.run(world.stop.signal);
    await world.time.advance(1_000);
    const term = new AbortController();
    const first = world.controller.run(term.signal);
    await world.time.advance(1_000);
    term.abort();
    await first;
    world.server.put('b');
    await world.time.advance(1_000);
    void world.controller.run(world.stop.signal);
    await world.time.advance(1_000);
    expect(recorder.calls).toEqual(['a 1', 'b 1', 'a 3', 'b 3']);
  });

  test('a map may give other keys, of both states of what changed', async () => {
    const recorder = aRecorder(() => world.time);
    const owner = (object: KubeObject | null): string[] => (object === null ? [] : [String(object.owner)]);
    const world = aWorld(() => Promise.resolve());
    const controller = createController(world.parts, {
      name: 'owners',
      reconcile: (key) => recorder.note(key),
      sources: [keysFrom(world.reflector, ({ before, after }) => [...owner(before), ...owner(after)])],
    });
    world.server.put('a', { owner: 'x' });
    world.server.put('b', { owner: 'x' });
    void world.reflector.run(world.stop.signal);
    void controller.run(world.stop.signal);
    await world.time.advance(1_000);
    world.server.put('a', { owner: 'y' });
    await world.time.advance(1_000);
    expect(recorder.calls).toEqual(['x 0', 'x 1', 'y 1']);
  });

  test.each<[string, () => Promise<never>]>([
    ['rejects', () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    ['rejects with something odd', () => Promise.reject('no')],
  ])(
    'a reconcile that %s is logged and tried again, ever later, and no other key waits for it',
    async (_name, fail) => {
      const recorder = aRecorder(() => world.time);
      let bad = true;
      const world = aWorld((key) => {
        void recorder.note(key);
        return key === 'a' && bad ? fail() : Promise.resolve();
      });
      void world.reflector.run(world.stop.signal);
      void world.controller.run(world.stop.signal);
      await world.time.advance(50);
      // 5, 10, 20 ms after each failure.
      expect(recorder.calls).toEqual(['a 0', 'b 0', 'a 0.005', 'a 0.015', 'a 0.035']);
      bad = false;
      await world.time.advance(60_000);
      expect(recorder.calls.slice(5)).toEqual(['a 0.075']);
      expect(world.log.lines.at(-1)).toMatchObject({
        level: 'warn',
        message: 'reconcile failed, trying again',
        fields: { controller: 'c', key: 'a', failures: 4 },
      });
      expect(world.metrics.of('reconciled').filter((call) => call.includes('error'))).toHaveLength(4);
      // It went well: the next failure begins at 5 ms again.
      bad = true;
      world.server.put('a');
      await world.time.advance(6);
      expect(recorder.calls.slice(6)).toEqual(['a 60.05', 'a 60.055']);
    },
  );

  test('a 429 in a reconcile comes back when the server said', async () => {
    const recorder = aRecorder(() => world.time);
    const world = aWorld((key) => {
      void recorder.note(key);
      return recorder.calls.length === 1
        ? Promise.reject(apiError(429, 'TooManyRequests', 4_000))
        : Promise.resolve();
    });
    void world.reflector.run(world.stop.signal);
    void world.controller.run(world.stop.signal);
    await world.time.advance(10_000);
    expect(recorder.calls).toEqual(['a 0', 'b 0', 'a 4']);
  });

  test('a reconcile may ask to come back later', async () => {
    const recorder = aRecorder(() => world.time);
    const world = aWorld((key) => {
      void recorder.note(key);
      return Promise.resolve(key === 'a' && recorder.calls.length < 4 ? { requeueAfterMs: 30_000 } : {});
    });
    void world.reflector.run(world.stop.signal);
    void world.controller.run(world.stop.signal);
    await world.time.advance(300_000);
    expect(recorder.calls).toEqual(['a 0', 'b 0', 'a 30', 'a 60']);
    expect(world.metrics.of('reconciled').filter((call) => call.includes('requeue_after'))).toHaveLength(2);
  });

  test('so many at once as it has workers, never two of one key; a change meanwhile is one more turn', async () => {
    let now = 0;
    let most = 0;
    const perKey = new Map<string, number>();
    let twice = 0;
    const recorder = aRecorder(() => world.time);
    const world = aWorld(
      async (key) => {
        void recorder.note(key);
        now += 1;
        perKey.set(key, (perKey.get(key) ?? 0) + 1);
        if ((perKey.get(key) ?? 0) > 1) twice += 1;
        most = Math.max(most, now);
        await new Promise<void>((resolve) => world.time.after(1_000, resolve));
        now -= 1;
        perKey.set(key, 0);
      },
      { workers: 3 },
    );
    for (const name of ['c', 'd', 'e']) world.server.put(name);
    void world.reflector.run(world.stop.signal);
    void world.controller.run(world.stop.signal);
    await world.time.advance(500);
    world.server.put('a');
    world.server.put('a');
    await world.time.advance(10_000);
    expect([most, twice]).toEqual([3, 0]);
    expect(recorder.calls).toEqual(['a 0', 'b 0', 'c 0', 'd 1', 'e 1', 'a 1']);
  });

  test('a stop waits for the reconcile under way, begins no other, and tells it by its signal', async () => {
    const recorder = aRecorder(() => world.time);
    const aborted: boolean[] = [];
    const world = aWorld(async (key, signal) => {
      void recorder.note(key);
      await new Promise<void>((resolve) => world.time.after(2_000, resolve));
      aborted.push(signal.aborted);
      throw new Error('interrupted');
    });
    let ended = false;
    void world.reflector.run(world.stop.signal);
    void world.controller.run(world.stop.signal).then(() => {
      ended = true;
    });
    await world.time.advance(1_000);
    world.stop.abort();
    await world.time.advance(900);
    expect(ended).toBe(false);
    await world.time.advance(200);
    expect(ended).toBe(true);
    expect([recorder.calls, aborted]).toEqual([['a 0'], [true]]);
    expect(world.log.messages('warn')).toEqual([]);
    await world.time.advance(3_600_000);
    expect(recorder.calls).toHaveLength(1);
  });

  test('a stop before the sources are complete ends it too', async () => {
    const world = aWorld(() => Promise.resolve());
    const run = world.controller.run(world.stop.signal);
    world.stop.abort();
    await run;
    expect(world.metrics.of('reconciled')).toEqual([]);
  });

  test('others may ask for a reconcile, now or later, while it runs', async () => {
    const recorder = aRecorder(() => world.time);
    const world = aWorld((key) => recorder.note(key), { sources: [] });
    world.controller.enqueue('too early');
    void world.controller.run(world.stop.signal);
    world.controller.enqueue('x');
    world.controller.enqueue('y', 5_000);
    await world.time.advance(10_000);
    expect(recorder.calls).toEqual(['x 0', 'y 5']);
  });

  test('two runs at the same time are a mistake', async () => {
    const world = aWorld(() => Promise.resolve());
    void world.controller.run(world.stop.signal);
    await expect(world.controller.run(world.stop.signal)).rejects.toThrow('controller c runs already');
    world.stop.abort();
  });
});
