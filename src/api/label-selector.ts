// metav1.LabelSelector: its schema. Matching is in domain/policy/match-workload.ts.
import { z } from 'zod';
import { celPattern, withRules } from './kube-marks.ts';

const QUALIFIED_NAME =
  /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const MAX_LABELS = 64;

const LABEL_KEY_ADVICE = 'must be a label key: letters, digits, "-", "_", ".", with an optional "prefix/"';
const labelKey = z.string().min(1).max(317).regex(QUALIFIED_NAME, LABEL_KEY_ADVICE);
const labelValue = z
  .string()
  .max(63)
  .regex(LABEL_VALUE, 'must be a label value: at most 63 letters, digits, "-", "_" or "."');

export const LabelSelectorRequirementSchema = withRules(
  z
    .strictObject({
      key: labelKey.meta({ description: 'The label.' }),
      operator: z
        .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
        .meta({ description: 'How the values are meant.' }),
      values: z
        .array(labelValue)
        .max(64)
        .optional()
        .meta({ description: 'For In and NotIn 1 to 64 values, for the others none.' }),
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
    }),
  {
    rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    message: 'must have at least one value for In and NotIn, and none for Exists and DoesNotExist',
    fieldPath: '.values',
  },
);

const MatchLabelsSchema = withRules(
  z
    .record(labelKey, labelValue)
    .superRefine((labels, context) => {
      if (Object.keys(labels).length <= MAX_LABELS) return;
      context.addIssue({ code: 'custom', message: `must have at most ${MAX_LABELS} labels` });
    })
    .meta({ maxProperties: MAX_LABELS }),
  { rule: `self.all(key, key.matches(${celPattern(QUALIFIED_NAME)}))`, message: LABEL_KEY_ADVICE },
);

export const LabelSelectorSchema = z.strictObject({
  matchLabels: MatchLabelsSchema.optional().meta({
    description: 'Labels that a pod must have, at most 64.',
  }),
  matchExpressions: z
    .array(LabelSelectorRequirementSchema)
    .max(32)
    .optional()
    .meta({ description: 'Demands on labels, all of which must hold, at most 32.' }),
});

export type LabelSelector = z.output<typeof LabelSelectorSchema>;
export type LabelSelectorRequirement = z.output<typeof LabelSelectorRequirementSchema>;
