// Waiting of the loops that carry out orders: for a time, for somebody who wakes them, or for the end. Never throws.
import type { Clock } from '../../ports/clock.ts';

export interface Alarm {
  /** Ends the wait that is going on, or the next one. */
  wake(): void;
  /** Resolves after `delayMs` (Infinity: never by itself), when woken since the last wait ended, or when `signal` aborts. */
  wait(delayMs: number, signal: AbortSignal): Promise<void>;
}

export function createAlarm(clock: Clock): Alarm {
  let woken = false;
  let end: (() => void) | null = null;
  return {
    wake: () => {
      woken = true;
      end?.();
    },
    wait: async (delayMs, signal) => {
      if (!woken)
        await pause(clock, delayMs, signal, (stop) => {
          end = stop;
        });
      end = null;
      woken = false;
    },
  };
}

/** Resolves after `delayMs` or when `signal` aborts; `onStart` gets a function that ends it earlier. */
export function pause(
  clock: Clock,
  delayMs: number,
  signal: AbortSignal,
  onStart: (end: () => void) => void = () => undefined,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || delayMs <= 0) {
      resolve();
      return;
    }
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = Number.isFinite(delayMs) ? clock.after(delayMs, end) : () => undefined;
    signal.addEventListener('abort', end);
    onStart(end);
  });
}

const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 30_000;

/** Before the n-th try after failures in a row, from 1: 1 s, then twice as long each time, at most 30 s. */
export function retryMs(failures: number): number {
  return Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10));
}
