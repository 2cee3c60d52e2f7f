// Calls with a bound on their time, also where what was called does not listen to its signal.
import type { Clock } from '../ports/clock.ts';
import { KubeUnreachable } from '../ports/kube-api.ts';

/**
 * What `call` gives, if it gives it within `limitMs` and before `signal` aborts; its own signal aborts with either.
 * Rejects with KubeUnreachable after the limit: what was asked may still be done. Rejects with the signal's reason when that aborts.
 */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const own = new AbortController();
  const onAbort = (): void => {
    own.abort(signal.reason);
  };
  signal.addEventListener('abort', onAbort);
  const cancel = clock.after(limitMs, () => {
    own.abort(new KubeUnreachable(`no answer within ${limitMs} ms`));
  });
  try {
    return await Promise.race([call(own.signal), rejectedOn(own.signal)]);
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Rejects with the reason when `signal` aborts; never resolves. For races that end with the signal's own life, or reactions pile up on it. */
export function rejectedOn(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (): void => {
      reject(asError(signal.reason));
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
