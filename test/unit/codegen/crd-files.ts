// The CRDs as they stand in the project, and a walk over every schema in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export type Schema = Readonly<Record<string, unknown>>;

export interface CrdFile {
  readonly plural: string;
  readonly text: string;
  readonly object: { readonly metadata: { readonly name: string }; readonly spec: CrdSpec };
}

interface CrdSpec {
  readonly versions: readonly CrdVersion[];
  readonly names: Readonly<Record<string, unknown>>;
}

interface CrdVersion {
  readonly name: string;
  readonly schema: { readonly openAPIV3Schema: Schema };
  readonly additionalPrinterColumns: readonly { readonly name: string; readonly jsonPath: string }[];
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
  readonly subresources?: Schema;
}

const root = join(import.meta.dirname, '../../..');

/** `folder`: from the root of the project. */
export function crdFiles(folder = 'crds'): CrdFile[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => {
      const text = readFileSync(join(root, folder, name), 'utf8');
      return { plural: name.replace('.yaml', ''), text, object: parse(text) as CrdFile['object'] };
    });
}

export function schemaOf({ object }: CrdFile): Schema {
  const schema = object.spec.versions[0]?.schema.openAPIV3Schema;
  if (schema === undefined) throw new Error(`${object.metadata.name} has no schema`);
  return schema;
}

/** A schema and everything in it, each with its place: spec.targets[].name. */
export function everySchema(
  schema: Schema,
  place = '',
): { readonly place: string; readonly schema: Schema }[] {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  const inner = (name: 'items' | 'additionalProperties', mark: string) =>
    schema[name] === undefined ? [] : everySchema(schema[name] as Schema, `${place}${mark}`);
  return [
    { place, schema },
    ...properties.flatMap(([name, property]) =>
      everySchema(property, place === '' ? name : `${place}.${name}`),
    ),
    ...inner('items', '[]'),
    ...inner('additionalProperties', '{}'),
  ];
}
