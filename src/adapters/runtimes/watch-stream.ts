// Keeps one event stream of an engine open, whatever happens to the engine. Knows nothing of what the events say.
import type { Clock } from '../../ports/clock.ts';
import { pause } from './pause.ts';

const RECONNECT_MS = { first: 500, most: 30_000 };

export interface StreamEvents {
  /** The engine has accepted the stream. */
  readonly open: () => void;
  readonly data: () => void;
}

/** Resolves (or rejects, which means the same) when the stream has ended, however. */
export type FollowStream = (on: StreamEvents, signal: AbortSignal) => Promise<void>;

/** Calls `onChange` for each event, and each time the stream was opened anew: something may have happened while nobody listened. Until `signal` aborts. */
export async function watchStream(
  follow: FollowStream,
  clock: Clock,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  let delayMs = RECONNECT_MS.first;
  const open = (): void => {
    delayMs = RECONNECT_MS.first;
    onChange();
  };
  while (!signal.aborted) {
    await follow({ open, data: onChange }, signal).catch(() => undefined);
    await pause(clock, delayMs, signal);
    delayMs = Math.min(delayMs * 2, RECONNECT_MS.most);
  }
}
