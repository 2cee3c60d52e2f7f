// The ValidatingAdmissionPolicies of the operator, as data: who may write what of our kinds beyond what RBAC can say. Tested on a real API server (test/kube).
import type { KubeObject } from '../api/kube-object.ts';
import { AGENT_NAME, CONTROLLER_NAME, GROUP, SETTINGS_CONFIG_MAP, SETTINGS_KEY } from '../api/names.ts';

interface Condition {
  readonly name: string;
  readonly expression: string;
}

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason: 'Forbidden' | 'Invalid';
}

interface PolicyDraft {
  readonly name: string;
  readonly operations: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
  readonly variables: readonly Condition[];
  readonly validations: readonly Validation[];
  /** Absent: without parameters. */
  readonly parameters?: 'Settings';
}

/** Every policy with its binding. `namespace`: of the operator, or the chart's word for it. */
export function admissionPolicies(namespace: string): KubeObject[] {
  return [ownNodeOnly(namespace), limitCap(namespace), checkpointRight(namespace)].flatMap((draft) => [
    policyOf(draft),
    bindingOf(draft, namespace),
  ]);
}

const account = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`;

/** An agent's token writes the status of its own node's object. Measured: the claim is there for tokens bound to pods and nodes, and for no others. */
function ownNodeOnly(namespace: string): PolicyDraft {
  return {
    name: 'checkpointnode-own-node',
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    resources: ['checkpointnodes', 'checkpointnodes/status'],
    conditions: [
      { name: 'is-agent', expression: `request.userInfo.username == '${account(namespace, AGENT_NAME)}'` },
    ],
    variables: [
      {
        name: 'node',
        expression:
          "has(request.userInfo.extra) && 'authentication.kubernetes.io/node-name' in request.userInfo.extra ? request.userInfo.extra['authentication.kubernetes.io/node-name'][0] : ''",
      },
      {
        name: 'target',
        expression: "request.operation == 'DELETE' ? oldObject.metadata.name : object.metadata.name",
      },
    ],
    validations: [
      {
        expression: "variables.node != ''",
        message: 'the agent token carries no node name: use the token that is mounted into the agent pod',
        reason: 'Forbidden',
      },
      {
        expression: 'variables.node == variables.target',
        messageExpression:
          "'the agent on node ' + variables.node + ' may not write CheckpointNode ' + variables.target + ', only its own'",
        reason: 'Forbidden',
      },
    ],
  };
}

/**
 * A finalizer that comes or goes, and a policy that is being deleted, must pass whatever the spec says by now (measured: a
 * lowered cap blocked our own finalizer); the controller writes only what it has judged itself.
 */
const asWrittenByUsers = (namespace: string): Condition[] => [
  { name: 'spec-changed', expression: 'oldObject == null || object.spec != oldObject.spec' },
  { name: 'not-being-deleted', expression: '!has(object.metadata.deletionTimestamp)' },
  {
    name: 'not-the-controller',
    expression: `request.userInfo.username != '${account(namespace, CONTROLLER_NAME)}'`,
  },
];

const SETTINGS_TEXT = `has(params.data) && '${SETTINGS_KEY}' in params.data ? params.data['${SETTINGS_KEY}'] : ''`;
/** The line of a block-style YAML document that sets the cap. */
const CAP_LINE = String.raw`r'(?m)^maxGhostLimit: *["\x27]?[+.0-9][-+.0-9A-Za-z]*'`;

/**
 * No limit over the cap of the settings. CEL reads the cap out of the YAML by its line; where it is written in another way
 * (flow style), or is no quantity, this policy takes everything and the controller refuses (Accepted=False LimitOverCap).
 */
function limitCap(namespace: string): PolicyDraft {
  return {
    name: 'checkpointpolicy-limit-cap',
    parameters: 'Settings',
    operations: ['CREATE', 'UPDATE'],
    resources: ['checkpointpolicies'],
    conditions: asWrittenByUsers(namespace),
    variables: [
      { name: 'settings', expression: SETTINGS_TEXT },
      {
        name: 'cap',
        expression: `variables.settings.contains('maxGhostLimit') ? variables.settings.find(${CAP_LINE}).find('[+.0-9].*$') : '1Gi'`,
      },
      { name: 'limited', expression: 'object.spec.targets.filter(target, has(target.ghostLimit))' },
      {
        name: 'auto',
        expression: 'variables.limited.filter(target, has(target.ghostLimit.auto))',
      },
      overCap('fixed', 'variables.limited', 'fixed'),
      overCap('maximum', 'variables.auto', 'auto.maximum'),
      overCap('minimum', 'variables.auto', 'auto.minimum'),
    ],
    validations: [
      underCap('fixed', 'fixed'),
      underCap('maximum', 'auto.maximum'),
      underCap('minimum', 'auto.minimum'),
    ],
  };
}

function overCap(name: string, targets: string, field: string): Condition {
  const limit = `target.ghostLimit.${field}`;
  return {
    name: `${name}Over`,
    expression: `isQuantity(variables.cap) ? ${targets}.filter(target, has(${limit}) && quantity(string(${limit})).isGreaterThan(quantity(variables.cap))) : []`,
  };
}

function underCap(name: string, field: string): Validation {
  const first = `variables.${name}Over[0]`;
  return {
    expression: `variables.${name}Over.size() == 0`,
    messageExpression: `'spec.targets: ghostLimit.${field} of the target ' + ${first}.name + ': ' + string(${first}.ghostLimit.${field}) + ' is over the cap ' + variables.cap + ' (setting maxGhostLimit): lower it, or have the cap raised'`,
    reason: 'Invalid',
  };
}

const EXEC = "authorizer.group('').resource('pods').subresource('exec').namespace(request.namespace)";
const MAY_NOT =
  "request.userInfo.username + ' may not create pods/exec in the namespace ' + request.namespace";

/** A checkpoint reads the memory of processes: who asks for one must be allowed to get into them. */
function checkpointRight(namespace: string): PolicyDraft {
  const isRequest = "request.resource.resource == 'checkpointrequests'";
  return {
    name: 'checkpoint-right',
    operations: ['CREATE', 'UPDATE'],
    resources: ['checkpointpolicies', 'checkpointrequests'],
    conditions: [
      ...asWrittenByUsers(namespace),
      { name: 'asks-for-checkpoints', expression: `${isRequest} || has(object.spec.checkpoint)` },
    ],
    variables: [],
    validations: [
      {
        expression: `!(${isRequest}) || ${EXEC}.name(object.spec.podName).check('create').allowed()`,
        messageExpression: `'spec.podName: ' + object.spec.podName + ': ' + ${MAY_NOT} + ', and a checkpoint reads the memory of the pod: have that right granted'`,
        reason: 'Forbidden',
      },
      {
        expression: `${isRequest} || ${EXEC}.check('create').allowed()`,
        messageExpression: `'spec.checkpoint: ' + object.spec.checkpoint.schedule + ': ' + ${MAY_NOT} + ', and checkpoints read the memory of the pods: have that right granted, or leave spec.checkpoint out'`,
        reason: 'Forbidden',
      },
    ],
  };
}

function policyOf({
  name,
  operations,
  resources,
  conditions,
  variables,
  validations,
  parameters,
}: PolicyDraft): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: `${name}.${GROUP}` },
    spec: {
      failurePolicy: 'Fail',
      ...(parameters === 'Settings' && { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } }),
      matchConstraints: {
        resourceRules: [{ apiGroups: [GROUP], apiVersions: ['*'], operations, resources }],
      },
      matchConditions: conditions,
      ...(variables.length > 0 && { variables }),
      validations,
    },
  };
}

function bindingOf({ name, parameters }: PolicyDraft, namespace: string): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: `${name}.${GROUP}` },
    spec: {
      policyName: `${name}.${GROUP}`,
      validationActions: ['Deny'],
      ...(parameters === 'Settings' && {
        // Without settings the controller does nothing at all, and says so; users are not to be locked out by that.
        paramRef: { name: SETTINGS_CONFIG_MAP, namespace, parameterNotFoundAction: 'Allow' },
      }),
    },
  };
}
