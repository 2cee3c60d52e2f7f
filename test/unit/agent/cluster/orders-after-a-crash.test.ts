// The agent is killed at every call that it makes for an order, before the call has an effect and after: whatever happens, the request ends in one truthful state.
import { expect, test } from '@jest/globals';
import { seededRandom, type Random } from '../../../histories/random.ts';
import type { Fate } from './dumping-runtime.ts';
import { untruths } from './order-truth.ts';
import { MOMENTS, OrderWorld, type Crash } from './order-world.ts';

const LONGEST_MS = 900_000;

async function oneOrder(crash: Crash | null, fate: Fate): Promise<OrderWorld> {
  const world = new OrderWorld();
  world.runtime.fate = fate;
  world.runtime.fails.add('r1-side');
  world.pod('r1', ['app', 'side']);
  world.startAgent();
  world.takeOver();
  await world.time.advance(5_000);
  world.steps = 0;
  world.crash = crash;
  await world.order({ requestUID: 'r1' });
  await world.time.advanceUntil(() => world.results.has('r1') && world.spec.orders.length === 0, LONGEST_MS);
  await world.time.advance(5_000);
  return world;
}

const ONE = new Map([['r1', ['app', 'side']]]);

test('killed at each step', async () => {
  const calm = await oneOrder(null, 'GoesOn');
  expect(untruths(calm, ONE)).toEqual([]);
  expect(calm.runtime.dumps).toHaveLength(2);
  const wrong: string[] = [];
  const outcomes = new Set<string>();
  const crashAt = async (crash: Crash, fate: Fate): Promise<OrderWorld> => {
    const world = await oneOrder(crash, fate);
    outcomes.add((world.results.get('r1')?.containers ?? []).map(({ result }) => result).join());
    for (const what of untruths(world, ONE))
      wrong.push(`step ${crash.step} ${crash.moment} ${fate}: ${what}`);
    return world;
  };
  for (let step = 1; step <= calm.steps; step += 1) {
    for (const moment of MOMENTS) {
      const world = await crashAt({ step, moment }, 'GoesOn');
      if (!world.runtime.dumps.some(({ callerGone }) => callerGone)) continue;
      await crashAt({ step, moment }, 'BrokenOff');
      await crashAt({ step, moment }, 'CutShort');
    }
  }
  expect(wrong).toEqual([]);
  // Otherwise the kills were not where they should be.
  expect([...outcomes].sort()).toEqual(['Succeeded,Failed', 'Succeeded,Unknown', 'Unknown,Failed']);
});

interface History {
  readonly world: OrderWorld;
  readonly requests: Map<string, readonly string[]>;
}

/** Some orders, several kills, an API server that fails now and then, pods that go. */
async function history(random: Random): Promise<History> {
  const world = new OrderWorld();
  const requests = new Map<string, readonly string[]>();
  const calls = { verb: 'apply' } as const;
  world.kube.faults.sometimes(calls, 0.1, [
    { kind: 'unreachable', moment: 'before' },
    { kind: 'unreachable', moment: 'after' },
    { kind: 'status', status: 500 },
    { kind: 'delay', ms: 12_000 },
  ]);
  world.startAgent();
  world.takeOver();
  await world.time.advance(random.below(5_000));
  for (let number = 1; number <= 1 + random.below(4); number += 1) {
    const uid = `r${number}`;
    const names = random.pick([['app'], ['app', 'side'], ['a', 'b', 'c']]);
    requests.set(uid, names);
    world.pod(uid, names);
    for (const name of names) if (random.chance(0.3)) world.runtime.fails.add(`${uid}-${name}`);
    await world.order({ requestUID: uid, timeoutSeconds: random.pick([10, 120]) });
    await world.time.advance(random.below(8_000));
  }
  for (let kills = random.below(4); kills > 0; kills -= 1) {
    world.runtime.fate = random.pick(['GoesOn', 'BrokenOff', 'CutShort']);
    world.restartMs = random.pick([100, 3_000, 20_000]);
    world.crash = { step: world.steps + 1 + random.below(60), moment: random.pick(MOMENTS) };
    await world.time.advance(random.below(20_000));
  }
  world.kube.faults.clear();
  await world.time.advanceUntil(
    () => world.results.size === requests.size && world.spec.orders.length === 0,
    LONGEST_MS,
  );
  return { world, requests };
}

test('random histories', async () => {
  const wrong: string[] = [];
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed += 1) {
    const { world, requests } = await history(seededRandom(seed));
    for (const { containers } of world.results.values())
      for (const { result } of containers) outcomes.add(result);
    for (const what of untruths(world, requests)) wrong.push(`seed ${seed}: ${what}`);
  }
  expect(wrong).toEqual([]);
  expect([...outcomes].sort()).toEqual(['Failed', 'Succeeded', 'Unknown']);
});

/** The agent was killed during the dump, and nobody knows what came of it. Gives where its archive should be. */
async function unknownOrder(fate: Fate): Promise<{ readonly world: OrderWorld; readonly path: string }> {
  const world = new OrderWorld();
  world.runtime.fate = fate;
  world.pod('r1');
  world.startAgent();
  await world.time.advance(5_000);
  await world.order({ requestUID: 'r1' });
  await world.time.advanceUntil(() => world.runtime.dumps.length > 0, 60_000);
  world.kill();
  await world.time.advanceUntil(() => world.report('r1')?.state === 'Finished', 60_000);
  expect(world.report('r1')?.containers).toMatchObject([{ result: 'Unknown', reason: 'OutcomeUnknown' }]);
  return { world, path: world.runtime.dumps[0]?.path ?? '' };
}
const recordedPaths = ({ state }: OrderWorld): string[] =>
  (JSON.parse(state.text('archives.json') ?? '[]') as { readonly path: string }[]).map(({ path }) => path);

test('the part of an archive that a broken-off dump left is deleted', async () => {
  const { world, path } = await unknownOrder('CutShort');
  expect(world.archives.paths()).toEqual([path]);
  await world.time.advance(40_000);
  expect(world.archives.paths()).toEqual([path]);
  await world.time.advance(60_000);
  expect(world.archives.paths()).toEqual([]);
  expect(recordedPaths(world)).toEqual([]);
});

test('an archive that comes after its outcome was told to be unknown is kept, and deleted with its request', async () => {
  const { world, path } = await unknownOrder('BrokenOff');
  world.archives.put(path, { modifiedMs: world.time.now(), identity: { containerId: 'r1-app' } });
  await world.time.advance(120_000);
  expect(recordedPaths(world)).toEqual([path]);
  expect(world.report('r1')?.containers).toMatchObject([{ result: 'Unknown' }]);
  await world.write({ orders: [], deletions: [{ requestUID: 'r1' }] });
  await world.time.advance(5_000);
  expect(world.status?.deletions).toEqual([{ requestUID: 'r1', state: 'Deleted' }]);
  expect(world.archives.paths()).toEqual([]);
});

test('one that comes after its request was deleted goes too', async () => {
  const { world, path } = await unknownOrder('BrokenOff');
  await world.write({ orders: [], deletions: [{ requestUID: 'r1' }] });
  await world.time.advance(5_000);
  await world.write({ deletions: [] });
  world.kill();
  await world.time.advance(10_000);
  world.archives.put(path, { modifiedMs: world.time.now(), identity: { containerId: 'r1-app' } });
  await world.time.advance(120_000);
  expect(world.archives.paths()).toEqual([]);
  expect(recordedPaths(world)).toEqual([]);
});

test('what a failed call left on the disk is deleted too, and looked for only so long', async () => {
  const world = new OrderWorld();
  world.runtime.fails.add('r1-app');
  world.pod('r1');
  world.startAgent();
  await world.time.advance(5_000);
  await world.order({ requestUID: 'r1' });
  await world.time.advanceUntil(() => world.report('r1')?.state === 'Finished', 60_000);
  const path = world.runtime.dumps[0]?.path ?? '';
  world.archives.put(path, { modifiedMs: world.time.now(), fault: 'is cut short' });
  await world.time.advance(100_000);
  expect(world.archives.paths()).toEqual([]);
  world.archives.put(path, { modifiedMs: world.time.now(), fault: 'is cut short' });
  await world.time.advance(100_000);
  expect(world.archives.paths()).toEqual([path]);
});
