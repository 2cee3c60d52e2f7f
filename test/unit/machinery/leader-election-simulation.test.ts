// Elections with crashes, stops, partitions, slow and lossy networks and wrong clocks: never two leaders at one true instant, and soon one again.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { LeaseServer, type Network, SimulatedCandidate } from './lease-server.ts';
import { seededRandom } from './recording.ts';

const DAY_MS = 86_400_000;

class Election {
  readonly time = new VirtualTime();
  readonly server = new LeaseServer();
  readonly candidates: SimulatedCandidate[] = [];
  /** Starts of work while another one's was under way. */
  readonly overlaps: string[] = [];
  readonly random: () => number;
  readonly watches: boolean;

  constructor(seed: number, watches: boolean) {
    this.random = seededRandom(seed);
    this.watches = watches;
  }

  join(): SimulatedCandidate {
    const identity = `candidate-${this.candidates.length}`;
    const candidate: SimulatedCandidate = new SimulatedCandidate(
      this.time,
      this.server,
      {
        identity,
        random: this.random,
        watches: this.watches,
        stopWorkMs: this.random() * 3_000,
        // Wall clocks are days apart; crystals are off by 1 % (real ones: 0.01 %).
        clockError: { offsetMs: (this.random() - 0.5) * DAY_MS, rate: 0.99 + 0.02 * this.random() },
      },
      () => {
        const others = this.candidates.filter((other) => other !== candidate && other.working);
        for (const other of others) this.overlaps.push(`${candidate.identity} while ${other.identity}`);
      },
    );
    this.candidates.push(candidate);
    Object.assign(candidate.network, this.goodNetwork());
    candidate.start();
    return candidate;
  }

  goodNetwork(): Network {
    return { delayMs: () => 1 + 20 * this.random(), fate: () => 'ok' };
  }

  leader(): SimulatedCandidate | undefined {
    return this.candidates.find((candidate) => candidate.working);
  }

  alive(): SimulatedCandidate[] {
    return this.candidates.filter((candidate) => candidate.alive);
  }
}

type Event = readonly [what: string, happens: (election: Election, which: number) => void];

const EVENTS: readonly Event[] = [
  ['crash', (election, which) => pick(election, which)?.crash()],
  ['crash of the leader', (election) => election.leader()?.crash()],
  ['stop', (election, which) => pick(election, which)?.stop()],
  ['stop of the leader', (election) => election.leader()?.stop()],
  ['start', joinIfFew],
  ['start', joinIfFew],
  [
    'partition',
    (election, which) => {
      spoil(election, which, { fate: () => 'stuck' });
    },
  ],
  [
    'partition of the leader',
    (election) => {
      spoilOne(election.leader(), { fate: () => 'stuck' });
    },
  ],
  [
    'refusals',
    (election, which) => {
      spoil(election, which, { fate: () => 'refused' });
    },
  ],
  [
    'losses',
    (election, which) => {
      spoil(election, which, { fate: lossy(election) });
    },
  ],
  [
    'slow',
    (election, which) => {
      spoil(election, which, { delayMs: () => 4_000 * election.random() });
    },
  ],
  [
    'slow for all',
    (election) => {
      election.alive().forEach((one) => {
        spoilOne(one, { delayMs: () => 3_000 * election.random() });
      });
    },
  ],
  [
    'very slow, lossy',
    (election, which) => {
      spoil(election, which, { delayMs: () => 12_000 * election.random(), fate: lossy(election) });
    },
  ],
  [
    'healed',
    (election, which) => {
      spoil(election, which, election.goodNetwork());
    },
  ],
  [
    'all healed',
    (election) => {
      election.alive().forEach((one) => {
        spoilOne(one, election.goodNetwork());
      });
    },
  ],
];

function joinIfFew(election: Election): void {
  if (election.alive().length < 3) election.join();
}

function pick(election: Election, which: number): SimulatedCandidate | undefined {
  const alive = election.alive();
  return alive[which % Math.max(1, alive.length)];
}

function spoil(election: Election, which: number, network: Partial<Network>): void {
  spoilOne(pick(election, which), network);
}

function spoilOne(candidate: SimulatedCandidate | undefined, network: Partial<Network>): void {
  if (candidate !== undefined) Object.assign(candidate.network, network);
}

function lossy(election: Election): Network['fate'] {
  const fates = ['ok', 'ok', 'refused', 'failed', 'answer lost', 'stuck'] as const;
  return () => fates[Math.floor(election.random() * fates.length)] ?? 'ok';
}

const schedule = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: EVENTS.length - 1 }),
    fc.nat({ max: 2 }),
    fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 3_000, max: 40_000 })),
  ),
  { minLength: 5, maxLength: 30 },
);

test('two and three candidates under any row of troubles: never two at work, and one soon after the end of the troubles', async () => {
  const totals = { terms: 0, crashes: 0 };
  await fc.assert(
    fc.asyncProperty(schedule, fc.nat(1_000_000), async (events, seed) => {
      const election = new Election(seed, seed % 3 === 0);
      election.join();
      election.join();
      for (const [index, which, pauseMs] of events) {
        const event = EVENTS[index];
        event?.[1](election, which);
        await election.time.advance(pauseMs);
      }
      expect(election.overlaps).toEqual([]);
      if (election.alive().length === 0) election.join();
      for (const one of election.alive()) spoilOne(one, election.goodNetwork());
      // Late writes of the troubled may renew a dead one's lease once more: 12 s on the way, 15 s of the lease, 4.4 s to the next try.
      const leads = (): boolean => election.leader()?.alive === true;
      expect(await election.time.advanceUntil(leads, 45_000)).toBe(true);
      const leader = election.leader();
      await election.time.advance(60_000);
      expect([election.leader() === leader, election.overlaps]).toEqual([true, []]);
      // Whoever ended, ended well: nobody's work was stuck.
      expect(election.candidates.filter(({ outcome }) => outcome instanceof Error)).toEqual([]);
      totals.terms += election.candidates.reduce((sum, { terms }) => sum + terms, 0);
      totals.crashes += election.candidates.filter(({ alive, outcome }) => !alive && outcome === null).length;
    }),
    { numRuns: 400, seed: 4 },
  );
  // Elections happened, and leaders died.
  expect(totals.terms).toBeGreaterThan(1_200);
  expect(totals.crashes).toBeGreaterThan(300);
});

/** Times from an event to the start of the next leader's work, seconds, for 200 elections of three, shortest first. */
async function takeOvers(watches: boolean, end: (leader: SimulatedCandidate) => void): Promise<number[]> {
  const seconds: number[] = [];
  for (let seed = 0; seed < 200; seed += 1) {
    const election = new Election(seed, watches);
    for (let count = 0; count < 3; count += 1) election.join();
    await election.time.advance(20_000 + 10_000 * election.random());
    const leader = election.leader();
    if (leader === undefined) throw new Error('no leader');
    end(leader);
    // A graceful stop counts from the end of its work.
    await election.time.advanceUntil(() => !leader.working, 10_000);
    const fromMs = election.time.monotonicMs();
    await election.time.advanceUntil(() => election.leader() !== undefined, 60_000);
    seconds.push((election.time.monotonicMs() - fromMs) / 1000);
    expect(election.overlaps).toEqual([]);
  }
  return seconds.toSorted((one, other) => one - other);
}

test('after SIGKILL of the leader: another within 20 s, and not before its lease is over', async () => {
  const seconds = await takeOvers(false, (leader) => {
    leader.crash();
  });
  expect(seconds.at(-1)).toBeLessThan(20.2);
  expect(seconds[Math.floor(0.95 * seconds.length)]).toBeLessThan(20);
  // The last renewal was up to 2 s ago, and a clock counts 1 % too fast.
  expect(seconds[0]).toBeGreaterThan(12.8);
});

test('after SIGKILL of the leader, where others watch the lease: within 16 s', async () => {
  const seconds = await takeOvers(true, (leader) => {
    leader.crash();
  });
  expect(seconds.at(-1)).toBeLessThan(16);
});

test('after SIGTERM of the leader: another with the next try (4.4 s), at once where it watches the lease', async () => {
  const stop = (leader: SimulatedCandidate): void => {
    leader.stop();
  };
  expect((await takeOvers(false, stop)).at(-1)).toBeLessThan(4.7);
  expect((await takeOvers(true, stop)).at(-1)).toBeLessThan(0.3);
});
