// What the API server is told about a schema beyond its JSON schema: CEL rules and how lists merge. Marks only; the checks in zod stand beside each.
import type { z } from 'zod';

/** One entry of x-kubernetes-validations. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  /** Relative to where the rule stands, such as ".maximum"; absent: the place itself. */
  readonly fieldPath?: string;
}

/** Adds rules to those that `schema` has. Each needs a twin check in zod that gives the same verdict (test/fixtures/kinds). */
export function withRules<T extends z.ZodType>(schema: T, ...rules: readonly CelRule[]): T {
  const earlier = (schema.meta()?.['x-kubernetes-validations'] ?? []) as readonly CelRule[];
  return schema.meta({ ...schema.meta(), 'x-kubernetes-validations': [...earlier, ...rules] });
}

/** A list whose items are told apart by `keys`: appliers own items, not the whole list. */
export function listMap<T extends z.ZodType>(schema: T, ...keys: readonly string[]): T {
  return schema.meta({
    ...schema.meta(),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
  });
}

/** A list of scalars without duplicates. */
export function listSet<T extends z.ZodType>(schema: T): T {
  return schema.meta({ ...schema.meta(), 'x-kubernetes-list-type': 'set' });
}

/** A regular expression as a CEL text; all of ours mean the same in RE2. */
export function celPattern(pattern: RegExp): string {
  return `r'${pattern.source.replaceAll('\\/', '/')}'`;
}
