// Clock that stands still until a test moves it.
import type { Clock } from '../../src/ports/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly action: () => void;
}

export class FakeClock implements Clock {
  #elapsedMs = 0;
  readonly #startMs: number;
  readonly #timers = new Set<Timer>();

  constructor(start = '2026-11-23T10:00:00.000Z') {
    this.#startMs = Date.parse(start);
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, action };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Moves on at once, without running timers that come due: for code that only reads the time. */
  jump(ms: number): void {
    this.#elapsedMs += ms;
  }

  /** Moves on; each timer that comes due runs at its time, and what it sets going comes to rest before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await atRest();
    for (let next = this.#next(endMs); next !== null; next = this.#next(endMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      this.#timers.delete(next);
      next.action();
      await atRest();
    }
    this.#elapsedMs = endMs;
  }

  #next(endMs: number): Timer | null {
    const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs);
    return due.toSorted((one, other) => one.atMs - other.atMs)[0] ?? null;
  }
}

/** Until everything in memory that could go on has gone on. The fakes answer within a few turns of the event loop. */
export async function atRest(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
