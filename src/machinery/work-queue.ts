// The queue of keys between events and workers, with the semantics of client-go's util/workqueue. Knows nothing of what a key means, and never runs work itself.
import type { Clock } from '../ports/clock.ts';
import type { MachineryMetrics } from '../ports/machinery-metrics.ts';
import { createRetryLimiter, type RetryLimits } from './retry-limiter.ts';

export interface WorkQueue {
  /** A key that already waits is not doubled; one that a worker has is handed out once more after its done. Nothing after a shutdown. */
  add(key: string): void;
  /** Adds after `delayMs` (0 or less: now). Of several delays of one key the earliest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Adds after the key's own exponential wait, but not before `atLeastMs` (a server's Retry-After). */
  addRateLimited(key: string, atLeastMs?: number): void;
  /** The key's next rate-limited wait is the shortest again. Does not take the key out of the queue. */
  forget(key: string): void;
  /** Rate-limited adds of this key since its last forget. */
  failures(key: string): number;
  /** The key that has waited longest; waits for one. The caller has to say done. null: shut down, and nothing is left. */
  get(): Promise<string | null>;
  /** The worker is through with the key, whatever came of it. */
  done(key: string): void;
  /** Keys that wait for a worker now; neither those that are worked on, nor those that are added later. */
  depth(): number;
  /** No more keys come in, delays are dropped; what waits is still handed out. Resolves when all of it is done. */
  shutDown(): Promise<void>;
}

export interface WorkQueueParts {
  /** For metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly metrics: MachineryMetrics;
}

export function createWorkQueue(parts: WorkQueueParts, limits?: RetryLimits): WorkQueue {
  return new KeyQueue(parts, limits);
}

interface Delayed {
  readonly atMs: number;
  readonly cancel: () => void;
}

class KeyQueue implements WorkQueue {
  readonly #parts: WorkQueueParts;
  readonly #limiter;
  /** Waiting for a worker, oldest first; with the time of the add. */
  readonly #ready = new Map<string, number>();
  /** With a worker; with the time of the get. */
  readonly #processing = new Map<string, number>();
  /** Added while with a worker; with the time of the add. */
  readonly #again = new Map<string, number>();
  readonly #delayed = new Map<string, Delayed>();
  /** Workers without a key, longest waiting first; none while #ready has keys. */
  readonly #idle: ((key: string | null) => void)[] = [];
  readonly #drained: (() => void)[] = [];
  #shuttingDown = false;

  constructor(parts: WorkQueueParts, limits?: RetryLimits) {
    this.#parts = parts;
    this.#limiter = createRetryLimiter(parts.clock, limits);
  }

  add(key: string): void {
    if (this.#shuttingDown || this.#ready.has(key) || this.#again.has(key)) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#parts.metrics.queueAdded(this.#parts.name);
    if (this.#processing.has(key)) this.#again.set(key, nowMs);
    else this.#push(key, nowMs);
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#shuttingDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const atMs = this.#parts.clock.monotonicMs() + delayMs;
    const earlier = this.#delayed.get(key);
    if (earlier !== undefined && earlier.atMs <= atMs) return;
    earlier?.cancel();
    const cancel = this.#parts.clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { atMs, cancel });
  }

  addRateLimited(key: string, atLeastMs = 0): void {
    if (this.#shuttingDown) return;
    this.#parts.metrics.queueRetried(this.#parts.name);
    this.addAfter(key, Math.max(this.#limiter.nextMs(key), atLeastMs));
  }

  forget(key: string): void {
    this.#limiter.forget(key);
  }

  failures(key: string): number {
    return this.#limiter.failures(key);
  }

  get(): Promise<string | null> {
    const [next] = this.#ready;
    if (next !== undefined) {
      const [key, addedAtMs] = next;
      this.#ready.delete(key);
      this.#handOut(key, addedAtMs);
      return Promise.resolve(key);
    }
    if (this.#shuttingDown) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  done(key: string): void {
    const takenAtMs = this.#processing.get(key);
    if (takenAtMs === undefined) return;
    this.#processing.delete(key);
    this.#parts.metrics.queueWorked(this.#parts.name, this.#secondsSince(takenAtMs));
    const addedAtMs = this.#again.get(key);
    if (addedAtMs !== undefined) {
      this.#again.delete(key);
      this.#push(key, addedAtMs);
    }
    this.#tellIfDrained();
  }

  depth(): number {
    return this.#ready.size;
  }

  shutDown(): Promise<void> {
    this.#shuttingDown = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const worker of this.#idle.splice(0)) worker(null);
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      this.#tellIfDrained();
    });
  }

  #push(key: string, addedAtMs: number): void {
    const worker = this.#idle.shift();
    if (worker === undefined) {
      this.#ready.set(key, addedAtMs);
      this.#tellDepth();
      return;
    }
    this.#handOut(key, addedAtMs);
    worker(key);
  }

  #handOut(key: string, addedAtMs: number): void {
    this.#processing.set(key, this.#parts.clock.monotonicMs());
    this.#parts.metrics.queueWaited(this.#parts.name, this.#secondsSince(addedAtMs));
    this.#tellDepth();
  }

  #tellDepth(): void {
    this.#parts.metrics.queueDepth(this.#parts.name, this.#ready.size);
  }

  #tellIfDrained(): void {
    if (!this.#shuttingDown || this.#ready.size > 0 || this.#processing.size > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #secondsSince(atMs: number): number {
    return (this.#parts.clock.monotonicMs() - atMs) / 1000;
  }
}
