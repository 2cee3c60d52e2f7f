// metav1.Condition and the one rule about it: lastTransitionTime moves only when the status flips.
import { z } from 'zod';

export const ConditionSchema = z.object({
  type: z.string().min(1).max(63),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.string().max(40),
  reason: z.string().min(1).max(63),
  message: z.string().max(1024),
});
export type Condition = z.output<typeof ConditionSchema>;

/** The conditions wanted now, with the transition time of the earlier ones where the status did not change. `at` is RFC 3339. */
export function carryTransitionTimes(
  earlier: readonly Condition[],
  wanted: readonly Omit<Condition, 'lastTransitionTime'>[],
  at: string,
): Condition[] {
  return wanted.map((condition) => {
    const before = earlier.find(({ type }) => type === condition.type);
    const lastTransitionTime = before?.status === condition.status ? before.lastTransitionTime : at;
    return { ...condition, lastTransitionTime };
  });
}
