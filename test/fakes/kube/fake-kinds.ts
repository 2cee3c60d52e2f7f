// The kinds that the fake API server serves from the start: those of the operator. Our own stand here by hand until a test takes them from the CRDs (kindFromCrd).
import type { KubeResource } from '../../../src/api/kube-object.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
  CONFIG_MAPS,
  DAEMON_SETS,
  EVENTS,
  LEASES,
  NODES,
  PODS,
} from '../../../src/api/kube-resources.ts';
import type { FakeKind } from './fake-kind.ts';
import type { PlainObject } from './plain-json.ts';

function builtIn(resource: KubeResource, more: Partial<FakeKind> = {}): FakeKind {
  return {
    resource,
    hasStatus: false,
    hasGeneration: false,
    updatesUnconditionally: true,
    lists: {},
    selectableFields: [],
    ...more,
  };
}

function custom(resource: KubeResource, more: Partial<FakeKind> = {}): FakeKind {
  return {
    ...builtIn(resource),
    hasStatus: true,
    hasGeneration: true,
    updatesUnconditionally: false,
    complete: defaultStatus,
    ...more,
  };
}

function defaultStatus(object: PlainObject): void {
  const status = (object['status'] ?? {}) as PlainObject;
  object['status'] = { observedGeneration: -1, ...status };
}

const POD_LISTS: FakeKind['lists'] = {
  'spec.containers': ['name'],
  'spec.initContainers': ['name'],
  'spec.volumes': ['name'],
  'status.conditions': ['type'],
};

export const FAKE_KINDS: readonly FakeKind[] = [
  builtIn(PODS, {
    hasStatus: true,
    hasGeneration: true,
    lists: POD_LISTS,
    selectableFields: ['spec.nodeName', 'status.phase', 'spec.serviceAccountName', 'status.podIP'],
  }),
  builtIn(NODES, {
    hasStatus: true,
    lists: { 'status.conditions': ['type'] },
    selectableFields: ['spec.unschedulable'],
  }),
  builtIn(CONFIG_MAPS),
  builtIn(LEASES),
  builtIn(EVENTS, { selectableFields: ['reason', 'regarding.kind', 'regarding.name', 'type'] }),
  builtIn(DAEMON_SETS, {
    hasStatus: true,
    hasGeneration: true,
    lists: Object.fromEntries(
      Object.entries(POD_LISTS)
        .filter(([path]) => path.startsWith('spec.'))
        .map(([path, type]) => [`spec.template.${path}`, type]),
    ),
  }),
  custom(CHECKPOINT_POLICIES, {
    lists: {
      'spec.targets': ['name'],
      'spec.criuOptions': 'set',
      'status.conditions': ['type'],
      'status.targets': ['name'],
    },
    selectableFields: ['spec.mode'],
  }),
  custom(CHECKPOINT_REQUESTS, {
    lists: { 'status.conditions': ['type'], 'status.containers': ['name'] },
    selectableFields: ['spec.podName', 'status.nodeName'],
  }),
  custom(CHECKPOINT_PLANS, { hasStatus: false, complete: () => undefined }),
  custom(CHECKPOINT_NODES, {
    lists: {
      'spec.orders': ['requestUID'],
      'spec.deletions': ['requestUID'],
      'status.conditions': ['type'],
      'status.plans': ['name'],
      'status.files': ['path'],
      'status.orders': ['requestUID'],
    },
  }),
];
