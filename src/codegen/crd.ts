// The CustomResourceDefinition of a kind, from its definition in src/api/kinds.ts. Pure.
import type { z } from 'zod';
import type { KindDefinition, PrinterColumn } from '../api/kinds.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { apiVersionOf } from '../api/kube-object.ts';
import { structuralSchema, type JsonSchema } from './structural-schema.ts';

/** Throws where the schema says something that a CRD cannot. */
export function crdOf(kind: KindDefinition): KubeObject {
  const { resource, shortNames, categories } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${resource.plural}.${resource.group}`,
      labels: { 'app.kubernetes.io/name': 'ghostlimit', 'app.kubernetes.io/part-of': 'ghostlimit' },
    },
    spec: {
      group: resource.group,
      names: {
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        singular: resource.kind.toLowerCase(),
        shortNames,
        ...(categories.length > 0 && { categories }),
      },
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      versions: [versionOf(kind)],
    },
  };
}

function versionOf(kind: KindDefinition): Record<string, unknown> {
  return {
    name: kind.resource.version,
    served: true,
    storage: true,
    schema: { openAPIV3Schema: rootSchema(kind) },
    ...(kind.status !== null && { subresources: { status: {} } }),
    additionalPrinterColumns: kind.columns.map(columnOf),
    ...(kind.selectableFields.length > 0 && {
      selectableFields: kind.selectableFields.map((jsonPath) => ({ jsonPath })),
    }),
  };
}

function rootSchema({ resource, description, name, spec, specRequired, status }: KindDefinition): JsonSchema {
  return {
    type: 'object',
    description,
    properties: {
      apiVersion: { type: 'string', maxLength: 63, description: `${apiVersionOf(resource)}.` },
      kind: { type: 'string', maxLength: 63, description: `${resource.kind}.` },
      metadata: metadataSchema(name),
      spec: { description: 'What is wanted.', ...structuralSchema(spec) },
      ...(status !== null && {
        // Not observed is not fine: a new object must not pass for a finished one (kstatus).
        status: {
          description: 'What is.',
          default: { observedGeneration: -1 },
          ...structuralSchema(status),
        },
      }),
    },
    ...(specRequired && { required: ['spec'] }),
  };
}

/** Of metadata a CRD may say the name only, not even a description. */
function metadataSchema(name: z.ZodType | null): JsonSchema {
  if (name === null) return { type: 'object' };
  return {
    type: 'object',
    properties: { name: { description: 'Name of the object.', ...structuralSchema(name) } },
  };
}

function columnOf({ name, type, jsonPath, description, wide }: PrinterColumn): Record<string, unknown> {
  return { name, type, jsonPath, description, ...(wide === true && { priority: 1 }) };
}
