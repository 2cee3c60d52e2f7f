// How often statuses may be written: each write is watched by many. Token buckets, one for each policy and one for all.
import type { Clock } from '../ports/clock.ts';

/** One write in 10 s for a policy, after a burst of three: a change of the spec, its roll-out and its end are seen at once. */
const PER_POLICY = { burst: 3, refillMs: 10_000 };
/** 10 a second in all. Source: measured, 20 status writes a second are a tenth of a core of the API server. */
const IN_ALL = { burst: 10, refillMs: 100 };

export interface StatusBudget {
  /** 0: write now. Else nothing was taken: try again after so many milliseconds. */
  take(key: string): number;
  forget(key: string): void;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export function createStatusBudget(clock: Pick<Clock, 'monotonicMs'>): StatusBudget {
  const all: Bucket = { tokens: IN_ALL.burst, atMs: clock.monotonicMs() };
  const byKey = new Map<string, Bucket>();
  return {
    take: (key) => {
      const now = clock.monotonicMs();
      const own = byKey.get(key) ?? { tokens: PER_POLICY.burst, atMs: now };
      byKey.set(key, own);
      refill(own, PER_POLICY, now);
      refill(all, IN_ALL, now);
      const waitMs = Math.max(waitFor(own, PER_POLICY), waitFor(all, IN_ALL));
      if (waitMs > 0) return waitMs;
      own.tokens -= 1;
      all.tokens -= 1;
      return 0;
    },
    forget: (key) => {
      byKey.delete(key);
    },
  };
}

type Rate = typeof PER_POLICY;

function refill(bucket: Bucket, { burst, refillMs }: Rate, now: number): void {
  bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.atMs) / refillMs);
  bucket.atMs = now;
}

/** Whole milliseconds, at least 1, until a token is there; 0: there is one. */
function waitFor({ tokens }: Bucket, { refillMs }: Rate): number {
  return tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) * refillMs));
}
