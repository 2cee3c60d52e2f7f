import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { parseCheckpointPolicy } from '../../../src/api/checkpoint-policy.ts';
import { fieldProblems } from '../../../src/api/field-problem.ts';
import { KIND_DEFINITIONS, type KindDefinition } from '../../../src/api/kinds.ts';
import { readLeniently } from '../../../src/api/lenient.ts';
import { judgedKinds } from '../../builders/judged-kinds.ts';

/** The whole object, as strict as each of its schemas is. */
function objectSchema({ name, spec, specRequired }: KindDefinition): z.ZodType {
  return z.object({
    metadata: z.object({ name: name ?? z.string() }),
    spec: specRequired ? spec : spec.optional(),
  });
}

/** Where zod says that the object is wrong. */
function fieldsOf(definition: KindDefinition, object: unknown): string[] {
  const result = objectSchema(definition).safeParse(object);
  return result.success ? [] : fieldProblems(result.error, object).map(({ field }) => field);
}

describe.each(judgedKinds().map((judged) => [judged.definition.resource.kind, judged] as const))(
  '%s',
  (kind, { definition, valid, invalid, unknown, status }) => {
    test.each(valid.map((sample) => [sample.name, sample] as const))('right: %s', (_name, { object }) => {
      expect(fieldsOf(definition, object)).toEqual([]);
    });

    test.each(invalid.map((sample) => [sample.name, sample] as const))(
      'wrong: %s',
      (_name, { object, field }) => {
        expect(new Set(fieldsOf(definition, object))).toEqual(new Set([field]));
      },
    );

    test('unknown fields are refused when written and ignored when read', () => {
      for (const { object, field } of unknown) {
        const end = field.lastIndexOf('.');
        expect(fieldsOf(definition, object)).toEqual([field.slice(0, end)]);
        const read = readLeniently(objectSchema(definition), object);
        expect(JSON.stringify(read)).not.toContain(`"${field.slice(end + 1)}":`);
        expect(read.ok).toBe(true);
      }
    });

    test('a status with every field filled in', () => {
      if (definition.status === null) expect(status).toBeUndefined();
      else {
        const result = definition.status.safeParse(status);
        expect(result.error).toBeUndefined();
        expect(result.data).toEqual(status);
        expect(Object.keys(status ?? {}).sort()).toEqual(fieldNames(definition.status));
      }
    });

    if (kind === 'CheckpointPolicy')
      test('the whole document gets the same verdicts', () => {
        for (const { object } of valid) expect(parseCheckpointPolicy(object)).toMatchObject({ ok: true });
        for (const { object } of [...invalid, ...unknown])
          expect(parseCheckpointPolicy(object)).toMatchObject({ ok: false });
      });
  },
);

function fieldNames(schema: z.ZodType): string[] {
  const { properties } = z.toJSONSchema(schema, { io: 'input' });
  return Object.keys(properties ?? {}).sort();
}

test('every kind has samples', () => {
  expect(
    judgedKinds()
      .map(({ definition }) => definition.resource.kind)
      .sort(),
  ).toEqual(KIND_DEFINITIONS.map(({ resource }) => resource.kind).sort());
});
