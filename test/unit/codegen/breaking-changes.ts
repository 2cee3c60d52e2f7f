// What of a changed schema would refuse an object that the earlier one took, or take a field away from a program that reads it.
import type { Schema } from './crd-files.ts';

const LOWER = ['minimum', 'minLength', 'minItems'];
const UPPER = ['maximum', 'maxLength', 'maxItems', 'maxProperties'];
/** Words whose every change is one for somebody. */
const FIXED = [
  ...['type', 'format', 'pattern', 'default', 'anyOf', 'x-kubernetes-int-or-string'],
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys'],
];

/** One line each, naming the place; empty: `after` only adds. */
export function breakingChanges(before: Schema, after: Schema, place = ''): string[] {
  return [
    ...FIXED.filter((word) => JSON.stringify(before[word]) !== JSON.stringify(after[word])).map(
      (word) => `${place}: ${word} changed`,
    ),
    ...LOWER.filter((word) => bound(after[word], -Infinity) > bound(before[word], -Infinity)).map(
      (word) => `${place}: ${word} was raised`,
    ),
    ...UPPER.filter((word) => bound(after[word], Infinity) < bound(before[word], Infinity)).map(
      (word) => `${place}: ${word} was lowered`,
    ),
    ...lost(before['enum'], after['enum']).map((value) => `${place}: the value ${value} is gone`),
    ...lost(after['required'], before['required']).map((name) => `${place}: ${name} became required`),
    ...newRules(before, after).map((rule) => `${place}: a new rule: ${rule}`),
    ...innerChanges(before, after, place),
  ];
}

function bound(value: unknown, absent: number): number {
  return value === undefined ? absent : Number(value);
}

function lost(before: unknown, after: unknown): string[] {
  const kept = new Set((after ?? []) as readonly string[]);
  return ((before ?? []) as readonly string[]).filter((value) => !kept.has(value));
}

function newRules(before: Schema, after: Schema): string[] {
  const rulesOf = (schema: Schema) =>
    ((schema['x-kubernetes-validations'] ?? []) as readonly { readonly rule: string }[]).map(
      ({ rule }) => rule,
    );
  return lost(rulesOf(after), rulesOf(before));
}

function innerChanges(before: Schema, after: Schema, place: string): string[] {
  const fields = Object.entries((before['properties'] ?? {}) as Record<string, Schema>);
  const now = (after['properties'] ?? {}) as Record<string, Schema>;
  const ofFields = fields.flatMap(([name, field]) => {
    const inner = place === '' ? name : `${place}.${name}`;
    return now[name] === undefined ? [`${inner}: is gone`] : breakingChanges(field, now[name], inner);
  });
  const ofItems = (['items', 'additionalProperties'] as const).flatMap((word) =>
    before[word] === undefined
      ? []
      : breakingChanges(before[word] as Schema, (after[word] ?? {}) as Schema, `${place}[]`),
  );
  return [...ofFields, ...ofItems];
}
