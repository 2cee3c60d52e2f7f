// How long to wait after the n-th failure in a row: twice as long each time, with jitter, up to a bound. Keeps the count and nothing else.

/** 0 <= value < 1, as Math.random. */
export type Random = () => number;

export interface BackoffLimits {
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface Backoff {
  /** Milliseconds to wait now: half to all of firstMs x 2^failures, at most lastMs. Counts one failure. */
  nextMs(): number;
  /** The next wait is the first again. */
  reset(): void;
}

export function createBackoff({ firstMs, lastMs }: BackoffLimits, random: Random): Backoff {
  let failures = 0;
  return {
    nextMs() {
      const wholeMs = exponentialMs({ firstMs, lastMs }, failures);
      failures += 1;
      // At least half: many clients spread out, and none of them comes back at once.
      return wholeMs / 2 + (wholeMs / 2) * random();
    },
    reset() {
      failures = 0;
    },
  };
}

/** firstMs x 2^failures, at most lastMs. */
export function exponentialMs({ firstMs, lastMs }: BackoffLimits, failures: number): number {
  // Beyond 2^1023 a double is Infinity, which Math.min takes well.
  return Math.min(lastMs, firstMs * 2 ** failures);
}
