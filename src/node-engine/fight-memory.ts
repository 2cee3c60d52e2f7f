// Which CRIU files somebody else keeps changing back, as far as this process has seen. Decides nothing itself.
import {
  decideWriteBack,
  NO_CONTENTION,
  noteStanding,
  type Contention,
} from '../domain/criu-conf/contention.ts';
import type { Clock } from '../ports/clock.ts';

export interface FightMemory {
  /** To be asked before our lines are put back into `path`, which now holds `content` without them. */
  mayWriteBack(path: string, content: Uint8Array): boolean;
  /** To be told when our lines are seen in `path`. */
  standing(path: string): void;
  /** When a contended file is tried again, milliseconds from now; null: there is no fight. */
  untilRetryMs(path: string): number | null;
}

export function createFightMemory(clock: Clock): FightMemory {
  const fights = new Map<string, Contention>();
  /** Files in which our lines were seen: only there can somebody have taken them out. */
  const stood = new Set<string>();
  const of = (path: string): Contention => fights.get(path) ?? NO_CONTENTION;
  return {
    mayWriteBack: (path, content) => {
      if (!stood.delete(path) && of(path).fight === null) return true;
      const { mayWrite, next } = decideWriteBack(
        of(path),
        Buffer.from(content).toString('latin1'),
        clock.monotonicMs(),
      );
      fights.set(path, next);
      return mayWrite;
    },
    standing: (path) => {
      stood.add(path);
      if (fights.has(path)) fights.set(path, noteStanding(of(path), clock.monotonicMs()));
    },
    untilRetryMs: (path) => {
      const { fight } = of(path);
      return fight === null ? null : Math.max(0, fight.retryAtMs - clock.monotonicMs());
    },
  };
}
