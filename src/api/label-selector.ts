// metav1.LabelSelector: its schema. Matching is in domain/policy/match-workload.ts.
import { z } from 'zod';

const QUALIFIED_NAME =
  /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

const labelKey = z
  .string()
  .min(1)
  .max(317)
  .regex(QUALIFIED_NAME, 'must be a label key: letters, digits, "-", "_", ".", with an optional "prefix/"');
const labelValue = z
  .string()
  .max(63)
  .regex(LABEL_VALUE, 'must be a label value: at most 63 letters, digits, "-", "_" or "."');

export const LabelSelectorRequirementSchema = z
  .strictObject({
    key: labelKey,
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: z.array(labelValue).max(64).optional(),
  })
  .superRefine((requirement, context) => {
    const count = requirement.values?.length ?? 0;
    const needsValues = requirement.operator === 'In' || requirement.operator === 'NotIn';
    if (needsValues === count > 0) return;
    context.addIssue({
      code: 'custom',
      path: ['values'],
      message: needsValues
        ? `must have at least one value for the operator ${requirement.operator}`
        : `must be empty for the operator ${requirement.operator}`,
    });
  });

export const LabelSelectorSchema = z.strictObject({
  matchLabels: z.record(labelKey, labelValue).optional(),
  matchExpressions: z.array(LabelSelectorRequirementSchema).max(32).optional(),
});

export type LabelSelector = z.output<typeof LabelSelectorSchema>;
export type LabelSelectorRequirement = z.output<typeof LabelSelectorRequirementSchema>;
