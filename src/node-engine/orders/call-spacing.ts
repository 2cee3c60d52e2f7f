// Keeps two checkpoints of one container apart: a kubelet names archives by the second and writes over one that has the name. Decides nothing else.
import type { Clock } from '../../ports/clock.ts';

/** Between the end of one call and the start of the next. */
export const CALL_SPACING_MS = 2_000;

export interface CallSpacing {
  /** Milliseconds until the container may be checkpointed again; 0: now. */
  untilFreeMs(containerId: string): number;
  /** A call for the container has just ended. */
  ended(containerId: string): void;
}

/** Nobody knows when an earlier process made its last call: to every container it counts as having been right now. */
export function createCallSpacing(clock: Clock): CallSpacing {
  const startedMs = clock.monotonicMs();
  const endedMs = new Map<string, number>();
  const untilFreeMs = (containerId: string): number =>
    Math.max(0, (endedMs.get(containerId) ?? startedMs) + CALL_SPACING_MS - clock.monotonicMs());
  return {
    untilFreeMs,
    ended: (containerId) => {
      for (const id of [...endedMs.keys()]) if (untilFreeMs(id) === 0) endedMs.delete(id);
      endedMs.set(containerId, clock.monotonicMs());
    },
  };
}
