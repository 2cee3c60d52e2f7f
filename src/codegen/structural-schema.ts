// A zod schema → the structural OpenAPI schema that the API server takes. Refuses what a CRD cannot say, instead of losing it.
import { z } from 'zod';

export type JsonSchema = Record<string, unknown>;

/** Keywords that a structural schema has no use for. Source: apiextensions v1, "Specifying a structural schema". */
const FORBIDDEN = [
  '$ref',
  'definitions',
  '$defs',
  'allOf',
  'oneOf',
  'not',
  'const',
  'nullable',
  'propertyNames',
  'contentEncoding',
];
const INT_OR_STRING = [{ type: 'integer' }, { type: 'string' }];

/** Throws and names the place where `schema` says something that a CRD cannot. */
export function structuralSchema(schema: z.ZodType): JsonSchema {
  const root = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    cycles: 'throw',
    unrepresentable: 'throw',
  }) as JsonSchema;
  return inOrder(structural(root, 'the schema'));
}

/** As people read it; unnamed ones follow as they come, and properties stay in the order of the schema. */
const KEY_ORDER = [
  ...['description', 'type', 'format', 'x-kubernetes-int-or-string', 'anyOf', 'default', 'enum'],
  ...['minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'minItems', 'maxItems', 'maxProperties'],
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-validations'],
  ...['required', 'properties', 'additionalProperties', 'items'],
];

function inOrder(node: JsonSchema): JsonSchema {
  const rank = (key: string): number => (KEY_ORDER.includes(key) ? KEY_ORDER.indexOf(key) : KEY_ORDER.length);
  const entries = Object.entries(node).sort(([one], [other]) => rank(one) - rank(other));
  return Object.fromEntries(entries.map(([key, value]) => [key, orderedValue(key, value)]));
}

function orderedValue(key: string, value: unknown): unknown {
  if (key === 'items' || key === 'additionalProperties') return inOrder(value as JsonSchema);
  if (key !== 'properties') return value;
  const properties = Object.entries(value as Record<string, JsonSchema>);
  return Object.fromEntries(properties.map(([name, inner]) => [name, inOrder(inner)]));
}

function structural(node: JsonSchema, place: string): JsonSchema {
  const forbidden = FORBIDDEN.find((keyword) => node[keyword] !== undefined);
  if (forbidden !== undefined) throw new Error(`${place}: a CRD cannot say ${forbidden}`);
  // readOnly is zod's word for .readonly(), which is about TypeScript only.
  const { readOnly: _readOnly, $schema: _schema, ...kept } = node;
  if (typeof kept['pattern'] === 'string') kept['pattern'] = kept['pattern'].replaceAll('\\/', '/');
  if (kept['x-kubernetes-int-or-string'] === true) return { ...kept, anyOf: INT_OR_STRING };
  if (kept['anyOf'] !== undefined)
    throw new Error(`${place}: a CRD cannot say a union; use optional fields and a rule`);
  return structuralByType(kept, place);
}

function structuralByType(node: JsonSchema, place: string): JsonSchema {
  switch (node['type']) {
    case 'string':
    case 'boolean':
      return node;
    case 'integer':
      return structuralInteger(node);
    case 'number':
      return { ...node, format: 'double' };
    case 'array':
      return {
        ...node,
        items: structural(node['items'] as JsonSchema, `${place}[]`),
        'x-kubernetes-list-type': node['x-kubernetes-list-type'] ?? 'atomic',
      };
    case 'object':
      return structuralObject(node, place);
    default:
      throw new Error(`${place}: a CRD needs a type`);
  }
}

/** zod gives every integer the bounds of a double's exact range; int64 says it better. */
function structuralInteger(node: JsonSchema): JsonSchema {
  const { minimum, maximum, ...rest } = node;
  return {
    ...rest,
    format: 'int64',
    ...(minimum !== Number.MIN_SAFE_INTEGER && { minimum }),
    ...(maximum !== Number.MAX_SAFE_INTEGER && { maximum }),
  };
}

function structuralObject(node: JsonSchema, place: string): JsonSchema {
  const { additionalProperties, properties, ...rest } = node;
  if (properties !== undefined) {
    // `additionalProperties: false` is forbidden in a CRD: the API server drops unknown fields, or refuses them for a strict client.
    const entries = Object.entries(properties as Record<string, JsonSchema>);
    return {
      ...rest,
      properties: Object.fromEntries(
        entries.map(([name, inner]) => [name, structural(inner, `${place}.${name}`)]),
      ),
    };
  }
  if (rest['maxProperties'] === undefined) throw new Error(`${place}: a map without maxProperties`);
  return { ...rest, additionalProperties: structural(additionalProperties as JsonSchema, `${place}{}`) };
}
