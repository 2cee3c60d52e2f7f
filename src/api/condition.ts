// metav1.Condition and the one rule about it: lastTransitionTime moves only when the status flips.
import { z } from 'zod';
import { timestamp } from './field-shapes.ts';
import { listMap } from './kube-marks.ts';

export const ConditionSchema = z.object({
  type: z.string().min(1).max(63).meta({ description: 'What is said, in PascalCase.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'The generation of the spec that it is said of.' }),
  lastTransitionTime: timestamp().meta({ description: 'When the status last changed.' }),
  reason: z.string().min(1).max(63).meta({ description: 'A reason of the registry, in PascalCase.' }),
  message: z.string().max(1024).meta({ description: 'The same for people, with names and numbers.' }),
});
export type Condition = z.output<typeof ConditionSchema>;

export const ConditionsSchema = listMap(z.array(ConditionSchema).max(16), 'type');

/** -1: nobody has looked at the object yet (the default of the CRD, so that a new object does not pass for a finished one). */
export const observedGeneration = () =>
  z
    .int()
    .min(-1)
    .meta({ description: 'The generation of the spec that this status is about; -1: none yet.' });

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
