// When a failed key may be tried again: an exponential wait of its own, and optionally a rate for all keys together. Never holds the keys: that is the queue.
import type { Clock } from '../ports/clock.ts';
import { type BackoffLimits, exponentialMs } from './backoff.ts';

/** client-go util/workqueue, DefaultTypedControllerRateLimiter: 5 ms to 1000 s a key. */
const CLIENT_GO_LIMITS: BackoffLimits = { firstMs: 5, lastMs: 1_000_000 };

export interface RetryLimits extends Partial<BackoffLimits> {
  /** All keys together: a token bucket. Absent: no such bound. client-go: 10 a second, burst 100. */
  readonly overall?: { readonly perSecond: number; readonly burst: number };
}

export interface RetryLimiter {
  /** Milliseconds that this key has to wait now; counts one failure of it. */
  nextMs(key: string): number;
  /** The key went well, or nobody tries it again. */
  forget(key: string): void;
  /** Failures since the last forget. */
  failures(key: string): number;
}

export function createRetryLimiter(clock: Clock, limits: RetryLimits = {}): RetryLimiter {
  const perKey = {
    firstMs: limits.firstMs ?? CLIENT_GO_LIMITS.firstMs,
    lastMs: limits.lastMs ?? CLIENT_GO_LIMITS.lastMs,
  };
  const counts = new Map<string, number>();
  const overallMs = limits.overall === undefined ? () => 0 : tokenBucket(clock, limits.overall);
  return {
    nextMs(key) {
      const failures = counts.get(key) ?? 0;
      counts.set(key, failures + 1);
      return Math.max(exponentialMs(perKey, failures), overallMs());
    },
    forget(key) {
      counts.delete(key);
    },
    failures: (key) => counts.get(key) ?? 0,
  };
}

/** Takes one token each call, also one that is not there yet; returns how long until it is, milliseconds. */
function tokenBucket(
  clock: Clock,
  { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
): () => number {
  let tokens = burst;
  let countedAtMs = clock.monotonicMs();
  return () => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(burst, tokens + ((nowMs - countedAtMs) / 1000) * perSecond) - 1;
    countedAtMs = nowMs;
    return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
  };
}
