// Shapes of fields that several kinds have: names, sizes, times, choices. Each carries its bounds, and its CEL twin where JSON schema is not enough.
import { z } from 'zod';
import { withRules } from './kube-marks.ts';
import { GHOST_LIMIT_CEILING_BYTES } from './names.ts';
import {
  parseQuantity,
  printQuantity,
  QUANTITY_ADVICE,
  QUANTITY_MAX_LENGTH,
  QUANTITY_PATTERN,
} from './quantity.ts';

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** A DNS label (RFC 1123). The bounds stand beside the pattern for the schemas made from this one; told once (field-problem.ts). */
export const dnsLabel = (what: string) =>
  z
    .string()
    .min(1)
    .max(63)
    .regex(DNS_LABEL, `must be ${what}: lower-case letters, digits and "-", at most 63 characters`);

/** RFC 3339. */
export const timestamp = () => z.string().max(40).meta({ format: 'date-time' });

export interface SizeBounds {
  readonly minimumBytes: number;
  readonly minimumText: string;
}

/** An int-or-string size as a user writes it, from `minimumBytes` to 1Ti after rounding up to whole bytes. */
export function sizeField({ minimumBytes, minimumText }: SizeBounds) {
  const schema = z
    .union([z.int(), z.string().max(QUANTITY_MAX_LENGTH)], QUANTITY_ADVICE)
    .superRefine((value, context) => {
      const result = parseQuantity(value);
      const problem = result.ok ? sizeProblem(result.bytes, minimumBytes, minimumText) : result.problem;
      if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    })
    .meta({
      'x-kubernetes-int-or-string': true,
      maxLength: QUANTITY_MAX_LENGTH,
      pattern: QUANTITY_PATTERN.source,
    });
  const ceiling = printQuantity(GHOST_LIMIT_CEILING_BYTES);
  return withRules(
    schema,
    {
      // Rounded up it is at least the minimum just when it is over the minimum less one byte.
      rule: `quantity(string(self)).isGreaterThan(quantity('${(minimumBytes - 1).toString()}'))`,
      message: `must be at least ${minimumText}`,
    },
    {
      rule: `quantity(string(self)).compareTo(quantity('${ceiling}')) <= 0`,
      message: `must be at most ${ceiling}`,
    },
  );
}

/** null: in bounds. */
export function sizeProblem(bytes: bigint, minimumBytes: number, minimumText: string): string | null {
  if (bytes < BigInt(minimumBytes)) return `must be at least ${minimumText}`;
  if (bytes > BigInt(GHOST_LIMIT_CEILING_BYTES))
    return `must be at most ${printQuantity(GHOST_LIMIT_CEILING_BYTES)}`;
  return null;
}

/** Exactly one of the two fields is set. */
export function exactlyOne<T extends z.ZodType<Record<string, unknown>>>(
  schema: T,
  [one, other]: readonly [string, string],
): T {
  const message = `exactly one of \`${one}\` and \`${other}\` must be set`;
  const checked = schema.superRefine((value, context) => {
    const count = [one, other].filter((field) => value[field] !== undefined).length;
    if (count === 1) return;
    context.addIssue({ code: 'custom', message: `${message}; ${count === 0 ? 'none is' : 'both are'}` });
  });
  return withRules(checked, { rule: `has(self.${one}) != has(self.${other})`, message });
}

/** The zod twin of a list map or set: names the second of two items with one key. */
export const uniqueBy =
  <T>(key: (item: T) => string, what: string) =>
  (items: readonly T[], context: z.RefinementCtx): void => {
    const seen = new Set<string>();
    for (const [index, item] of items.entries()) {
      const value = key(item);
      const message = `${what} ${JSON.stringify(value)} is there twice`;
      if (seen.has(value)) context.addIssue({ code: 'custom', path: [index], message });
      seen.add(value);
    }
  };

/** metadata as far as we read it; API objects have more. */
export const ObjectMetaSchema = z.object({
  name: dnsLabel('a name'),
  namespace: dnsLabel('a namespace').optional(),
  uid: z.string().max(63).optional(),
  generation: z.int().min(0).optional(),
});
