// The settings of a node agent: one zod schema for the ConfigMap key and the flags of the same names.
import { z } from 'zod';
import { CRIU_OPTION_NAMES } from './criu-option.ts';
import { FilesSettingSchema } from './criu-readers.ts';
import { fieldProblems, type FieldProblem } from './field-problem.ts';
import { CRIU_DEFAULT_GHOST_LIMIT_BYTES, GHOST_LIMIT_CEILING_BYTES } from './names.ts';
import { parseQuantity, printQuantity, QUANTITY_ADVICE } from './quantity.ts';

const sizeBytes = (minimumBytes: number) =>
  z.union([z.int(), z.string()], QUANTITY_ADVICE).transform((value, context) => {
    const result = parseQuantity(value);
    const problem = result.ok ? sizeProblem(result.bytes, minimumBytes) : result.problem;
    if (result.ok && problem === null) return Number(result.bytes);
    context.addIssue({ code: 'custom', message: problem ?? '' });
    return z.NEVER;
  });

function sizeProblem(bytes: bigint, minimumBytes: number): string | null {
  if (bytes < BigInt(minimumBytes)) return `must be at least ${printQuantity(minimumBytes)}`;
  return bytes > BigInt(GHOST_LIMIT_CEILING_BYTES) ? 'must be at most 1Ti' : null;
}

export const NodeSettingsSchema = z.strictObject({
  /** Cap for every limit, bytes. */
  maxGhostLimit: sizeBytes(CRIU_DEFAULT_GHOST_LIMIT_BYTES).default(2 ** 30),
  /** Floor on this node without any policy, bytes; null: none. */
  baseGhostLimit: sizeBytes(CRIU_DEFAULT_GHOST_LIMIT_BYTES).nullable().default(null),
  allowedCriuOptions: z.array(z.enum(CRIU_OPTION_NAMES)).default([]),
  /** Namespaces whose policies count; null: all. */
  namespaces: z.array(z.string().min(1).max(63)).nullable().default(null),
  /** Which CRIU files to keep. */
  files: FilesSettingSchema.default('auto'),
  checkpointsPaused: z.boolean().default(false),
  archives: z
    .strictObject({
      directory: z
        .string()
        .startsWith('/', 'must be an absolute path')
        .default('/var/lib/ghostlimit/checkpoints'),
    })
    .prefault({}),
});
export type NodeSettings = z.output<typeof NodeSettingsSchema>;

export type ParsedSettings =
  | { readonly ok: true; readonly settings: NodeSettings }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

export function parseNodeSettings(input: unknown): ParsedSettings {
  const result = NodeSettingsSchema.safeParse(input);
  if (result.success) {
    const { baseGhostLimit, maxGhostLimit } = result.data;
    if (baseGhostLimit !== null && baseGhostLimit > maxGhostLimit) {
      return {
        ok: false,
        problems: [
          {
            field: 'baseGhostLimit',
            message: `${baseGhostLimit}: must not be over maxGhostLimit (${maxGhostLimit})`,
          },
        ],
      };
    }
    return { ok: true, settings: result.data };
  }
  return { ok: false, problems: fieldProblems(result.error, input) };
}
