import { describe, expect, test } from '@jest/globals';
import { crdFiles, everySchema, schemaOf, type Schema } from './crd-files.ts';

/** Places of `schemas` where the demand does not hold. */
function placesWithout(
  schemas: readonly { readonly place: string; readonly schema: Schema }[],
  holds: (schema: Schema, place: string) => boolean,
): string[] {
  return schemas.filter(({ schema, place }) => !holds(schema, place)).map(({ place }) => place);
}

const isNumber = (value: unknown): boolean => typeof value === 'number';
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

test('there are the four kinds', () => {
  expect(crdFiles().map(({ object }) => object.metadata.name)).toEqual([
    'checkpointnodes.ghostlimit.dev',
    'checkpointplans.ghostlimit.dev',
    'checkpointpolicies.ghostlimit.dev',
    'checkpointrequests.ghostlimit.dev',
  ]);
});

test.each(
  crdFiles().map(({ object: { metadata, spec }, plural }) => {
    const [version] = spec.versions;
    return [
      plural,
      {
        name: metadata.name,
        short: spec.names['shortNames'],
        categories: spec.names['categories'],
        versions: spec.versions.map(({ name }) => name),
        columns: version?.additionalPrinterColumns.map(({ name }) => name).join(' '),
        selectable: (version?.selectableFields ?? []).map(({ jsonPath }) => jsonPath).join(' '),
        subresources: version?.subresources,
      },
    ] as const;
  }),
)('%s: names, columns, selectable fields', (plural, facts) => {
  expect(facts).toEqual(
    {
      checkpointnodes: {
        name: 'checkpointnodes.ghostlimit.dev',
        short: ['ckptnode'],
        categories: ['ghostlimit'],
        versions: ['v1alpha1'],
        columns: 'Ready Limit In-Sync CRIU Runtime Agent Age',
        selectable: '',
        subresources: { status: {} },
      },
      checkpointplans: {
        name: 'checkpointplans.ghostlimit.dev',
        short: ['ckptplan'],
        categories: undefined,
        versions: ['v1alpha1'],
        columns: 'Generation Age',
        selectable: '',
        subresources: undefined,
      },
      checkpointpolicies: {
        name: 'checkpointpolicies.ghostlimit.dev',
        short: ['ckptpol'],
        categories: ['ghostlimit'],
        versions: ['v1alpha1'],
        columns: 'Ready Limit Nodes Last-Checkpoint Age Mode Reason Message',
        selectable: '.spec.mode',
        subresources: { status: {} },
      },
      checkpointrequests: {
        name: 'checkpointrequests.ghostlimit.dev',
        short: ['ckptreq'],
        categories: ['ghostlimit'],
        versions: ['v1alpha1'],
        columns: 'Status Reason Pod Node Duration Age',
        selectable: '.spec.podName .status.nodeName',
        subresources: { status: {} },
      },
    }[plural],
  );
});

describe.each(crdFiles().map((file) => [file.plural, schemaOf(file)] as const))('%s', (_plural, schema) => {
  const all = everySchema(schema);
  const ofType = (type: string) => all.filter((each) => each.schema['type'] === type);

  test('every field is described, in a sentence or two that end in a full stop', () => {
    const fields = all.filter(({ place }) => place !== 'metadata' && !/[\]}]$/.test(place));
    const isDescribed = ({ description }: Schema): boolean =>
      isText(description) && description.length <= 300 && /^[A-Z0-9a-z].*\.$/.test(description);
    expect(placesWithout(fields, isDescribed)).toEqual([]);
  });

  test('every text is bounded', () => {
    const isBounded = ({ maxLength, enum: values }: Schema): boolean =>
      Array.isArray(values) || (isNumber(maxLength) && Number(maxLength) <= 4096);
    expect(placesWithout(ofType('string'), isBounded)).toEqual([]);
  });

  test('every list is bounded and says how it merges', () => {
    const isRight = (list: Schema): boolean => {
      if (!isNumber(list['maxItems'])) return false;
      const items = list['items'] as Schema;
      const keys = list['x-kubernetes-list-map-keys'] as readonly string[] | undefined;
      switch (list['x-kubernetes-list-type']) {
        case 'map':
          return keys !== undefined && keys.every((key) => (items['required'] as string[]).includes(key));
        case 'set':
          return items['type'] === 'string' && keys === undefined;
        default:
          return list['x-kubernetes-list-type'] === 'atomic' && keys === undefined;
      }
    };
    expect(placesWithout(ofType('array'), isRight)).toEqual([]);
  });

  test('every number says its range: in spec on both sides, in status from below', () => {
    const isRanged = ({ minimum, maximum, format }: Schema, place: string): boolean =>
      isNumber(minimum) &&
      (isNumber(maximum) || !place.startsWith('spec.') || place.endsWith('eneration')) &&
      (format === 'int64' || format === 'double');
    expect(placesWithout([...ofType('integer'), ...ofType('number')], isRanged)).toEqual([]);
  });

  test('no fractions in spec', () => {
    expect(ofType('number').filter(({ place }) => place.startsWith('spec'))).toEqual([]);
  });

  test('every map is bounded', () => {
    const isBounded = (object: Schema): boolean =>
      object['additionalProperties'] === undefined ||
      (object['additionalProperties'] !== false && isNumber(object['maxProperties']));
    expect(placesWithout(all, isBounded)).toEqual([]);
  });

  test('every schema has a type, but for sizes, which are a number or a text', () => {
    const isTyped = (each: Schema): boolean => {
      if (each['x-kubernetes-int-or-string'] !== true)
        return isText(each['type']) && each['anyOf'] === undefined;
      const anyOf = JSON.stringify(each['anyOf']);
      return (
        each['type'] === undefined &&
        anyOf === '[{"type":"integer"},{"type":"string"}]' &&
        each['maxLength'] === 20 &&
        isText(each['pattern'])
      );
    };
    expect(placesWithout(all, isTyped)).toEqual([]);
  });

  test('nothing that a structural schema has no word for', () => {
    const words = [
      '$ref',
      '$schema',
      'allOf',
      'oneOf',
      'not',
      'const',
      'nullable',
      'readOnly',
      'definitions',
    ];
    const more = ['propertyNames', 'exclusiveMinimum', 'contentEncoding', '~standard', 'id', 'title'];
    expect(
      placesWithout(all, (each) => [...words, ...more].every((word) => each[word] === undefined)),
    ).toEqual([]);
  });

  test('names are camelCase, and values of choices PascalCase', () => {
    const isCamel = (each: Schema): boolean =>
      Object.keys(each['properties'] ?? {}).every((name) => /^[a-z][a-zA-Z0-9]*$/.test(name));
    const isPascal = (each: Schema): boolean =>
      ((each['enum'] ?? []) as string[]).every((value) => /^[A-Z][a-zA-Z]*$/.test(value));
    expect(placesWithout(all, (each) => isCamel(each) && isPascal(each))).toEqual([]);
  });

  test('every rule says what must be', () => {
    const rules = all.flatMap((each) => (each.schema['x-kubernetes-validations'] ?? []) as Schema[]);
    expect(
      rules.filter(({ message }) => !/^(?:must|exactly one|is immutable)/.test(String(message))),
    ).toEqual([]);
  });

  test('times are times', () => {
    const isTime = ({ format }: Schema, place: string): boolean =>
      !/Time$/.test(place) || format === 'date-time';
    expect(placesWithout(all, isTime)).toEqual([]);
  });

  test('a new object is not yet observed', () => {
    const status = (schema['properties'] as Record<string, Schema>)['status'];
    if (status === undefined) return;
    expect(status['default']).toEqual({ observedGeneration: -1 });
    expect(status['required']).toBeUndefined();
    const conditions = (status['properties'] as Record<string, Schema>)['conditions'];
    expect(conditions?.['x-kubernetes-list-map-keys']).toEqual(['type']);
  });
});
