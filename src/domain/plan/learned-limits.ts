// What nodes learned of auto targets → what the plan tells all nodes, so that the next one knows before the pod arrives. Pure.
import type { PlanAutoLimit } from '../../api/checkpoint-plan.ts';
import { learnLimit } from '../ghost/learn-limit.ts';

/** How long every node must have asked for less before the plan follows, milliseconds: a pod that is away for a night must not be met by too low a limit. */
export const LEARNED_HOLD_MS = 24 * 3_600_000;

export interface LearnedInput {
  readonly auto: Omit<PlanAutoLimit, 'learnedLimitBytes'>;
  /** The largest ghost file that any node reports for the target now, bytes; 0: none. */
  readonly requiredBytes: number;
  /** What the plan says now; null: nothing. */
  readonly currentBytes: number | null;
  /** Since when less was asked for than the plan says, milliseconds ago; 0: it is not, or since now. */
  readonly lowerForMs: number;
}

/** What the plan should say; null: nothing was learned. Always inside the bounds of the target. */
export function foldLearned({ auto, requiredBytes, currentBytes, lowerForMs }: LearnedInput): number | null {
  if (requiredBytes === 0 && currentBytes === null) return null;
  const wanted = learnLimit(auto, requiredBytes);
  if (currentBytes === null || wanted >= currentBytes) return wanted;
  if (lowerForMs < LEARNED_HOLD_MS) return Math.min(auto.maximumBytes, currentBytes);
  return requiredBytes === 0 ? null : wanted;
}
