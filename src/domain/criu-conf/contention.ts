// When to stop writing a file that somebody else keeps changing back. Pure; one state per file, times in milliseconds of a clock that the caller reads.

/** So many times the same foreign content, found in place of ours within WINDOW_MS, is a fight and not a change. */
export const FIGHT_COUNT = 3;
export const WINDOW_MS = 600_000;
/** A contended file is tried again after this, then after twice as long, up to RETRY_LAST_MS. */
export const RETRY_FIRST_MS = 60_000;
export const RETRY_LAST_MS = 3_600_000;

export interface Contention {
  /** What we found in place of our lines each time that we wrote them back, and when. */
  readonly undone: readonly { readonly content: string; readonly atMs: number }[];
  /** null: no fight. */
  readonly fight: { readonly retryAtMs: number; readonly delayMs: number } | null;
}

export const NO_CONTENTION: Contention = { undone: [], fight: null };

export interface ContentionDecision {
  readonly mayWrite: boolean;
  readonly next: Contention;
}

/**
 * To be asked before our lines, that stood there, are written back over `content`: what is there now, or what tells it from anything else.
 * Up to FIGHT_COUNT times in WINDOW_MS they are; then once per delay, which doubles each time that they are undone again.
 */
export function decideWriteBack(contention: Contention, content: string, nowMs: number): ContentionDecision {
  const { fight } = contention;
  if (fight !== null && nowMs < fight.retryAtMs) return { mayWrite: false, next: contention };
  const recent = contention.undone.filter(({ atMs }) => nowMs - atMs < WINDOW_MS);
  const undone = [...recent, { content, atMs: nowMs }].slice(-FIGHT_COUNT * 4);
  if (fight !== null) {
    const delayMs = Math.min(RETRY_LAST_MS, fight.delayMs * 2);
    return { mayWrite: true, next: { undone, fight: { retryAtMs: nowMs + delayMs, delayMs } } };
  }
  const same = undone.filter((entry) => entry.content === content).length;
  if (same <= FIGHT_COUNT) return { mayWrite: true, next: { undone, fight: null } };
  return {
    mayWrite: false,
    next: { undone, fight: { retryAtMs: nowMs + RETRY_FIRST_MS, delayMs: RETRY_FIRST_MS } },
  };
}

/** To be told when our lines were found as we left them: after a quiet window the fight is over. */
export function noteStanding(contention: Contention, nowMs: number): Contention {
  const last = contention.undone.at(-1);
  if (last === undefined) return contention;
  const quietMs = Math.max(WINDOW_MS, (contention.fight?.delayMs ?? 0) * 2);
  return nowMs - last.atMs >= quietMs ? NO_CONTENTION : contention;
}
