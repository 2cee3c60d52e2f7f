// One leader among several processes, by a Lease: client-go's tools/leaderelection, with two changes for safety: the leader counts its time from the start of
// a renewal, not from the answer, and work that does not stop in time ends the process. Never compares the clocks of two machines.
import type { KubeObject, ObjectRef } from '../api/kube-object.ts';
import type { Clock } from '../ports/clock.ts';
import { type KubeApi, KubeApiError } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { MachineryMetrics } from '../ports/machinery-metrics.ts';
import type { Random } from './backoff.ts';
import { asError, withDeadline } from './deadline.ts';
import { heldLease, type LeaseRecord, LEASES, readLease, releasedLease } from './lease-record.ts';
import { isNewer } from './resource-version.ts';
import { sleep } from './sleep.ts';

export interface LeaderElectionTimes {
  /** Others wait so long after the last change of the lease that they saw. */
  readonly leaseDurationMs: number;
  /** The leader stops so long after the start of its last renewal that went well. Less than leaseDurationMs: the difference is for ending its work. */
  readonly renewDeadlineMs: number;
  /** Between tries; for those who wait up to 2.2 times as long, at random (client-go's jitter 1.2). */
  readonly retryPeriodMs: number;
}

/** As kube-controller-manager and controller-runtime. */
export const LEADER_ELECTION_TIMES: LeaderElectionTimes = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
};
const JITTER_FACTOR = 1.2;
/** Of the time between our deadline and the others' start, the part in which our work has to end. */
const STOPPING_SHARE = 0.8;
const EXPIRY_JITTER_MS = 500;
/** For calls that only their time limit ends. */
const NEVER = new AbortController().signal;

export interface LeaderElectionParts {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MachineryMetrics;
  readonly random: Random;
}

export interface LeaderElectionOptions {
  readonly lease: ObjectRef;
  /** Of this process, and of no other, not even of the same pod before a restart. */
  readonly identity: string;
  readonly times?: LeaderElectionTimes;
  /** The leader's work. Resolves when all of it has ended, soon after `signal` aborts. Rejecting ends the election. */
  readonly onStartedLeading: (signal: AbortSignal) => Promise<void>;
  /** After each end of the work. */
  readonly onStoppedLeading?: () => void;
}

/** The leader's work did not end in time: another process may begin, so this one has to exit at once. */
export class LeaderWorkStuck extends Error {
  override readonly name = 'LeaderWorkStuck';
}

export interface LeaderElection {
  /** True while the lease is ours and its time is not up, by the monotonic clock. */
  isLeader(): boolean;
  /** The holder as last seen; empty: nobody, or not known yet. */
  holder(): string;
  /** What a watch saw: the lease, or null when it was deleted. Optional; makes those who wait take over a released lease at once instead of at their next try. */
  observe(lease: KubeObject | null): void;
  /** Campaigns, leads, and campaigns again after a loss, until `signal` aborts; then ends the work, and gives the lease up. Rejects with LeaderWorkStuck or with what the work threw. */
  run(signal: AbortSignal): Promise<void>;
}

export function createLeaderElection(
  parts: LeaderElectionParts,
  options: LeaderElectionOptions,
): LeaderElection {
  return new Candidate(parts, options);
}

class Candidate implements LeaderElection {
  readonly #parts: LeaderElectionParts;
  readonly #options: LeaderElectionOptions;
  readonly #times: LeaderElectionTimes;
  /** The newest state that we know; null: there is none, or we have not looked. */
  #lease: KubeObject | null = null;
  /** Of the newest lease that there was, also when it was deleted since: its holder may still work. */
  #record: LeaseRecord | null = null;
  /** When #record was new to us, by our own monotonic clock. */
  #observedAtMs = 0;
  /** Start of our last write that went well; null: not leading. */
  #renewedAtMs: number | null = null;
  /** What a refusing server asked for. */
  #retryAfterMs = 0;
  /** Seen by a watch since the last try. */
  #released = false;
  #wake = (): void => undefined;

  constructor(parts: LeaderElectionParts, options: LeaderElectionOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#times = options.times ?? LEADER_ELECTION_TIMES;
  }

  isLeader(): boolean {
    return this.#leftMs() > 0 && this.holder() === this.#options.identity;
  }

  holder(): string {
    return this.#record?.holder ?? '';
  }

  observe(lease: KubeObject | null): void {
    // The leader knows from its own writes; what a watch brings may be older than those.
    if (this.#renewedAtMs !== null) return;
    const known = this.#lease?.metadata.resourceVersion;
    const seen = lease?.metadata.resourceVersion;
    if (known !== undefined && seen !== undefined && !isNewer(seen, known)) return;
    this.#see(lease);
    if (lease === null || this.holder() !== '') return;
    this.#released = true;
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (await this.#campaign(signal)) await this.#lead(signal);
    }
  }

  /** True: the lease is ours. False: `signal` aborted. */
  async #campaign(signal: AbortSignal): Promise<boolean> {
    this.#parts.metrics.leading(this.#options.lease.name, false);
    while (!signal.aborted) {
      this.#released = false;
      await this.#tryAcquireOrRenew(signal);
      if (this.isLeader()) return true;
      await this.#restBeforeNextTry(signal);
    }
    return false;
  }

  async #restBeforeNextTry(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    const rest = new AbortController();
    const end = (): void => {
      rest.abort();
    };
    this.#wake = end;
    signal.addEventListener('abort', end);
    if (signal.aborted || this.#released) end();
    const periodMs = Math.max(this.#retryAfterMs, this.#times.retryPeriodMs * (1 + JITTER_FACTOR * random()));
    const validMs = this.#validMs();
    // Where the holder's time runs out before the next try is due, that is when to try.
    const expiryMs = validMs > 0 ? validMs + EXPIRY_JITTER_MS * random() : periodMs;
    await sleep(clock, Math.min(periodMs, expiryMs), rest.signal);
    signal.removeEventListener('abort', end);
    this.#wake = () => undefined;
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { log, metrics } = this.#parts;
    const fields = { lease: this.#options.lease.name, identity: this.#options.identity };
    const stopWork = new AbortController();
    const stopRenewing = new AbortController();
    const stop = (): void => {
      stopWork.abort();
    };
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    log.info('leading', fields);
    metrics.leading(this.#options.lease.name, true);
    // Renewed until the work has ended, also on a graceful stop: nobody gets the lease before.
    const renewing = this.#renewUntilLost(stopRenewing.signal).then(stop);
    const work = outcomeOf(() => this.#options.onStartedLeading(stopWork.signal));
    await Promise.race([work, renewing]);
    const problem = await this.#endOf(work);
    const endedByItself = !stopWork.signal.aborted;
    stopRenewing.abort();
    await renewing;
    signal.removeEventListener('abort', stop);
    metrics.leading(this.#options.lease.name, false);
    log.info('no longer leading', { ...fields, lost: !this.isLeader() });
    this.#options.onStoppedLeading?.();
    await this.#release();
    if (problem !== null) throw problem;
    if (endedByItself) throw new Error('the work of the leader ended by itself');
  }

  /** What the work threw, or null; LeaderWorkStuck when it goes on after the loss of the lease for longer than is safe. */
  async #endOf(work: Promise<Error | null>): Promise<Error | null> {
    const { leaseDurationMs, renewDeadlineMs } = this.#times;
    const limitMs = Math.max(0, this.#leftMs() + STOPPING_SHARE * (leaseDurationMs - renewDeadlineMs));
    const over = new AbortController();
    const stuck = sleep(this.#parts.clock, limitMs, over.signal).then(
      () => new LeaderWorkStuck('the lease is lost, and the work goes on'),
    );
    const problem = await Promise.race([work, stuck]);
    over.abort();
    return problem;
  }

  /** Resolves when the lease is lost, or when `signal` aborts. */
  async #renewUntilLost(signal: AbortSignal): Promise<void> {
    while (this.isLeader()) {
      await sleep(this.#parts.clock, Math.min(this.#times.retryPeriodMs, this.#leftMs()), signal);
      if (signal.aborted) return;
      // Not cut short by `signal`: a renewal that arrives after all would be newer than the lease that we then try to release.
      if (this.isLeader()) await this.#tryAcquireOrRenew(NEVER);
    }
  }

  /** Success shows in #renewedAtMs. Never rejects. */
  async #tryAcquireOrRenew(signal: AbortSignal): Promise<void> {
    this.#retryAfterMs = 0;
    try {
      if (this.isLeader() && (await this.#renewOptimistically(signal))) return;
      this.#see(await this.#call(signal, (own) => this.#parts.api.get(LEASES, this.#options.lease, own)));
      const { holder, validMs } = { holder: this.holder(), validMs: this.#validMs() };
      if (holder === '' || holder === this.#options.identity || validMs <= 0) await this.#hold(signal);
    } catch (error) {
      if (!signal.aborted) this.#note(error);
    }
  }

  /** The lease as we wrote it last is most likely still so: one request instead of two. */
  async #renewOptimistically(signal: AbortSignal): Promise<boolean> {
    if (this.#lease === null) return false;
    try {
      await this.#hold(signal);
      return true;
    } catch (error) {
      this.#note(error);
      return false;
    }
  }

  /** Writes the lease as ours; a stale resourceVersion is refused, so of two who try at once one wins. */
  async #hold(signal: AbortSignal): Promise<void> {
    const { api, clock } = this.#parts;
    const { lease, identity } = this.#options;
    const durationSeconds = this.#times.leaseDurationMs / 1000;
    const wanted = heldLease(this.#lease, lease, { holder: identity, durationSeconds, at: clock.now() });
    const startedAtMs = clock.monotonicMs();
    const written = await this.#call(signal, (own) =>
      this.#lease === null ? api.create(LEASES, wanted, own) : api.update(LEASES, wanted, own),
    );
    this.#see(written);
    this.#renewedAtMs = startedAtMs;
  }

  /** Gives the lease up if it is still ours, so that a successor need not wait for its end. */
  async #release(): Promise<void> {
    const still = this.isLeader();
    this.#renewedAtMs = null;
    if (!still) return;
    try {
      if (await this.#writeReleased()) return;
      // A renewal whose answer was lost, or an edit by hand.
      this.#see(await this.#call(NEVER, (own) => this.#parts.api.get(LEASES, this.#options.lease, own)));
      if (this.holder() === this.#options.identity) await this.#writeReleased();
    } catch (error) {
      this.#note(error);
    }
  }

  /** False: what we know of the lease is not the newest. */
  async #writeReleased(): Promise<boolean> {
    const { api, clock } = this.#parts;
    if (this.#lease === null) return true;
    const released = releasedLease(this.#lease, clock.now());
    try {
      this.#see(await this.#call(NEVER, (own) => api.update(LEASES, released, own)));
      return true;
    } catch (error) {
      if (error instanceof KubeApiError && error.status === 409) return false;
      throw error;
    }
  }

  #note(error: unknown): void {
    this.#retryAfterMs = error instanceof KubeApiError ? (error.retryAfterMs ?? 0) : 0;
    // Somebody was faster: that is what a lease is for.
    if (error instanceof KubeApiError && error.status === 409) return;
    const fields = { lease: this.#options.lease.name, identity: this.#options.identity };
    this.#parts.log.warn('lease call failed', { ...fields, error: asError(error).message });
  }

  /** Half the deadline a call, so that a stuck one leaves time for another. A leader's never goes on beyond its time. */
  #call<R>(signal: AbortSignal, call: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const limitMs = this.#times.renewDeadlineMs / 2;
    const leftMs = this.#renewedAtMs === null ? limitMs : Math.max(0, Math.min(limitMs, this.#leftMs()));
    return withDeadline(this.#parts.clock, leftMs, signal, call);
  }

  #see(lease: KubeObject | null): void {
    const known = this.#lease?.metadata.resourceVersion;
    this.#lease = lease;
    if (lease === null || lease.metadata.resourceVersion === known) return;
    this.#record = readLease(lease);
    this.#observedAtMs = this.#parts.clock.monotonicMs();
  }

  /** How long others have to respect the lease as we saw it, reckoned from when we saw it; 0 or less: no longer. */
  #validMs(): number {
    if (this.#record === null) return 0;
    const { durationSeconds } = this.#record;
    const durationMs = durationSeconds > 0 ? durationSeconds * 1000 : this.#times.leaseDurationMs;
    return this.#observedAtMs + durationMs - this.#parts.clock.monotonicMs();
  }

  /** How long we may still lead; 0 or less: not at all. */
  #leftMs(): number {
    if (this.#renewedAtMs === null) return 0;
    return this.#renewedAtMs + this.#times.renewDeadlineMs - this.#parts.clock.monotonicMs();
  }
}

/** Runs `work`; null when it resolved, else what it threw. */
async function outcomeOf(work: () => Promise<void>): Promise<Error | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    return asError(thrown);
  }
}
