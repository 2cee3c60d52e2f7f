// What agents read: policies compiled into validated values in their final units. Made by domain/policy/compile.ts only.
import { z } from 'zod';
import { WorkloadRefSchema } from './checkpoint-policy.ts';
import { CRIU_OPTION_NAMES } from './criu-option.ts';
import { LabelSelectorSchema } from './label-selector.ts';
import { GHOST_LIMIT_CEILING_BYTES } from './names.ts';

const limitBytes = z.int().min(1).max(GHOST_LIMIT_CEILING_BYTES);

const PlanAutoLimitSchema = z.object({
  minimumBytes: limitBytes,
  maximumBytes: limitBytes,
  headroomPercent: z.int().min(0).max(400),
  /** What other nodes learned; absent: nothing yet. */
  learnedLimitBytes: limitBytes.optional(),
});
export type PlanAutoLimit = z.output<typeof PlanAutoLimitSchema>;

const PlanTargetSchema = z.object({
  name: z.string().max(63),
  selector: LabelSelectorSchema.optional(),
  workloadRef: WorkloadRefSchema.optional(),
  containerNames: z.array(z.string().max(253)).max(16).readonly().optional(),
  /** At most one of limitBytes and auto; neither: the target asks for options only. */
  limitBytes: limitBytes.optional(),
  auto: PlanAutoLimitSchema.optional(),
});
export type PlanTarget = z.output<typeof PlanTargetSchema>;

export const PlanPolicySchema = z.object({
  namespace: z.string().max(63),
  name: z.string().max(63),
  uid: z.string().max(63),
  generation: z.int().min(0),
  mode: z.enum(['Enforce', 'Audit']),
  scope: z.enum(['Node', 'Checkpoint']),
  options: z.array(z.enum(CRIU_OPTION_NAMES)).max(CRIU_OPTION_NAMES.length).readonly(),
  targets: z.array(PlanTargetSchema).max(64).readonly(),
});
export type PlanPolicy = z.output<typeof PlanPolicySchema>;
