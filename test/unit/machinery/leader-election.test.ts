import { describe, expect, test } from '@jest/globals';
import { LeaderWorkStuck } from '../../../src/machinery/leader-election.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { type CandidateOptions, LeaseServer, SimulatedCandidate } from './lease-server.ts';

/** Candidates without chance (0.5 always) on one server. */
function aWorld() {
  const time = new VirtualTime();
  const server = new LeaseServer();
  const join = (identity: string, options: Partial<CandidateOptions> = {}): SimulatedCandidate => {
    const candidate = new SimulatedCandidate(
      time,
      server,
      { identity, random: () => 0.5, ...options },
      () => undefined,
    );
    candidate.start();
    return candidate;
  };
  return { time, server, join };
}

function spec(server: LeaseServer): Record<string, unknown> {
  return { ...(server.lease?.spec as Record<string, unknown>) };
}

describe('taking the lease', () => {
  test('the first one creates it, in the form that the API server wants', async () => {
    const { time, server, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    expect(one.election.isLeader()).toBe(true);
    expect(one.election.holder()).toBe('one');
    expect(server.lease).toMatchObject({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'system', name: 'controller' },
      spec: {
        holderIdentity: 'one',
        leaseDurationSeconds: 15,
        acquireTime: '2026-11-23T10:00:00.010000Z',
        renewTime: '2026-11-23T10:00:00.010000Z',
        leaseTransitions: 0,
      },
    });
    expect(one.metrics.of('leading')).toEqual(['leading controller false', 'leading controller true']);
  });

  test('a renewal every 2 s, each one request; the others look on', async () => {
    const { time, server, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    const two = join('two');
    await time.advance(20_000);
    expect([one.election.isLeader(), two.election.isLeader(), two.election.holder()]).toEqual([
      true,
      false,
      'one',
    ]);
    // 10 ms a call: at 0.02, 2.03, 4.04 ... 20.06 s.
    expect(server.writes).toBe(10);
    expect(one.calls).toBe(11);
    expect(spec(server)).toMatchObject({
      acquireTime: '2026-11-23T10:00:00.010000Z',
      renewTime: '2026-11-23T10:00:18.100000Z',
    });
  });

  test('after a crash another waits 15 s from when it saw the last renewal, whatever the times in the lease say', async () => {
    for (const offsetMs of [0, -86_400_000, 86_400_000]) {
      const { time, server, join } = aWorld();
      const one = join('one', { clockError: { offsetMs } });
      await time.advance(1_000);
      const two = join('two');
      await time.advance(100);
      one.crash();
      await time.advance(14_900);
      expect(two.working).toBe(false);
      await time.advance(600);
      expect(two.working).toBe(true);
      expect(spec(server)).toMatchObject({ holderIdentity: 'two', leaseTransitions: 1 });
    }
  });

  test('what else is in the lease stays', async () => {
    const { time, server, join } = aWorld();
    server.create({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'system', name: 'controller', labels: { mine: 'yes' } },
      spec: { strategy: 'OldestEmulationVersion' },
    });
    join('one');
    await time.advance(100);
    expect(server.lease?.metadata.labels).toEqual({ mine: 'yes' });
    expect(spec(server)).toMatchObject({
      strategy: 'OldestEmulationVersion',
      holderIdentity: 'one',
      leaseTransitions: 1,
    });
  });

  test('of two who try at the same instant one wins', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { time, join } = aWorld();
      const candidates = [join('one'), join('two'), join('three')];
      await time.advance(1_000);
      expect(candidates.filter(({ working }) => working)).toHaveLength(1);
    }
  });
});

describe('giving it up', () => {
  test('a graceful stop ends the work first, then empties the holder; the next try of another takes it', async () => {
    const { time, server, join } = aWorld();
    const one = join('one', { stopWorkMs: 3_000 });
    await time.advance(100);
    const two = join('two');
    await time.advance(5_000);
    one.stop();
    await time.advance(2_900);
    expect([one.working, spec(server).holderIdentity]).toEqual([true, 'one']);
    await time.advance(150);
    expect([one.working, one.outcome]).toEqual([false, 'ended']);
    expect(spec(server)).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    await time.advance(4_400);
    expect(two.working).toBe(true);
    expect(spec(server)).toMatchObject({
      holderIdentity: 'two',
      leaseTransitions: 1,
      leaseDurationSeconds: 15,
    });
  });

  test('who watches the lease takes a released one at once', async () => {
    const { time, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    const two = join('two', { watches: true });
    await time.advance(5_000);
    one.stop();
    await time.advance(100);
    expect(two.working).toBe(true);
  });

  test('while the work takes its time to stop, the lease is still renewed', async () => {
    const { time, join } = aWorld();
    const one = join('one', { stopWorkMs: 60_000 });
    await time.advance(100);
    const two = join('two');
    await time.advance(5_000);
    one.stop();
    await time.advance(59_000);
    expect([one.working, two.working]).toEqual([true, false]);
    await time.advance(6_000);
    expect([one.working, two.working]).toEqual([false, true]);
  });

  test('a stop before it was ever leading writes nothing', async () => {
    const { time, server, join } = aWorld();
    join('one');
    await time.advance(100);
    const two = join('two');
    await time.advance(5_000);
    const { writes } = server;
    two.stop();
    await time.rest();
    expect(two.outcome).toBe('ended');
    expect(server.writes).toBe(writes);
  });

  test('a lease that cannot be released runs out', async () => {
    const { time, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    one.network.fate = () => 'failed';
    one.stop();
    await time.advance(100);
    expect(one.outcome).toBe('ended');
    expect(one.log.messages('warn')).toEqual(['lease call failed']);
  });
});

describe('losing it', () => {
  test.each(['refused', 'failed', 'stuck', 'answer lost'] as const)(
    'the server does not answer well (%s): the work is told to stop 10 s after the start of the last good renewal',
    async (fate) => {
      const { time, join } = aWorld();
      const one = join('one', { stopWorkMs: 1_000 });
      await time.advance(100);
      one.network.fate = () => fate;
      // The last good write began at 10 ms.
      await time.advance(9_900);
      expect(one.election.isLeader()).toBe(true);
      await time.advance(20);
      expect([one.election.isLeader(), one.working]).toEqual([false, true]);
      await time.advance(1_000);
      expect([one.working, one.outcome]).toEqual([false, null]);
      one.network.fate = () => 'ok';
      await time.advance(30_000);
      expect([one.working, one.terms]).toEqual([true, 2]);
    },
  );

  test('one bad call is no loss', async () => {
    const { time, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    let calls = 0;
    one.network.fate = () => (calls++ < 1 ? 'stuck' : 'ok');
    await time.advance(60_000);
    expect([one.working, one.terms]).toEqual([true, 1]);
  });

  test('somebody else took it (by hand): the work is told to stop with the next renewal', async () => {
    const { time, server, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    server.update({ ...server.lease, spec: { ...spec(server), holderIdentity: 'else' } } as never);
    await time.advance(2_100);
    expect([one.working, one.outcome, one.election.holder()]).toEqual([false, null, 'else']);
  });

  test('the lease was deleted: the leader makes it anew, and those who knew it wait', async () => {
    const { time, server, join } = aWorld();
    const one = join('one');
    await time.advance(100);
    const two = join('two', { watches: true });
    await time.advance(3_900);
    server.delete();
    await time.advance(20_000);
    expect([one.working, one.terms, two.terms]).toEqual([true, 1, 0]);
    expect(spec(server).holderIdentity).toBe('one');
  });

  test('work that does not stop ends the process before another could begin', async () => {
    const { time, join } = aWorld();
    const one = join('one', { stopWorkMs: Infinity });
    await time.advance(100);
    one.network.fate = () => 'refused';
    await time.advance(13_850);
    expect(one.outcome).toBeNull();
    await time.advance(200);
    expect(one.outcome).toBeInstanceOf(LeaderWorkStuck);
  });

  test('who waits asks every 2 to 4.4 s, and later where the server says so', async () => {
    const { time, join } = aWorld();
    const one = join('one');
    one.network.fate = () => 'failed';
    await time.advance(60_000);
    // Get and a failing create at the start, then a failing get each 3.2 s (2 s x 1.6 with chance 0.5) and its 10 ms.
    expect(one.calls).toBe(20);
    one.network.fate = () => 'busy';
    await time.advance(60_000);
    expect(one.calls).toBe(26);
  });
});
