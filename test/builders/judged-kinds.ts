// The samples of test/fixtures/kinds, as whole objects: what zod and the API server must judge alike.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { KIND_DEFINITIONS, type KindDefinition } from '../../src/api/kinds.ts';
import { apiVersionOf } from '../../src/api/kube-object.ts';

export interface KindSample {
  readonly name: string;
  /** Where it is wrong; empty: it is right. */
  readonly field: string;
  readonly serverField: string;
  readonly object: Readonly<Record<string, unknown>>;
}

export interface JudgedKind {
  readonly definition: KindDefinition;
  readonly valid: readonly KindSample[];
  readonly invalid: readonly KindSample[];
  /** With a field that does not exist: refused by a strict client and by zod, dropped by others. */
  readonly unknown: readonly KindSample[];
  /** With every field filled in; absent: the kind has none. */
  readonly status?: Readonly<Record<string, unknown>>;
}

interface SampleText {
  readonly name: string;
  readonly field?: string;
  readonly serverField?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: unknown;
}

interface KindText {
  readonly kind: string;
  readonly valid: readonly SampleText[];
  readonly invalid: readonly SampleText[];
  readonly unknown: readonly SampleText[];
  readonly status?: Readonly<Record<string, unknown>>;
}

const folder = join(import.meta.dirname, '../fixtures/kinds');

export function judgedKinds(): JudgedKind[] {
  return readdirSync(folder)
    .sort()
    .map((file) => judgedKind(parse(readFileSync(join(folder, file), 'utf8')) as KindText));
}

function judgedKind({ kind, valid, invalid, unknown, status }: KindText): JudgedKind {
  const definition = KIND_DEFINITIONS.find(({ resource }) => resource.kind === kind);
  if (definition === undefined) throw new Error(`there is no kind ${kind}`);
  const samples = (texts: readonly SampleText[]): KindSample[] =>
    texts.map((text) => sampleOf(definition, text));
  return {
    definition,
    valid: samples(valid),
    invalid: samples(invalid),
    unknown: samples(unknown),
    ...(status !== undefined && { status }),
  };
}

function sampleOf({ resource }: KindDefinition, text: SampleText): KindSample {
  const { name, field = '', serverField = field, metadata, spec } = text;
  return {
    name,
    field,
    serverField,
    object: {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      metadata: { name: 'sample', ...(resource.namespaced && { namespace: 'default' }), ...metadata },
      ...(spec !== undefined && { spec }),
    },
  };
}
