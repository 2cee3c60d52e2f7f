// A small CustomResourceDefinition with everything that the contract of KubeApi asks about: status, defaults, selectable fields, a list map, a set, an atomic list.
import type { KubeObject, KubeResource } from '../../src/api/kube-object.ts';

export const WIDGETS: KubeResource = {
  group: 'contract.ghostlimit.dev',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
};

export const CUSTOM_RESOURCE_DEFINITIONS: KubeResource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

const string = { type: 'string' };
const strings = { type: 'array', items: string };

export const WIDGET_CRD: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.contract.ghostlimit.dev' },
  spec: {
    group: WIDGETS.group,
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.status.phase' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  color: string,
                  size: { type: 'integer', default: 1 },
                  box: {
                    type: 'object',
                    properties: { width: { type: 'integer' }, height: { type: 'integer' } },
                  },
                  parts: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: {
                      type: 'object',
                      required: ['name'],
                      properties: { name: string, weight: { type: 'integer' }, note: string },
                    },
                  },
                  tags: { ...strings, 'x-kubernetes-list-type': 'set' },
                  steps: strings,
                },
              },
              status: {
                type: 'object',
                default: { observedGeneration: -1 },
                properties: {
                  observedGeneration: { type: 'integer' },
                  phase: string,
                  message: string,
                  conditions: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                    items: {
                      type: 'object',
                      required: ['type'],
                      properties: { type: string, status: string },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

export function aWidget(
  ref: { namespace: string; name: string },
  more: Record<string, unknown> = {},
): KubeObject {
  return { apiVersion: 'contract.ghostlimit.dev/v1', kind: 'Widget', metadata: ref, ...more };
}
