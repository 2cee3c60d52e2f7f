// One Lease on a server in memory, as several candidates reach it through bad networks; and candidates that crash, stop, and have wrong clocks.
import type { KubeObject, KubeResource, ObjectRef } from '../../../src/api/kube-object.ts';
import {
  createLeaderElection,
  type LeaderElection,
  type LeaderElectionOptions,
} from '../../../src/machinery/leader-election.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import { type KubeApi, KubeApiError, KubeUnreachable } from '../../../src/ports/kube-api.ts';
import type { ClockError, VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingLog, RecordingMetrics } from './recording.ts';

export const LEASE: ObjectRef = { namespace: 'system', name: 'controller' };

export class LeaseServer {
  lease: KubeObject | null = null;
  /** Told of each change, as a watch would be. */
  readonly watchers = new Set<(lease: KubeObject | null) => void>();
  writes = 0;
  #version = 100;

  read(): KubeObject | null {
    return this.lease;
  }

  create(object: KubeObject): KubeObject {
    if (this.lease !== null) throw conflict('AlreadyExists');
    return this.#write({ ...object, metadata: { ...object.metadata, uid: `uid-${this.#version}` } });
  }

  update(object: KubeObject): KubeObject {
    if (this.lease === null)
      throw new KubeApiError('gone', { status: 404, reason: 'NotFound', retryAfterMs: null });
    if (object.metadata.resourceVersion !== this.lease.metadata.resourceVersion) throw conflict('Conflict');
    return this.#write(object);
  }

  delete(): void {
    this.lease = null;
    for (const tell of this.watchers) tell(null);
  }

  #write(object: KubeObject): KubeObject {
    this.writes += 1;
    this.#version += 1;
    this.lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    for (const tell of this.watchers) tell(this.lease);
    return this.lease;
  }
}

function conflict(reason: string): KubeApiError {
  return new KubeApiError(reason, { status: 409, reason, retryAfterMs: null });
}

/** The way between one candidate and the server; changed while it runs. */
export interface Network {
  /** Of a request, and of an answer; milliseconds. */
  delayMs: () => number;
  /** What becomes of a call: done and answered, not done and an error (busy: 429, come back in 10 s), done but no answer (an error after a while), nothing at all for good. */
  fate: () => 'ok' | 'refused' | 'failed' | 'busy' | 'answer lost' | 'stuck';
}

export interface CandidateOptions {
  readonly identity: string;
  readonly clockError?: ClockError;
  /** How long its work needs to end, by its own clock; Infinity: it never does. */
  readonly stopWorkMs?: number;
  readonly watches?: boolean;
  readonly random: () => number;
  readonly times?: LeaderElectionOptions['times'];
}

export class SimulatedCandidate {
  readonly identity: string;
  readonly network: Network = { delayMs: () => 5, fate: () => 'ok' };
  readonly log = new RecordingLog();
  readonly metrics = new RecordingMetrics();
  readonly election: LeaderElection;
  /** By true time: its work is under way. */
  working = false;
  /** null: still running; else what run came to. */
  outcome: 'ended' | Error | null = null;
  terms = 0;
  calls = 0;
  #crashed = false;
  readonly #time: VirtualTime;
  readonly #server: LeaseServer;
  readonly #stop = new AbortController();

  constructor(time: VirtualTime, server: LeaseServer, options: CandidateOptions, onStart: () => void) {
    this.identity = options.identity;
    this.#time = time;
    this.#server = server;
    const clock = this.#mortalClock(time.machine(options.clockError ?? {}));
    const parts = { api: this.#api(), clock, log: this.log, metrics: this.metrics, random: options.random };
    this.election = createLeaderElection(parts, {
      lease: LEASE,
      identity: options.identity,
      ...(options.times === undefined ? {} : { times: options.times }),
      onStartedLeading: async (signal) => {
        this.working = true;
        this.terms += 1;
        onStart();
        await new Promise<void>((resolve) => {
          const stop = (): void => {
            const stopMs = options.stopWorkMs ?? 0;
            if (stopMs === Infinity) return;
            clock.after(stopMs, resolve);
          };
          if (signal.aborted) stop();
          else signal.addEventListener('abort', stop);
        });
        this.working = false;
      },
    });
    if (options.watches === true) {
      server.watchers.add((lease) => {
        time.after(this.network.delayMs(), () => {
          if (!this.#crashed) this.election.observe(lease);
        });
      });
    }
  }

  /** Neither dead nor told to stop. */
  get alive(): boolean {
    return !this.#crashed && !this.#stop.signal.aborted && this.outcome === null;
  }

  start(): void {
    this.election.run(this.#stop.signal).then(
      () => {
        this.outcome = 'ended';
      },
      (error: unknown) => {
        this.outcome = error as Error;
      },
    );
  }

  /** SIGTERM. */
  stop(): void {
    this.#stop.abort();
  }

  /** SIGKILL: nothing of it happens any more, but for requests that are on their way. */
  crash(): void {
    this.#crashed = true;
    this.working = false;
  }

  #mortalClock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, action) =>
        clock.after(delayMs, () => {
          if (!this.#crashed) action();
        }),
    };
  }

  #api(): KubeApi {
    const server = this.#server;
    const refuse = (): Promise<never> =>
      Promise.reject(new Error('an election only gets, creates and updates'));
    return {
      get: (_resource: KubeResource, ref: ObjectRef, signal?: AbortSignal) =>
        this.#call(() => (ref.name === LEASE.name ? server.read() : null), signal),
      create: (_resource: KubeResource, object: KubeObject, signal?: AbortSignal) =>
        this.#call(() => server.create(object), signal),
      update: (_resource: KubeResource, object: KubeObject, signal?: AbortSignal) =>
        this.#call(() => server.update(object), signal),
      list: refuse,
      watch: () => {
        throw new Error('an election does not watch');
      },
      apply: refuse,
      mergePatch: refuse,
      delete: refuse,
    };
  }

  #call<T>(perform: () => T, signal: AbortSignal | undefined): Promise<T> {
    this.calls += 1;
    const fate = this.network.fate();
    return new Promise<T>((resolve, reject) => {
      signal?.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
      const answer = (give: () => void): void => {
        this.#time.after(this.network.delayMs(), () => {
          if (!this.#crashed) give();
        });
      };
      // What is on its way arrives, whatever becomes of the sender.
      this.#time.after(this.network.delayMs(), () => {
        if (fate === 'stuck') return;
        if (fate === 'refused') {
          answer(() => {
            reject(new KubeUnreachable('refused'));
          });
        } else if (fate === 'failed' || fate === 'busy') {
          answer(() => {
            reject(
              fate === 'busy'
                ? new KubeApiError('429', { status: 429, reason: 'TooManyRequests', retryAfterMs: 10_000 })
                : new KubeApiError('500', { status: 500, reason: 'InternalError', retryAfterMs: null }),
            );
          });
        } else {
          this.#perform(perform, fate, { answer, resolve, reject });
        }
      });
    });
  }

  #perform<T>(
    perform: () => T,
    fate: 'ok' | 'answer lost',
    way: { answer: (give: () => void) => void; resolve: (value: T) => void; reject: (error: Error) => void },
  ): void {
    try {
      const result = perform();
      if (fate === 'ok') {
        way.answer(() => {
          way.resolve(result);
        });
      }
    } catch (error) {
      way.answer(() => {
        way.reject(error as Error);
      });
    }
  }
}
