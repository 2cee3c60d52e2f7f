// Time for simulations: events in order of their time, everything in memory at rest between two of them, and clocks of other machines that go wrong.
import type { Clock } from '../../src/ports/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/** How a machine's clock differs from the true time. */
export interface ClockError {
  /** Of the wall clock. */
  readonly offsetMs?: number;
  /** Seconds that it counts in a true second; 1 is right. */
  readonly rate?: number;
}

/** Works with code whose promises settle by other promises, by abort signals or by this clock: real I/O is not waited for. */
export class VirtualTime implements Clock {
  #elapsedMs = 0;
  #order = 0;
  readonly #startMs: number;
  /** Ordered by time, then by age. */
  readonly #timers: Timer[] = [];

  constructor(start = '2026-11-23T10:00:00.000Z') {
    this.#startMs = Date.parse(start);
  }

  now(): number {
    return Math.floor(this.#startMs + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, action: () => void): () => void {
    this.#order += 1;
    const timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order, action };
    const later = this.#timers.findIndex(({ atMs }) => atMs > timer.atMs);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** Moves on by `ms`, timer by timer. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await this.rest();
    for (let [next] = this.#timers; next !== undefined && next.atMs <= endMs; [next] = this.#timers) {
      this.#timers.shift();
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      next.action();
      await this.rest();
    }
    this.#elapsedMs = endMs;
  }

  /** Moves on until `isDone`, at most by `limitMs`; returns whether it came true. */
  async advanceUntil(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#elapsedMs + limitMs;
    await this.rest();
    while (!isDone()) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) {
        this.#elapsedMs = endMs;
        return isDone();
      }
      await this.advance(next.atMs - this.#elapsedMs);
    }
    return true;
  }

  /** Until all that can go on without time has gone on: microtasks run to their end before the next turn of the event loop. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The clock of a machine beside: the same time, measured wrongly. */
  machine({ offsetMs = 0, rate = 1 }: ClockError): Clock {
    return {
      now: () => Math.floor(this.#startMs + offsetMs + this.#elapsedMs * rate),
      monotonicMs: () => this.#elapsedMs * rate,
      after: (delayMs, action) => this.after(delayMs / rate, action),
    };
  }
}
