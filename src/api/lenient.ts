// Reading what other programs wrote: fields that this version does not know are ignored, everything else must be as the schema says.
import type { z } from 'zod';
import { fieldProblems, type FieldProblem } from './field-problem.ts';
import { findUnplainData } from './plain-data.ts';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/** Parses `input` by `schema` without its unknown fields, also where the schema is strict. `input` is not changed. Never throws. */
export function readLeniently<T extends z.ZodType>(schema: T, input: unknown): Read<z.output<T>> {
  const unplain = findUnplainData(input);
  if (unplain !== null) return { ok: false, problems: [unplain] };
  const first = schema.safeParse(input);
  if (first.success) return { ok: true, value: first.data };
  const known = withoutUnknownFields(input, first.error);
  const second = schema.safeParse(known);
  if (second.success) return { ok: true, value: second.data };
  return { ok: false, problems: fieldProblems(second.error, known) };
}

/** Server-side apply drops a list map that was emptied, field and all (measured on kube-apiserver): what is absent of `lists` is read as empty. */
export function withEmptiedLists(input: unknown, lists: readonly string[]): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  return { ...Object.fromEntries(lists.map((name) => [name, []])), ...input };
}

function withoutUnknownFields(input: unknown, error: z.ZodError): unknown {
  const copy = structuredClone(input);
  for (const issue of error.issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const place = issue.path.reduce<unknown>(
      (value, key) => (value as Record<PropertyKey, unknown>)[key],
      copy,
    );
    for (const key of issue.keys) Reflect.deleteProperty(place as object, key);
  }
  return copy;
}
