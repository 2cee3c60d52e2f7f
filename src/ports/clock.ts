// The port to time: passed in everywhere, so that tests own it.

export interface Clock {
  /** Wall clock, milliseconds since 1970 (UTC). */
  now(): number;
  /** Monotonic milliseconds; only differences mean something. */
  monotonicMs(): number;
  /** Runs `action` once after `delayMs`; does not keep the process alive by itself. Returns a function that cancels it. */
  after(delayMs: number, action: () => void): () => void;
}
