// The reflector against a server with any row of changes and faults. When the faults stop, its store is the server's state; whoever followed its keys knows the same; and it has asked no more than it had to.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { createObjectReflector } from '../../../src/machinery/reflector.ts';
import { KubeUnreachable } from '../../../src/ports/kube-api.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingLog, RecordingMetrics, seededRandom } from './recording.ts';
import { apiError, type Fault, ScriptedServer, WIDGETS } from './scripted-server.ts';

type Step = readonly [what: string, does: (server: ScriptedServer) => void];

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const fault: fc.Arbitrary<Fault> = fc.constantFrom<Fault[]>(
  'none',
  'hang',
  'deaf',
  new KubeUnreachable('connection refused'),
  apiError(429, 'TooManyRequests', 5_000),
  apiError(429, 'TooManyRequests'),
  apiError(500, 'InternalError'),
  apiError(503, 'ServiceUnavailable', 1_000),
  apiError(504, 'Timeout'),
  apiError(403, 'Forbidden'),
  apiError(404, 'NotFound'),
  apiError(410, 'Expired'),
);

const change: fc.Arbitrary<Step> = fc.oneof(
  name.map((which): Step => [
    `put ${which}`,
    (server) => {
      server.put(which);
    },
  ]),
  name.map((which): Step => [
    `put ${which}`,
    (server) => {
      server.put(which);
    },
  ]),
  name.map((which): Step => [
    `remove ${which}`,
    (server) => {
      server.remove(which);
    },
  ]),
  name.map((which): Step => [
    `replace ${which}`,
    (server) => {
      server.remove(which);
      server.put(which);
    },
  ]),
);

const trouble: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>([
    'cut',
    (server) => {
      server.cut();
    },
  ]),
  fc.constant<Step>([
    'close',
    (server) => {
      server.close();
    },
  ]),
  fc.constant<Step>([
    'stall',
    (server) => {
      server.stall();
    },
  ]),
  fc.constant<Step>([
    'stall, deaf',
    (server) => {
      server.stall(true);
    },
  ]),
  fc.constant<Step>([
    '410 as an event',
    (server) => {
      server.expire();
    },
  ]),
  fc.constant<Step>([
    'compact',
    (server) => {
      server.compact();
    },
  ]),
  fc.constant<Step>([
    'forget and cut',
    (server) => {
      server.progress();
      server.compact();
      server.cut();
    },
  ]),
  fc
    .array(fault, { minLength: 1, maxLength: 5 })
    .map((faults): Step => [
      `faults ${faults.map((each) => (each instanceof Error ? each.message : each)).join(', ')}`,
      (server) => server.faults.push(...faults),
    ]),
  fc
    .integer({ min: 1, max: 6 })
    .map((count): Step => [`close the next ${count} at once`, (server) => (server.quickCloses = count)]),
  fc.integer({ min: 0, max: 5 }).map((lag): Step => [`lists lag ${lag}`, (server) => (server.lag = lag)]),
  fc
    .constantFrom(0, 300, 20_000)
    .map((delayMs): Step => [`events ${delayMs} ms late`, (server) => (server.delayMs = delayMs)]),
  fc
    .constantFrom(null, 0, 4_000)
    .map((afterMs): Step => [
      `events twice after ${afterMs} ms`,
      (server) => (server.duplicateAfterMs = afterMs),
    ]),
);

const pauseMs = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 2_000 }),
  fc.integer({ min: 2_000, max: 40_000 }),
  fc.integer({ min: 40_000, max: 400_000 }),
);
const schedule = fc.array(fc.tuple(fc.oneof(change, trouble), pauseMs), { minLength: 5, maxLength: 50 });
const printable = schedule.map((steps) =>
  Object.assign(steps, { toString: () => steps.map(([[what], ms]) => `${what}; ${ms} ms`).join('\n') }),
);

/** The most requests that came within any `windowMs`. */
function densest(timesMs: readonly number[], windowMs: number): number {
  return Math.max(
    0,
    ...timesMs.map((from) => timesMs.filter((at) => at >= from && at < from + windowMs).length),
  );
}

/** Runs the schedule, heals, waits; throws where a property does not hold. Returns what happened, to see that the schedules are about something. */
async function follow(steps: readonly (readonly [Step, number])[], seed: number): Promise<ScriptedServer> {
  const time = new VirtualTime();
  const server = new ScriptedServer(time);
  const parts = { api: server, clock: time, log: new RecordingLog(), metrics: new RecordingMetrics() };
  const reflector = createObjectReflector(
    { ...parts, random: seededRandom(seed) },
    { name: 'widgets', resource: WIDGETS, lossJitterMs: seed % 2 === 0 ? 1_000 : 30_000 },
  );
  // A follower that knows only keys, and reads the store when it hears one: what a controller does.
  const followed = new Map<string, KubeObject>();
  const backwards: string[] = [];
  reflector.subscribe(({ key, before, after }) => {
    const held = reflector.store.get(key);
    if (held === null) followed.delete(key);
    else followed.set(key, held);
    if (before !== null && after !== null && versionOf(after) <= versionOf(before)) backwards.push(key);
  });
  const stop = new AbortController();
  const done = reflector.run(stop.signal);
  // The rest of the cluster lives on, so that bookmarks have something to tell.
  const live = (): void => {
    server.progress();
    time.after(10_000, live);
  };
  live();
  for (const [[, does], ms] of steps) {
    does(server);
    await time.advance(ms);
  }
  Object.assign(server, { faults: [], quickCloses: 0, lag: 0, delayMs: 0, duplicateAfterMs: null });
  // The worst that may be under way: the third connection in a row that went silent before its first word (600 s), the longest jitter, a list.
  await time.advance(700_000);
  expect(Object.fromEntries(reflector.store.keys().map((key) => [key, reflector.store.get(key)]))).toEqual(
    Object.fromEntries(server.objects),
  );
  expect(Object.fromEntries(followed)).toEqual(Object.fromEntries(server.objects));
  expect(backwards).toEqual([]);
  expect(reflector.status()).toMatchObject({ synced: true, lastError: null });
  // One at the start, one for each 410, and those that failed.
  const gone = server.count('watch', 'gone');
  expect(server.count('list', 'answered')).toBeLessThanOrEqual(1 + gone);
  expect(server.count('list')).toBeLessThanOrEqual(
    1 + gone + server.count('list', 'failed') + server.count('list', 'gone'),
  );
  const timesMs = server.requests.map(({ atMs }) => atMs);
  expect(densest(timesMs, 1_000)).toBeLessThanOrEqual(6);
  // A healthy watch takes 30 s; the other 30 s hold two rows of tries (0.4, 0.8, 1.6 ... s apart), of 6 each, of 2 requests at most, and the ends.
  expect(densest(timesMs, 60_000)).toBeLessThanOrEqual(26);
  stop.abort();
  await done;
  return server;
}

function versionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion);
}

test('after any row of changes and faults: the same state, each key told, no list without need, no flood', async () => {
  const totals = { gone: 0, failed: 0, watches: 0, lists: 0 };
  await fc.assert(
    fc.asyncProperty(printable, fc.integer({ min: 0, max: 1_000_000 }), async (steps, seed) => {
      const server = await follow(steps, seed);
      totals.gone += server.count('watch', 'gone');
      totals.failed += server.count('list', 'failed') + server.count('watch', 'failed');
      totals.watches += server.count('watch');
      totals.lists += server.count('list');
    }),
    { numRuns: 400, seed: 3 },
  );
  // The schedules reach what they are for.
  expect(Math.min(totals.gone, totals.failed)).toBeGreaterThan(100);
  expect(totals.watches).toBeGreaterThan(2_000);
});
