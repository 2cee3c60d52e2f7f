import { describe, expect, test } from '@jest/globals';
import { createLeaderElection, LeaderWorkStuck } from '../../../src/machinery/leader-election.ts';
import {
  type CacheRunnable,
  type ManagerOptions,
  type Runnable,
  runManager,
  StopTimedOut,
} from '../../../src/machinery/manager.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { LEASE, LeaseServer } from './lease-server.ts';
import { RecordingLog, RecordingMetrics } from './recording.ts';

/** Parts that write down their starts and ends; each ends `stopMs` after it was told to. */
function aWorld() {
  const time = new VirtualTime();
  const log = new RecordingLog();
  const events: string[] = [];
  const part = (name: string, stopMs = 10): Runnable => ({
    name,
    run: async (signal) => {
      events.push(`${name} starts`);
      await new Promise<void>((resolve) => {
        const stop = (): void => {
          if (stopMs !== Infinity) time.after(stopMs, resolve);
        };
        if (signal.aborted) stop();
        else signal.addEventListener('abort', stop);
      });
      events.push(`${name} ended`);
    },
  });
  const cache = (name: string, syncMs: number): CacheRunnable => ({
    ...part(name),
    whenSynced: (signal) =>
      new Promise((resolve) => {
        if (syncMs !== Infinity) {
          time.after(syncMs, () => {
            events.push(`${name} synced`);
            resolve(true);
          });
        }
        signal.addEventListener('abort', () => {
          resolve(false);
        });
      }),
  });
  const stop = new AbortController();
  let outcome: unknown = 'running';
  const run = async (options: Partial<ManagerOptions>): Promise<void> => {
    const all = { caches: [], always: [], leaderOnly: [], elect: null, ...options };
    runManager({ clock: time, log }, all, stop.signal).then(
      () => (outcome = 'stopped'),
      (error: unknown) => (outcome = error),
    );
    await time.rest();
  };
  return { time, log, events, part, cache, stop, run, outcome: () => outcome };
}

/** An election that is won after `winMs`, and released 5 ms after its work has ended. */
function elect(time: VirtualTime, events: string[], winMs: number): NonNullable<ManagerOptions['elect']> {
  return (work) => ({
    isLeader: () => true,
    holder: () => 'me',
    observe: () => undefined,
    run: async (signal) => {
      events.push('campaign');
      await new Promise<void>((resolve) => {
        time.after(winMs, resolve);
        signal.addEventListener('abort', () => {
          resolve();
        });
      });
      if (signal.aborted) return;
      await work(signal);
      await new Promise<void>((resolve) => time.after(5, resolve));
      events.push('lease released');
    },
  });
}

describe('manager', () => {
  test('caches, then the parts of every process, then the leader’s; and back', async () => {
    const { time, events, part, cache, stop, run, outcome } = aWorld();
    await run({
      caches: [cache('pods', 100), cache('plans', 200)],
      always: [part('web')],
      leaderOnly: [part('status'), part('plan')],
      elect: elect(time, events, 1_000),
    });
    await time.advance(150);
    expect(events).toEqual(['pods starts', 'plans starts', 'pods synced']);
    await time.advance(1_500);
    expect(events.splice(0)).toEqual([
      'pods starts',
      'plans starts',
      'pods synced',
      'plans synced',
      'web starts',
      'campaign',
      'status starts',
      'plan starts',
    ]);
    stop.abort();
    await time.advance(100);
    expect(events).toEqual([
      'status ended',
      'plan ended',
      'lease released',
      'web ended',
      'pods ended',
      'plans ended',
    ]);
    expect(outcome()).toBe('stopped');
  });

  test('without an election this process leads', async () => {
    const { events, part, run } = aWorld();
    await run({ leaderOnly: [part('plan')] });
    expect(events).toEqual(['plan starts']);
  });

  test('a stop before the caches are complete', async () => {
    const { time, events, part, cache, stop, run, outcome } = aWorld();
    await run({ caches: [cache('pods', Infinity)], always: [part('web')] });
    await time.advance(5_000);
    stop.abort();
    await time.advance(100);
    expect([events, outcome()]).toEqual([['pods starts', 'pods ended'], 'stopped']);
  });

  test('a stop while campaigning', async () => {
    const { time, events, part, stop, run, outcome } = aWorld();
    await run({ leaderOnly: [part('plan')], elect: elect(time, events, 1_000) });
    stop.abort();
    await time.advance(100);
    expect([events, outcome()]).toEqual([['campaign'], 'stopped']);
  });

  test.each(['caches', 'always', 'leaderOnly'] as const)(
    'a part of %s that fails stops all, and its error is the outcome',
    async (stage) => {
      const { time, log, events, part, cache, run, outcome } = aWorld();
      const fails = {
        name: 'bad',
        whenSynced: () => Promise.resolve(true),
        run: async () => {
          await new Promise<void>((resolve) => time.after(50, resolve));
          throw new Error('broken');
        },
      };
      const options = { caches: [cache('pods', 0)], always: [part('web')], leaderOnly: [part('plan')] };
      await run({ ...options, [stage]: [...options[stage], fails], elect: elect(time, events, 10) });
      await time.advance(200);
      expect(outcome()).toEqual(new Error('broken'));
      expect(events.filter((event) => event.endsWith('ended')).toSorted()).toEqual([
        'plan ended',
        'pods ended',
        'web ended',
      ]);
      expect(log.messages('error')).toContain('a part failed, stopping all');
    },
  );

  test('a part that ends by itself is a failure', async () => {
    const { time, run, outcome } = aWorld();
    await run({ always: [{ name: 'short', run: () => Promise.resolve() }] });
    await time.advance(100);
    expect(outcome()).toEqual(new Error('short ended by itself'));
  });

  test('parts that do not end: after 20 s the outcome names them, and all others were told', async () => {
    const { time, events, part, cache, stop, run, outcome } = aWorld();
    await run({ caches: [cache('pods', 0)], always: [part('web'), part('stuck', Infinity)] });
    await time.advance(100);
    stop.abort();
    await time.advance(19_999);
    expect(outcome()).toBe('running');
    await time.advance(1);
    expect(outcome()).toEqual(new StopTimedOut('still running, limit 20000 ms: pods, stuck'));
    await time.advance(100);
    expect(events.slice(-2)).toEqual(['web ended', 'pods ended']);
  });

  test('work that goes on without the lease ends the program at once', async () => {
    const { time, part, run, outcome } = aWorld();
    const lost: ManagerOptions['elect'] = () => ({
      isLeader: () => false,
      holder: () => '',
      observe: () => undefined,
      run: async () => {
        await new Promise<void>((resolve) => time.after(1_000, resolve));
        throw new LeaderWorkStuck('the lease is lost, and the work goes on');
      },
    });
    await run({ always: [part('slow', 15_000)], elect: lost });
    await time.advance(1_001);
    expect(outcome()).toBeInstanceOf(StopTimedOut);
  });

  test('with a real election: a loss of the lease stops the leader’s parts and no others, and they start again', async () => {
    const { time, log, events, part, run, stop, outcome } = aWorld();
    const server = new LeaseServer();
    let reachable = true;
    const call = <T>(does: () => T): Promise<T> =>
      reachable ? Promise.resolve().then(does) : Promise.reject(new Error('unreachable'));
    const api = {
      get: () => call(() => server.read()),
      create: (_resource: unknown, object: never) => call(() => server.create(object)),
      update: (_resource: unknown, object: never) => call(() => server.update(object)),
    };
    const parts = { api: api as never, clock: time, log, metrics: new RecordingMetrics(), random: () => 0.5 };
    await run({
      always: [part('web')],
      leaderOnly: [part('plan')],
      elect: (work) => createLeaderElection(parts, { lease: LEASE, identity: 'me', onStartedLeading: work }),
    });
    await time.advance(5_000);
    reachable = false;
    await time.advance(15_000);
    reachable = true;
    await time.advance(20_000);
    expect(events).toEqual(['web starts', 'plan starts', 'plan ended', 'plan starts']);
    stop.abort();
    await time.advance(1_000);
    expect(outcome()).toBe('stopped');
    expect((server.lease?.spec as { holderIdentity: string }).holderIdentity).toBe('');
  });
});
