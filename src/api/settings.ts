// The settings of the operator and of a node agent: one zod schema for the ConfigMap key settings.yaml and the flags of the same names.
import { z } from 'zod';
import { CRIU_OPTION_NAMES } from './criu-option.ts';
import { FilesSettingSchema } from './criu-readers.ts';
import { fieldProblems, type FieldProblem } from './field-problem.ts';
import { sizeProblem } from './field-shapes.ts';
import { CRIU_DEFAULT_GHOST_LIMIT_BYTES } from './names.ts';
import {
  parseQuantity,
  printQuantity,
  QUANTITY_ADVICE,
  QUANTITY_MAX_LENGTH,
  QUANTITY_PATTERN,
} from './quantity.ts';

/** A size as a user writes it, at most 1Ti, read into bytes. */
const sizeBytes = (minimumBytes: number) =>
  z
    .union([z.int(), z.string().max(QUANTITY_MAX_LENGTH)], QUANTITY_ADVICE)
    .transform((value, context) => {
      const result = parseQuantity(value);
      const problem = result.ok
        ? sizeProblem(result.bytes, minimumBytes, printQuantity(minimumBytes))
        : result.problem;
      if (result.ok && problem === null) return Number(result.bytes);
      context.addIssue({ code: 'custom', message: problem ?? '' });
      return z.NEVER;
    })
    .meta({ pattern: QUANTITY_PATTERN.source });

const ghostLimitBytes = () => sizeBytes(CRIU_DEFAULT_GHOST_LIMIT_BYTES);

/** The part that a node works by. */
const nodeFields = {
  maxGhostLimit: ghostLimitBytes()
    .default(2 ** 30)
    .meta({ description: 'Cap for every limit. A quantity, 1Mi to 1Ti; default 1Gi.' }),
  baseGhostLimit: ghostLimitBytes().nullable().default(null).meta({
    description: 'Floor on every node, without any policy. A quantity, 1Mi to maxGhostLimit; default none.',
  }),
  allowedCriuOptions: z
    .array(z.enum(CRIU_OPTION_NAMES))
    .default([])
    .meta({ description: 'criuOptions that policies may set; default none.' }),
  namespaces: z
    .array(z.string().min(1).max(63))
    .nullable()
    .default(null)
    .meta({ description: 'Namespaces whose policies count; default all.' }),
  files: FilesSettingSchema.default('auto').meta({
    description: 'CRIU files to keep: auto (default), or a list of runc.conf, crun.conf, default.conf.',
  }),
  backend: z.enum(['auto', 'cri', 'kubelet']).default('auto').meta({
    description:
      'How checkpoints are taken in a cluster: auto (default: by the CRI socket where it is mounted, else by the kubelet), cri, kubelet.',
  }),
  kubelet: z
    .strictObject({
      port: z
        .int()
        .min(1)
        .max(65_535)
        .default(10_250)
        .meta({ description: 'Port of its API; default 10250.' }),
      caFile: z.string().max(1024).startsWith('/', 'must be an absolute path').nullable().default(null).meta({
        description:
          'File on every node with the authority that signed the serving certificate of its kubelet; default: the one that the kubelet made itself, or that of the cluster.',
      }),
      rootDirectory: z
        .string()
        .max(1024)
        .regex(/^(?:\/[\w-][\w.-]*)+$/, 'must be an absolute path without . and ..')
        .default('/var/lib/kubelet')
        .meta({ description: 'Its --root-dir on every node; default /var/lib/kubelet.' }),
    })
    .prefault({})
    .meta({ description: 'The kubelet of each node, for checkpoints by it.' }),
  checkpointsPaused: z.boolean().default(false).meta({
    description:
      'The switch for incidents. true: no checkpoint starts anywhere; new requests are refused, those that wait already go on when it is false again; default false.',
  }),
  archives: z
    .strictObject({
      directory: z
        .string()
        .max(1024)
        .startsWith('/', 'must be an absolute path')
        .default('/var/lib/ghostlimit/checkpoints')
        .meta({ description: 'Where archives go on a node; default /var/lib/ghostlimit/checkpoints.' }),
      maxTotalSize: sizeBytes(1)
        .default(50 * 2 ** 30)
        .meta({ description: 'What all archives of a node may take. A quantity, up to 1Ti; default 50Gi.' }),
      minFreePercent: z.int().min(0).max(99).default(15).meta({
        description: 'What must stay free on their file system, percent; 0 to 99, default 15.',
      }),
      others: z.enum(['keep', 'manage']).default('keep').meta({
        description:
          'Archives in the same directories that were made by others: keep (default) never touches them; manage counts and deletes them like ours, oldest first.',
      }),
    })
    .prefault({})
    .meta({ description: 'Archives of checkpoints, on every node; above all retention of policies.' }),
};

export const NodeSettingsSchema = z.strictObject(nodeFields);
export type NodeSettings = z.output<typeof NodeSettingsSchema>;

const resourceList = () =>
  z.record(
    z.enum(['cpu', 'memory', 'ephemeral-storage']),
    z.union([
      z.int().min(0),
      z.string().max(QUANTITY_MAX_LENGTH).regex(QUANTITY_PATTERN, 'must be a quantity'),
    ]),
  );
const partialResourceList = () => z.partialRecord(resourceList().keyType, resourceList().valueType);

const TolerationSchema = z.strictObject({
  key: z.string().max(317).optional().meta({ description: 'Key of the taint; absent: every taint.' }),
  operator: z
    .enum(['Exists', 'Equal'])
    .optional()
    .meta({ description: 'Exists needs no value; default Equal.' }),
  value: z.string().max(63).optional().meta({ description: 'Value of the taint.' }),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .meta({ description: 'Effect of the taint; absent: every effect.' }),
  tolerationSeconds: z.int().min(0).optional().meta({ description: 'For NoExecute: how long, seconds.' }),
});

const AgentSettingsSchema = z.strictObject({
  image: z.string().min(1).max(512).nullable().default(null).meta({
    description: 'Image of the agent; default: that of the controller.',
  }),
  resources: z
    .strictObject({
      requests: partialResourceList()
        .default({ cpu: '10m', memory: '96Mi' })
        .meta({ description: 'Default: cpu 10m, memory 96Mi.' }),
      limits: partialResourceList()
        .default({ memory: '256Mi' })
        .meta({ description: 'Default: memory 256Mi.' }),
    })
    .prefault({})
    .meta({ description: 'Requests and limits of the agent, by resource.' }),
  tolerations: z
    .array(TolerationSchema)
    .max(64)
    .default([{ operator: 'Exists' }])
    .meta({ description: 'Taints that the agent bears; default all.' }),
  nodeSelector: z
    .record(z.string().min(1).max(317), z.string().max(63))
    .default({ 'kubernetes.io/os': 'linux' })
    .meta({ description: 'Labels of the nodes that get an agent; default every Linux node.' }),
  maxUnavailable: z
    .union(
      [z.int().min(1), z.string().regex(/^(?:[1-9]\d?|100)%$/, 'must be a number from 1, or 1% to 100%')],
      'must be a number from 1, or 1% to 100%',
    )
    .default('10%')
    .meta({
      description: 'Agents that may be away during a roll-out: a number, or a percentage; default 10%.',
    }),
});

export const OperatorSettingsSchema = z.strictObject({
  ...nodeFields,
  profile: z.enum(['privileged', 'hardened']).default('privileged').meta({
    description:
      'Rights of the agent: privileged (default), or hardened: no privilege, the listed directories only, checkpoints by the kubelet.',
  }),
  minimumScheduleIntervalSeconds: z.int().min(60).max(31_536_000).default(300).meta({
    description: 'Schedules of policies may not be more often, seconds; 60 to 31536000, default 300.',
  }),
  agent: AgentSettingsSchema.prefault({}).meta({ description: 'The DaemonSet of the agents.' }),
  removal: z.boolean().default(false).meta({
    description: 'true: the operator takes its lines back on every node, and its finalizers; default false.',
  }),
});
export type OperatorSettings = z.output<typeof OperatorSettingsSchema>;

/** Where the kubelet puts the archives that it is asked for. Source: kubernetes pkg/kubelet/config/defaults.go, DefaultKubeletCheckpointsDirName. */
export function kubeletCheckpoints({ kubelet }: Pick<NodeSettings, 'kubelet'>): string {
  return `${kubelet.rootDirectory}/checkpoints`;
}

type Parsed<T> =
  | { readonly ok: true; readonly settings: T }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };
export type ParsedSettings = Parsed<NodeSettings>;
export type ParsedOperatorSettings = Parsed<OperatorSettings>;

export function parseNodeSettings(input: unknown): ParsedSettings {
  const result = NodeSettingsSchema.safeParse(input);
  if (!result.success) return { ok: false, problems: fieldProblems(result.error, input) };
  return judged(result.data, [baseProblem(result.data)]);
}

/** Reads what stands in the ConfigMap, already parsed from YAML. Unknown keys are problems. Never throws. */
export function parseOperatorSettings(input: unknown): ParsedOperatorSettings {
  const result = OperatorSettingsSchema.safeParse(input);
  if (!result.success) return { ok: false, problems: fieldProblems(result.error, input) };
  return judged(result.data, [baseProblem(result.data), profileProblem(result.data)]);
}

function judged<T>(settings: T, found: readonly (FieldProblem | null)[]): Parsed<T> {
  const problems = found.filter((problem) => problem !== null);
  return problems.length === 0 ? { ok: true, settings } : { ok: false, problems };
}

function baseProblem({ baseGhostLimit, maxGhostLimit }: NodeSettings): FieldProblem | null {
  if (baseGhostLimit === null || baseGhostLimit <= maxGhostLimit) return null;
  return {
    field: 'baseGhostLimit',
    message: `${baseGhostLimit}: must not be over maxGhostLimit (${maxGhostLimit})`,
  };
}

/** The CRI socket is root on the node: nobody who has it is hardened. */
function profileProblem({ profile, backend }: OperatorSettings): FieldProblem | null {
  if (profile === 'privileged' || backend !== 'cri') return null;
  return { field: 'backend', message: '"cri": needs the profile privileged: use auto or kubelet' };
}
