import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { AGENT_RIGHTS, KUBELET_CHECKPOINT_RULES } from '../../../src/agent/rbac.ts';
import { parseOperatorSettings } from '../../../src/api/settings.ts';
import { CONTROLLER_RIGHTS } from '../../../src/controller/rbac.ts';
import { crdFiles } from './crd-files.ts';

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
  };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace: string }[];
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const manifestsOf = (path: string): Manifest[] =>
  parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest);
const installed = manifestsOf('deploy/install.yaml');
const ofKind = (...kinds: string[]): Manifest[] => installed.filter(({ kind }) => kinds.includes(kind));
const nameOf = ({ kind, metadata: { namespace, name } }: Manifest): string =>
  `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;

test('the objects have the names of the API', () => {
  expect(installed.map(nameOf).sort()).toEqual([
    'ClusterRole ghostlimit-agent',
    'ClusterRole ghostlimit-agent-kubelet-checkpoint',
    'ClusterRole ghostlimit-controller',
    'ClusterRole ghostlimit-edit',
    'ClusterRole ghostlimit-view',
    'ClusterRoleBinding ghostlimit-agent',
    'ClusterRoleBinding ghostlimit-agent-kubelet-checkpoint',
    'ClusterRoleBinding ghostlimit-controller',
    'ConfigMap ghostlimit-system/ghostlimit-settings',
    'CustomResourceDefinition checkpointnodes.ghostlimit.dev',
    'CustomResourceDefinition checkpointplans.ghostlimit.dev',
    'CustomResourceDefinition checkpointpolicies.ghostlimit.dev',
    'CustomResourceDefinition checkpointrequests.ghostlimit.dev',
    'Deployment ghostlimit-system/ghostlimit-controller',
    'Namespace ghostlimit-system',
    'Role ghostlimit-system/ghostlimit-controller',
    'RoleBinding ghostlimit-system/ghostlimit-controller',
    'ServiceAccount ghostlimit-system/ghostlimit-agent',
    'ServiceAccount ghostlimit-system/ghostlimit-controller',
    'ValidatingAdmissionPolicy checkpoint-right.ghostlimit.dev',
    'ValidatingAdmissionPolicy checkpointnode-own-node.ghostlimit.dev',
    'ValidatingAdmissionPolicy checkpointpolicy-limit-cap.ghostlimit.dev',
    'ValidatingAdmissionPolicyBinding checkpoint-right.ghostlimit.dev',
    'ValidatingAdmissionPolicyBinding checkpointnode-own-node.ghostlimit.dev',
    'ValidatingAdmissionPolicyBinding checkpointpolicy-limit-cap.ghostlimit.dev',
  ]);
});

test('the namespace lets privileged pods in, and nothing says that Helm keeps it', () => {
  const [namespace] = ofKind('Namespace');
  expect(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('privileged');
  expect(read('deploy/install.yaml')).not.toMatch(/helm\.sh|managed-by/);
});

describe('roles', () => {
  const roles = ofKind('ClusterRole', 'Role');
  const rulesOf = (name: string, kind = 'ClusterRole'): readonly Rule[] =>
    roles.find((role) => role.kind === kind && role.metadata.name === name)?.rules ?? [];
  /** "patch ghostlimit.dev/checkpointpolicies" for everything that the rules allow. */
  const allowed = (rules: readonly Rule[]): string[] =>
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.map((verb) => `${verb} ${group === '' ? '' : `${group}/`}${resource}`),
        ),
      ),
    );

  test('are what the code says', () => {
    expect(rulesOf('ghostlimit-controller')).toEqual(CONTROLLER_RIGHTS.cluster);
    expect(rulesOf('ghostlimit-controller', 'Role')).toEqual(CONTROLLER_RIGHTS.ownNamespace);
    expect(rulesOf('ghostlimit-agent')).toEqual(AGENT_RIGHTS.cluster);
    expect(rulesOf('ghostlimit-agent-kubelet-checkpoint')).toEqual(KUBELET_CHECKPOINT_RULES);
    expect(AGENT_RIGHTS.ownNamespace).toEqual([]);
  });

  test('nobody may do everything, read secrets, write pods or reach nodes by their proxy', () => {
    const all = roles.flatMap(({ rules = [] }) => allowed(rules));
    const isTooMuch = (right: string): boolean =>
      /\*|secrets| nodes\/(?!checkpoint$)|impersonate|escalate|bind|serviceaccounts|webhook/.test(right) ||
      /^(?!get |list |watch )\w+ pods/.test(right);
    expect(all.filter(isTooMuch)).toEqual([]);
    expect(all.filter((right) => right.endsWith('nodes/checkpoint'))).toEqual(['create nodes/checkpoint']);
  });

  test('an agent reads, and writes one status', () => {
    expect(
      allowed(rulesOf('ghostlimit-agent')).filter((right) => !/^(?:get|list|watch) /.test(right)),
    ).toEqual(['patch ghostlimit.dev/checkpointnodes/status']);
  });

  test('the controller writes no status of a node and no spec of a policy but through patch', () => {
    const rights = allowed(rulesOf('ghostlimit-controller'));
    expect(
      rights.filter((right) => /checkpointnodes\/status|(?:create|update|delete).*policies/.test(right)),
    ).toEqual([]);
  });

  test('each is bound to its account in the namespace of the operator', () => {
    const bindings = ofKind('ClusterRoleBinding', 'RoleBinding').map(({ kind, roleRef, subjects = [] }) =>
      [kind, roleRef?.kind, roleRef?.name, ...subjects.map((each) => `${each.namespace}/${each.name}`)].join(
        ' ',
      ),
    );
    expect(bindings.sort()).toEqual([
      'ClusterRoleBinding ClusterRole ghostlimit-agent ghostlimit-system/ghostlimit-agent',
      'ClusterRoleBinding ClusterRole ghostlimit-agent-kubelet-checkpoint ghostlimit-system/ghostlimit-agent',
      'ClusterRoleBinding ClusterRole ghostlimit-controller ghostlimit-system/ghostlimit-controller',
      'RoleBinding Role ghostlimit-controller ghostlimit-system/ghostlimit-controller',
    ]);
  });
});

test('the controller runs without rights on its node', () => {
  const [deployment] = ofKind('Deployment');
  expect(deployment?.spec).toMatchObject({
    replicas: 1,
    template: {
      spec: {
        serviceAccountName: 'ghostlimit-controller',
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            image: 'docker.io/ghostlimit/ghostlimit:dev',
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            },
          },
        ],
      },
    },
  });
});

test('every admission policy is bound, denies, and fails closed', () => {
  const policies = ofKind('ValidatingAdmissionPolicy');
  expect(policies.map(({ spec }) => spec?.['failurePolicy'])).toEqual(policies.map(() => 'Fail'));
  const bindings = ofKind('ValidatingAdmissionPolicyBinding').map(({ spec }) => [
    spec?.['policyName'],
    spec?.['validationActions'],
  ]);
  expect(bindings).toEqual(policies.map(({ metadata }) => [metadata.name, ['Deny']]));
});

test('the CRDs are those of crds/', () => {
  const crds = crdFiles().map(({ object }) => object.spec);
  expect(ofKind('CustomResourceDefinition').map(({ spec }) => spec)).toEqual(crds);
  expect(manifestsOf('deploy/crds.yaml').map(({ spec }) => spec)).toEqual(crds);
});

test('settings are those of the API, and remove.yaml asks for removal', () => {
  const settingsIn = ({ data }: Manifest) => parseOperatorSettings(parse(data?.['settings.yaml'] ?? ''));
  expect(ofKind('ConfigMap').map(settingsIn)).toEqual([parseOperatorSettings({})]);
  expect(manifestsOf('deploy/remove.yaml').map(nameOf)).toEqual([
    'ConfigMap ghostlimit-system/ghostlimit-settings',
  ]);
  expect(manifestsOf('deploy/remove.yaml').map(settingsIn)).toEqual([
    parseOperatorSettings({ removal: true }),
  ]);
});
