// What agents read: policies compiled into validated values in their final units. Made by domain/policy/compile.ts only, written by the controller only.
import { z } from 'zod';
import { CRIU_OPTION_NAMES } from './criu-option.ts';
import { WORKLOAD_KINDS } from './checkpoint-policy.ts';
import type { KubeObject } from './kube-object.ts';
import { readLeniently } from './lenient.ts';
import { GHOST_LIMIT_CEILING_BYTES } from './names.ts';

const limitBytes = () => z.int().min(1).max(GHOST_LIMIT_CEILING_BYTES);

const PlanAutoLimitSchema = z.object({
  minimumBytes: limitBytes().meta({ description: 'Never lower, bytes.' }),
  maximumBytes: limitBytes().meta({ description: 'Never higher, bytes.' }),
  headroomPercent: z.int().min(0).max(400).meta({ description: 'Added to what was seen, percent.' }),
  learnedLimitBytes: limitBytes()
    .optional()
    .meta({ description: 'What other nodes learned, bytes; absent: nothing yet.' }),
});
export type PlanAutoLimit = z.output<typeof PlanAutoLimitSchema>;

/** As LabelSelectorSchema, without its rules: the policy was checked, and rules over a whole plan would cost the API server too much. */
const PlanSelectorSchema = z.object({
  matchLabels: z
    .record(z.string().max(317), z.string().max(63))
    .meta({ maxProperties: 64 })
    .optional()
    .meta({ description: 'Labels that a pod must have.' }),
  matchExpressions: z
    .array(
      z.object({
        key: z.string().max(317).meta({ description: 'The label.' }),
        operator: z
          .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
          .meta({ description: 'How the values are meant.' }),
        values: z.array(z.string().max(63)).max(64).optional().meta({ description: 'For In and NotIn.' }),
      }),
    )
    .max(32)
    .optional()
    .meta({ description: 'Demands on labels, all of which must hold.' }),
});

const PlanWorkloadRefSchema = z.object({
  apiGroup: z.string().max(253).optional().meta({ description: 'API group of the kind.' }),
  kind: z.enum(WORKLOAD_KINDS).meta({ description: 'Kind of the workload.' }),
  name: z.string().max(253).meta({ description: 'Name of the workload.' }),
});

const PlanTargetSchema = z.object({
  name: z.string().max(63).meta({ description: 'The target of the policy.' }),
  selector: PlanSelectorSchema.optional().meta({ description: 'Pods by their labels.' }),
  workloadRef: PlanWorkloadRefSchema.optional().meta({ description: 'Pods of a workload.' }),
  containerNames: z
    .array(z.string().max(253))
    .max(16)
    .readonly()
    .optional()
    .meta({ description: 'Containers that are meant; absent: every regular and sidecar container.' }),
  limitBytes: limitBytes().optional().meta({
    description: 'At most one of limitBytes and auto; neither: options only. Bytes.',
  }),
  auto: PlanAutoLimitSchema.optional().meta({ description: 'A learned limit, within its bounds.' }),
});
export type PlanTarget = z.output<typeof PlanTargetSchema>;

const PlanRetentionSchema = z.object({
  keepLast: z
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'Archives kept per pod and container.' }),
  maxAgeSeconds: z.int().min(1).max(315_360_000).optional().meta({
    description: 'Older archives go, seconds; once the pod is gone only this counts.',
  }),
  maxTotalSizeBytes: z
    .int()
    .min(1)
    .max(2 ** 40)
    .optional()
    .meta({
      description: 'The oldest archives of the policy on a node go above this, bytes.',
    }),
});
/** Which archives of a policy's schedule stay; a field that is absent sets no bound. */
export type PlanRetention = z.output<typeof PlanRetentionSchema>;

export const PlanPolicySchema = z.object({
  namespace: z.string().max(63).meta({ description: 'Namespace of the policy.' }),
  name: z.string().max(63).meta({ description: 'Name of the policy.' }),
  uid: z.string().max(63).meta({ description: 'UID of the policy.' }),
  generation: z.int().min(0).meta({ description: 'Generation of the policy that was compiled.' }),
  mode: z.enum(['Enforce', 'Audit']).meta({ description: 'Mode of the policy.' }),
  scope: z.enum(['Node', 'Checkpoint']).meta({ description: 'Scope of the policy.' }),
  options: z
    .array(z.enum(CRIU_OPTION_NAMES))
    .max(CRIU_OPTION_NAMES.length)
    .readonly()
    .meta({ description: 'CRIU options of the policy, all of them allowed.' }),
  targets: z.array(PlanTargetSchema).max(64).readonly().meta({ description: 'Targets of the policy.' }),
  retention: PlanRetentionSchema.optional().meta({
    description: "Which archives of the policy's schedule stay; absent: all.",
  }),
});
export type PlanPolicy = z.output<typeof PlanPolicySchema>;

/** What the settings ask of every node. Here and not in the agents' own settings, so that a change reaches them without a roll-out of the DaemonSet. */
const PlanNodeSettingsSchema = z.object({
  baseGhostLimitBytes: limitBytes()
    .optional()
    .meta({ description: 'Floor on every node without any policy, bytes; absent: none.' }),
  checkpointsPaused: z.boolean().default(false).meta({ description: 'true: no checkpoint starts.' }),
  reportSpreadSeconds: z.int().min(0).max(600).default(0).meta({
    description: 'Over how many seconds agents spread their reports: a hundredth of the number of nodes.',
  }),
});
export type PlanNodeSettings = z.output<typeof PlanNodeSettingsSchema>;

export const NO_NODE_SETTINGS: PlanNodeSettings = { checkpointsPaused: false, reportSpreadSeconds: 0 };

export const CheckpointPlanSpecSchema = z.object({
  nodeSettings: PlanNodeSettingsSchema.optional().meta({
    description: 'Settings for every node; stand in plan-00 only.',
  }),
  policies: z
    .array(PlanPolicySchema)
    .max(4096)
    .default([])
    .meta({ description: 'Policies of the namespaces of this shard.' }),
});
export type CheckpointPlanSpec = z.output<typeof CheckpointPlanSpecSchema>;

/** The settings for every node that a plan object carries; null: none, or of a shape that this version does not know. */
export function readPlanNodeSettings({ spec }: KubeObject): PlanNodeSettings | null {
  const read = readLeniently(
    PlanNodeSettingsSchema,
    (spec as { readonly nodeSettings?: unknown } | undefined)?.nodeSettings,
  );
  return read.ok ? read.value : null;
}

/** The policies of a plan object; those of a shape that this version does not know are left out. */
export function readCheckpointPlan({ spec }: KubeObject): PlanPolicy[] {
  const policies = (spec as { readonly policies?: unknown } | undefined)?.policies;
  if (!Array.isArray(policies)) return [];
  return policies.flatMap((policy) => {
    const read = readLeniently(PlanPolicySchema, policy);
    return read.ok ? [read.value] : [];
  });
}
