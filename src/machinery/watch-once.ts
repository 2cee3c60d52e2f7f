// One WATCH from its opening to its end, with a watchdog on its silence. Never opens a second one, and never decides what comes next.
import type { Clock } from '../ports/clock.ts';
import { KubeApiError, KubeUnreachable, type WatchEvent } from '../ports/kube-api.ts';
import type { WatchEndReason } from '../ports/machinery-metrics.ts';
import { asError, rejectedOn } from './deadline.ts';

export interface WatchEnd {
  readonly reason: WatchEndReason;
  readonly livedMs: number;
  /** True: at least one event or bookmark came. */
  readonly heard: boolean;
  /** null where the server or we ended it in good order. */
  readonly error: Error | null;
}

export interface WatchRun {
  /** Opens the watch; its signal closes it. */
  readonly open: (signal: AbortSignal) => AsyncIterable<WatchEvent>;
  /** Called for each event, in order, bookmarks too; never after the promise has settled. Must not throw. */
  readonly onEvent: (event: WatchEvent) => void;
  /** No event and no bookmark for so long, before the first one and after it: the connection is taken for dead. */
  readonly idle: { readonly beforeFirstMs: number; readonly afterwardsMs: number };
  /** Called once when the watch has lived so long, if it does. */
  readonly healthy: { readonly afterMs: number; readonly action: () => void };
}

/** Never rejects; ends when the server ends it, at a failure, after too long a silence, or with `signal`, also when the connection is stuck. */
export async function watchOnce(clock: Clock, run: WatchRun, signal: AbortSignal): Promise<WatchEnd> {
  const openedAtMs = clock.monotonicMs();
  const own = new AbortController();
  const stop = (): void => {
    own.abort(signal.reason);
  };
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const watchdog = startWatchdog(clock, run.idle, own);
  const cancelHealthy = clock.after(run.healthy.afterMs, run.healthy.action);
  let heard = false;
  const read = async (): Promise<void> => {
    for await (const event of run.open(own.signal)) {
      if (own.signal.aborted) return;
      heard = true;
      watchdog.heard();
      run.onEvent(event);
    }
  };
  let error: Error | null = null;
  try {
    await Promise.race([read(), rejectedOn(own.signal)]);
  } catch (thrown) {
    error = asError(thrown);
  } finally {
    watchdog.stop();
    cancelHealthy();
    signal.removeEventListener('abort', stop);
  }
  const livedMs = clock.monotonicMs() - openedAtMs;
  const reason = endReason(error, { stopped: signal.aborted, idle: watchdog.barked() });
  // Whatever is still open below closes.
  own.abort(new KubeUnreachable('watch is over'));
  return { reason, livedMs, heard, error: reason === 'stopped' ? null : error };
}

/** HTTP 410, or a Status of that meaning: the resourceVersion, or the page token, is older than what the server remembers. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof KubeApiError &&
    (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone')
  );
}

function endReason(
  error: Error | null,
  { stopped, idle }: { readonly stopped: boolean; readonly idle: boolean },
): WatchEndReason {
  if (stopped) return 'stopped';
  if (idle) return 'idle';
  if (error === null) return 'ended';
  return isGone(error) ? 'gone' : 'failed';
}

interface Watchdog {
  heard(): void;
  stop(): void;
  /** It has aborted the watch. */
  barked(): boolean;
}

/** One timer that looks at the time of the last word, rather than one for each of a hundred events a second. */
function startWatchdog(clock: Clock, idle: WatchRun['idle'], watch: AbortController): Watchdog {
  let heardAtMs = clock.monotonicMs();
  let idleMs = idle.beforeFirstMs;
  let barked = false;
  let cancel = (): void => undefined;
  const look = (afterMs: number): void => {
    cancel = clock.after(afterMs, () => {
      const leftMs = heardAtMs + idleMs - clock.monotonicMs();
      if (leftMs > 0) {
        look(leftMs);
        return;
      }
      barked = true;
      watch.abort(new KubeUnreachable(`no event and no bookmark for ${idleMs} ms`));
    });
  };
  look(idleMs);
  return {
    heard: () => {
      heardAtMs = clock.monotonicMs();
      if (idleMs === idle.afterwardsMs) return;
      idleMs = idle.afterwardsMs;
      cancel();
      look(idleMs);
    },
    stop: () => {
      cancel();
    },
    barked: () => barked,
  };
}
