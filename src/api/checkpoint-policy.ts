// The kind CheckpointPolicy: per-workload ghost-limit targets. The zod schema is its only source: types, checks and the CRD are made from it.
import { z } from 'zod';
import { GhostFileReportSchema } from './checkpoint-node.ts';
import { ConditionsSchema, observedGeneration } from './condition.ts';
import { CRIU_OPTION_NAMES } from './criu-option.ts';
import { fieldProblems, type FieldProblem } from './field-problem.ts';
import { dnsLabel, exactlyOne, ObjectMetaSchema, sizeField, timestamp, uniqueBy } from './field-shapes.ts';
import { listMap, listSet, withRules } from './kube-marks.ts';
import type { KubeObject } from './kube-object.ts';
import { LabelSelectorSchema } from './label-selector.ts';
import { readLeniently, withEmptiedLists } from './lenient.ts';
import { API_VERSION, CRIU_DEFAULT_GHOST_LIMIT_BYTES } from './names.ts';
import { findUnplainData } from './plain-data.ts';
import { parseQuantity } from './quantity.ts';

const ghostLimit = () =>
  sizeField({
    minimumBytes: CRIU_DEFAULT_GHOST_LIMIT_BYTES,
    minimumText: '1Mi, what CRIU allows without any setting',
  });

const AutoLimitSchema = withRules(
  z
    .strictObject({
      minimum: ghostLimit()
        .default('1Mi')
        .meta({ description: 'The limit is never lower. A quantity, 1Mi to 1Ti; default 1Mi.' }),
      maximum: ghostLimit().optional().meta({
        description:
          'The limit is never higher. A quantity, 1Mi to 1Ti; default: the cap of the operator (maxGhostLimit).',
      }),
      headroomPercent: z.int().min(0).max(400).default(25).meta({
        description: 'Added to the largest ghost file seen, percent; 0 to 400, default 25.',
      }),
    })
    .superRefine((auto, context) => {
      if (auto.maximum === undefined) return;
      const minimum = parseQuantity(auto.minimum);
      const maximum = parseQuantity(auto.maximum);
      if (minimum.ok && maximum.ok && maximum.bytes < minimum.bytes) {
        context.addIssue({
          code: 'custom',
          path: ['maximum'],
          message: 'must not be smaller than `minimum`',
        });
      }
    }),
  {
    rule: '!has(self.maximum) || quantity(string(self.maximum)).compareTo(quantity(string(self.minimum))) >= 0',
    message: 'must not be smaller than `minimum`',
    fieldPath: '.maximum',
  },
);

const GhostLimitSchema = exactlyOne(
  z.strictObject({
    fixed: ghostLimit().optional().meta({ description: 'This limit. A quantity, 1Mi to 1Ti.' }),
    auto: AutoLimitSchema.optional().meta({
      description: 'A limit learned from what the containers really hold; {} for all defaults.',
    }),
  }),
  ['fixed', 'auto'],
);

export const WORKLOAD_KINDS = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'CronJob',
] as const;

export const WorkloadRefSchema = z.strictObject({
  apiGroup: z.string().max(253).optional().meta({
    description: 'API group of the kind; default: that of Kubernetes (apps or batch).',
  }),
  kind: z.enum(WORKLOAD_KINDS).meta({ description: 'Kind of the workload.' }),
  name: z.string().min(1).max(253).meta({ description: 'Name of the workload.' }),
});
export type WorkloadRef = z.output<typeof WorkloadRefSchema>;

const TargetSchema = exactlyOne(
  z.strictObject({
    name: dnsLabel('a name').meta({ description: 'Name of the target, unique in the policy.' }),
    selector: LabelSelectorSchema.optional().meta({
      description: 'Pods of this namespace by their labels; {} means all of them.',
    }),
    workloadRef: WorkloadRefSchema.optional().meta({
      description: 'Pods of this workload of the namespace.',
    }),
    // On a host without Kubernetes container names are the engine's, hence more than DNS labels.
    containerNames: z.array(z.string().min(1).max(253)).min(1).max(16).optional().meta({
      description:
        'Containers that are meant, 1 to 16; default: every regular and sidecar container. Init and ephemeral ones only by name.',
    }),
    ghostLimit: GhostLimitSchema.optional().meta({
      description:
        'The limit that these containers need: a floor for their node, never a ceiling. Absent: only the CRIU options count.',
    }),
  }),
  ['selector', 'workloadRef'],
);
export type PolicyTarget = z.output<typeof TargetSchema>;

const RetentionSchema = z.strictObject({
  keepLast: z.int().min(1).max(10_000).optional().meta({
    description: 'Archives kept per pod and container; 1 to 10000.',
  }),
  maxAgeSeconds: z.int().min(1).max(315_360_000).optional().meta({
    description: 'Older archives go, seconds; 1 to 315360000. Once the pod is gone only this counts.',
  }),
  maxTotalSize: sizeField({ minimumBytes: 1, minimumText: '1' }).optional().meta({
    description: 'The oldest archives of the policy on a node go above this. A quantity, up to 1Ti.',
  }),
});

export type PolicyRetention = z.output<typeof RetentionSchema>;

/** Five fields of what cron allows; whether the numbers make sense is for the schedule itself. */
const CRON_LINE = /^[0-9A-Za-z*,/?-]+(?: +[0-9A-Za-z*,/?-]+){4}$/;

const ScheduleSchema = z.strictObject({
  schedule: z
    .string()
    .min(1)
    .max(128)
    .regex(
      CRON_LINE,
      'must have five fields as in a CronJob: minute hour day month weekday, such as "0 */6 * * *"',
    )
    .meta({
      description:
        'When, in five fields as in a CronJob; not more often than the setting minimumScheduleIntervalSeconds.',
    }),
  timeZone: z.string().min(1).max(64).optional().meta({
    description: 'Time zone of the schedule, such as Etc/UTC; default: that of the controller.',
  }),
  suspend: z.boolean().default(false).meta({ description: 'true: no round starts; default false.' }),
  startingDeadlineSeconds: z.int().min(0).max(604_800).optional().meta({
    description: 'A round that is later than this is skipped, seconds; 0 to 604800, no default.',
  }),
  timeoutSeconds: z.int().min(1).max(600).default(120).meta({
    description: 'For one container, seconds; 1 to 600, default 120.',
  }),
  maxConcurrent: z.int().min(1).max(1000).default(5).meta({
    description: 'Checkpoints of the policy at a time; 1 to 1000, default 5.',
  }),
  historyLimit: z.int().min(0).max(100).default(3).meta({
    description:
      'Finished CheckpointRequests kept per pod; 0 to 100, default 3. Archives are not deleted with them.',
  }),
  retention: RetentionSchema.optional().meta({ description: 'Which archives stay; no default.' }),
});

const NAMES_MAX = CRIU_OPTION_NAMES.length;

export const CheckpointPolicySpecSchema = z.strictObject({
  mode: z.enum(['Enforce', 'Audit']).default('Enforce').meta({
    description: 'Audit reports what would be done, writes nothing and schedules nothing; default Enforce.',
  }),
  scope: z.enum(['Node', 'Checkpoint']).default('Node').meta({
    description:
      'Node (default): in force on a node while a matching pod is there, for every tool that takes checkpoints. Checkpoint: only while ghostlimit itself dumps a matching container.',
  }),
  targets: listMap(
    z
      .array(TargetSchema)
      .min(1)
      .max(64)
      .superRefine(uniqueBy(({ name }) => name, 'the name')),
    'name',
  ).meta({ description: 'Which containers need what, 1 to 64.' }),
  criuOptions: listSet(
    z
      .array(z.enum(CRIU_OPTION_NAMES))
      .max(NAMES_MAX)
      .superRefine(uniqueBy((name) => name, 'the option')),
  )
    .optional()
    .meta({
      description:
        'CRIU options that the containers need, as far as the setting allowedCriuOptions lists them.',
    }),
  checkpoint: ScheduleSchema.optional().meta({
    description:
      "Checkpoints of the targets' pods on a schedule. Who sets it must be allowed to create pods/exec.",
  }),
});
export type CheckpointPolicySpec = z.output<typeof CheckpointPolicySpecSchema>;

export const CheckpointPolicySchema = z.strictObject({
  apiVersion: z.literal(API_VERSION, `must be "${API_VERSION}"`),
  kind: z.literal('CheckpointPolicy', 'must be "CheckpointPolicy"'),
  metadata: ObjectMetaSchema,
  spec: CheckpointPolicySpecSchema,
  /** Accepted so that the output of `kubectl get -o yaml` can be used; never read. */
  status: z.unknown().optional(),
});
export type CheckpointPolicy = z.output<typeof CheckpointPolicySchema>;

const count = () => z.int().min(0);
const bytes = () => z.int().min(0);

const TargetStatusSchema = z.object({
  name: z.string().max(63).meta({ description: 'The target of the spec.' }),
  matchedPods: count().meta({ description: 'Pods that match now.' }),
  effectiveLimitBytes: bytes().meta({
    description: 'What this target asks of its nodes now, bytes; 0: options only.',
  }),
  requiredBytes: bytes().meta({
    description: 'The largest ghost file seen in a matching container, bytes; 0: none seen.',
  }),
  learnedLimitBytes: bytes().optional().meta({ description: 'Auto only: the limit learned so far, bytes.' }),
  largestGhostFile: GhostFileReportSchema.optional().meta({
    description: 'The largest ghost file seen, and where.',
  }),
});

const NodeCountsSchema = z.object({
  matched: count().meta({ description: 'Nodes with a matching pod.' }),
  inSync: count().meta({ description: 'Those where the policy is in force.' }),
  failing: count().meta({ description: 'Those that say why it is not.' }),
  unreachable: count().meta({ description: 'Those that are not Ready; they do not count as failing.' }),
});

const NodeProblemSchema = z.object({
  nodeName: z.string().max(253).meta({ description: 'The node.' }),
  reason: z.string().max(63).meta({ description: 'A reason of the registry.' }),
  message: z.string().max(1024).meta({ description: 'What is wrong there, with the value.' }),
});

export const CheckpointPolicyStatusSchema = z.object({
  observedGeneration: observedGeneration(),
  conditions: ConditionsSchema.meta({
    description:
      'Ready = Accepted and NodesInSync. CheckpointsHealthy after the first checkpoint. Reconciling and Stalled only while they are True.',
  }),
  nodes: NodeCountsSchema.meta({ description: 'The nodes that have a matching pod, counted.' }),
  summary: z.string().max(63).meta({ description: 'In sync of matched nodes, such as 10/12.' }),
  limit: z.string().max(63).meta({
    description: 'The highest limit of the targets, such as "64Mi (Auto)"; empty: options only.',
  }),
  targets: listMap(z.array(TargetStatusSchema).max(64), 'name').meta({ description: 'Target by target.' }),
  problems: z
    .array(NodeProblemSchema)
    .max(10)
    .meta({ description: 'The first ten problems of nodes, worst first.' }),
  lastCheckpoint: z
    .object({
      time: timestamp().meta({ description: 'When its last container was done.' }),
      succeeded: count().meta({ description: 'Containers that were checkpointed.' }),
      failed: count().meta({ description: 'Containers that were not.' }),
    })
    .optional()
    .meta({ description: 'The last round of scheduled checkpoints.' }),
  lastScheduleTime: timestamp().optional().meta({
    description: 'When the last round that was started, or skipped, had been due.',
  }),
  nextScheduleTime: timestamp().optional().meta({ description: 'When the next round is due.' }),
  activeRound: z
    .object({
      scheduleTime: timestamp().meta({ description: 'When the round was due.' }),
      startTime: timestamp().meta({
        description: 'When it was started; pods that are younger are not in it.',
      }),
    })
    .optional()
    .meta({ description: 'The round of scheduled checkpoints that is under way.' }),
});
export type CheckpointPolicyStatus = z.output<typeof CheckpointPolicyStatusSchema>;

/** The part of the status that belongs to the schedule, and has a writer of its own. */
const SCHEDULE_STATUS = {
  lastCheckpoint: true,
  lastScheduleTime: true,
  nextScheduleTime: true,
  activeRound: true,
} as const;
const ScheduleStatusSchema = CheckpointPolicyStatusSchema.pick(SCHEDULE_STATUS);
export type ScheduleStatus = z.output<typeof ScheduleStatusSchema>;

/** What stands there of the schedule, whatever the rest of the status is; empty: nothing, or not of the agreed shape. */
export function readScheduleStatus(object: KubeObject): ScheduleStatus {
  const read = ScheduleStatusSchema.safeParse(object['status'] ?? {});
  return read.success ? read.data : {};
}

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: CheckpointPolicy }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/** Checks a CheckpointPolicy written by a user: unknown fields are problems, defaults are filled in. Never throws. */
export function parseCheckpointPolicy(input: unknown): ParsedPolicy {
  const unplain = findUnplainData(input);
  if (unplain !== null) return { ok: false, problems: [unplain] };
  const result = CheckpointPolicySchema.safeParse(input);
  if (result.success) return { ok: true, policy: result.data };
  return { ok: false, problems: fieldProblems(result.error, input) };
}

/** The same for a policy that the API server took: fields of a newer version are ignored. Never throws. */
export function readCheckpointPolicy(input: unknown): ParsedPolicy {
  const read = readLeniently(CheckpointPolicySchema, input);
  return read.ok ? { ok: true, policy: read.value } : read;
}

/** What the controller wrote last; null: nothing yet, or not of the agreed shape. */
export function readCheckpointPolicyStatus(object: KubeObject): CheckpointPolicyStatus | null {
  const status = withEmptiedLists(object['status'], ['targets', 'problems']);
  const read = readLeniently(CheckpointPolicyStatusSchema, status);
  return read.ok ? read.value : null;
}
