// The kind CheckpointPolicy: per-workload ghost-limit targets. The zod schema is its only source.
import { z } from 'zod';
import { CRIU_OPTION_NAMES } from './criu-option.ts';
import { fieldProblems, type FieldProblem } from './field-problem.ts';
import { LabelSelectorSchema } from './label-selector.ts';
import { findUnplainData } from './plain-data.ts';
import { API_VERSION, CRIU_DEFAULT_GHOST_LIMIT_BYTES, GHOST_LIMIT_CEILING_BYTES } from './names.ts';
import { parseQuantity, QUANTITY_ADVICE, QUANTITY_MAX_LENGTH } from './quantity.ts';

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
/** The bounds stand beside the pattern for the schemas made from this one; told once (field-problem.ts). */
const dnsLabel = (what: string) => {
  const message = `must be ${what}: lower-case letters, digits and "-", at most 63 characters`;
  return z.string().min(1).max(63).regex(DNS_LABEL, message);
};

/** An int-or-string size; `minimumBytes` is the smallest value that makes sense for the field. */
const quantity = (minimumBytes: number, minimumText: string) =>
  z.union([z.int(), z.string().max(QUANTITY_MAX_LENGTH)], QUANTITY_ADVICE).superRefine((value, context) => {
    const result = parseQuantity(value);
    const problem = result.ok ? boundsProblem(result.bytes, minimumBytes, minimumText) : result.problem;
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });

function boundsProblem(bytes: bigint, minimumBytes: number, minimumText: string): string | null {
  if (bytes < BigInt(minimumBytes)) return `must be at least ${minimumText}`;
  if (bytes > BigInt(GHOST_LIMIT_CEILING_BYTES)) return 'must be at most 1Ti';
  return null;
}

const ghostLimitQuantity = quantity(
  CRIU_DEFAULT_GHOST_LIMIT_BYTES,
  '1Mi, what CRIU allows without any setting',
);

const AutoLimitSchema = z
  .strictObject({
    minimum: ghostLimitQuantity.default('1Mi'),
    /** Absent: the operator's cap, maxGhostLimit. */
    maximum: ghostLimitQuantity.optional(),
    headroomPercent: z.int().min(0).max(400).default(25),
  })
  .superRefine((auto, context) => {
    if (auto.maximum === undefined) return;
    const minimum = parseQuantity(auto.minimum);
    const maximum = parseQuantity(auto.maximum);
    if (minimum.ok && maximum.ok && maximum.bytes < minimum.bytes) {
      context.addIssue({ code: 'custom', path: ['maximum'], message: 'must not be smaller than `minimum`' });
    }
  });

/** Exactly one of the two fields is set. */
const exactlyOne =
  (fields: readonly [string, string]) => (value: Record<string, unknown>, context: z.RefinementCtx) => {
    const present = fields.filter((field) => value[field] !== undefined);
    if (present.length === 1) return;
    const wanted = `exactly one of \`${fields[0]}\` and \`${fields[1]}\` must be set`;
    context.addIssue({
      code: 'custom',
      message: present.length === 0 ? `${wanted}; none is` : `${wanted}; both are`,
    });
  };

const GhostLimitSchema = z
  .strictObject({ fixed: ghostLimitQuantity.optional(), auto: AutoLimitSchema.optional() })
  .superRefine(exactlyOne(['fixed', 'auto']));

export const WORKLOAD_KINDS = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'CronJob',
] as const;

export const WorkloadRefSchema = z.strictObject({
  apiGroup: z.string().max(253).optional(),
  kind: z.enum(WORKLOAD_KINDS),
  name: z.string().min(1).max(253),
});
export type WorkloadRef = z.output<typeof WorkloadRefSchema>;

const TargetSchema = z
  .strictObject({
    name: dnsLabel('a name'),
    selector: LabelSelectorSchema.optional(),
    workloadRef: WorkloadRefSchema.optional(),
    /** On a host without Kubernetes container names are the engine's, hence more than DNS labels. */
    containerNames: z.array(z.string().min(1).max(253)).min(1).max(16).optional(),
    ghostLimit: GhostLimitSchema.optional(),
  })
  .superRefine(exactlyOne(['selector', 'workloadRef']));
export type PolicyTarget = z.output<typeof TargetSchema>;

const RetentionSchema = z.strictObject({
  keepLast: z.int().min(1).max(10_000).optional(),
  maxAgeSeconds: z.int().min(1).max(315_360_000).optional(),
  maxTotalSize: quantity(1, '1').optional(),
});

const ScheduleSchema = z.strictObject({
  schedule: z.string().min(1).max(128),
  timeZone: z.string().min(1).max(64).optional(),
  suspend: z.boolean().default(false),
  startingDeadlineSeconds: z.int().min(0).max(604_800).optional(),
  timeoutSeconds: z.int().min(1).max(600).default(120),
  maxConcurrent: z.int().min(1).max(1000).default(5),
  historyLimit: z.int().min(0).max(100).default(3),
  retention: RetentionSchema.optional(),
});

const uniqueBy =
  <T>(key: (item: T) => string, what: string) =>
  (items: readonly T[], context: z.RefinementCtx) => {
    const seen = new Set<string>();
    for (const [index, item] of items.entries()) {
      const value = key(item);
      if (seen.has(value))
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `${what} ${JSON.stringify(value)} is there twice`,
        });
      seen.add(value);
    }
  };

export const CheckpointPolicySpecSchema = z.strictObject({
  mode: z.enum(['Enforce', 'Audit']).default('Enforce'),
  scope: z.enum(['Node', 'Checkpoint']).default('Node'),
  targets: z
    .array(TargetSchema)
    .min(1)
    .max(64)
    .superRefine(uniqueBy(({ name }) => name, 'the name')),
  criuOptions: z
    .array(z.enum(CRIU_OPTION_NAMES))
    .max(CRIU_OPTION_NAMES.length)
    .superRefine(uniqueBy((name) => name, 'the option'))
    .optional(),
  checkpoint: ScheduleSchema.optional(),
});

const ObjectMetaSchema = z.object({
  name: dnsLabel('a name'),
  namespace: dnsLabel('a namespace').optional(),
  uid: z.string().max(63).optional(),
  generation: z.int().min(0).optional(),
});

export const CheckpointPolicySchema = z.strictObject({
  apiVersion: z.literal(API_VERSION, `must be "${API_VERSION}"`),
  kind: z.literal('CheckpointPolicy', 'must be "CheckpointPolicy"'),
  metadata: ObjectMetaSchema,
  spec: CheckpointPolicySpecSchema,
  /** Accepted so that the output of `kubectl get -o yaml` can be used; never read. */
  status: z.unknown().optional(),
});
export type CheckpointPolicy = z.output<typeof CheckpointPolicySchema>;

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
