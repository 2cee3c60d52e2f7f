// The four kinds as the API server is to know them: resource, names, columns, schemas. crds/ is made from this list.
import { z } from 'zod';
import { CheckpointNodeSpecSchema, CheckpointNodeStatusSchema } from './checkpoint-node.ts';
import { CheckpointPlanSpecSchema } from './checkpoint-plan.ts';
import { CheckpointPolicySpecSchema, CheckpointPolicyStatusSchema } from './checkpoint-policy.ts';
import { CheckpointRequestSpecSchema, CheckpointRequestStatusSchema } from './checkpoint-request.ts';
import { dnsLabel } from './field-shapes.ts';
import type { KubeResource } from './kube-object.ts';
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
} from './kube-resources.ts';

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** Shown with -o wide only. */
  readonly wide?: true;
}

export interface KindDefinition {
  readonly resource: KubeResource;
  readonly description: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Of metadata.name; null: whatever Kubernetes allows. */
  readonly name: z.ZodType | null;
  readonly spec: z.ZodType;
  readonly specRequired: boolean;
  /** null: the kind has none. Else its fields may come one after the other. */
  readonly status: z.ZodType | null;
  readonly columns: readonly PrinterColumn[];
  readonly selectableFields: readonly string[];
}

const condition = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`;
const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since it was created.',
};

const POLICY: KindDefinition = {
  resource: CHECKPOINT_POLICIES,
  description:
    'What the containers of some pods need so that checkpoints of them succeed: a ghost-limit, CRIU options, and checkpoints on a schedule.',
  shortNames: ['ckptpol'],
  categories: ['ghostlimit'],
  name: dnsLabel('a name'),
  spec: CheckpointPolicySpecSchema,
  specRequired: true,
  status: CheckpointPolicyStatusSchema.partial(),
  columns: [
    {
      name: 'Ready',
      type: 'string',
      jsonPath: condition('Ready', 'status'),
      description: 'Accepted, and in force on every node that needs it.',
    },
    {
      name: 'Limit',
      type: 'string',
      jsonPath: '.status.limit',
      description: 'The highest limit of the targets.',
    },
    {
      name: 'Nodes',
      type: 'string',
      jsonPath: '.status.summary',
      description: 'In force on how many nodes.',
    },
    {
      name: 'Last-Checkpoint',
      type: 'date',
      jsonPath: '.status.lastCheckpoint.time',
      description: 'Time since the last scheduled checkpoint.',
    },
    AGE,
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'Enforce or Audit.', wide: true },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: condition('Ready', 'reason'),
      description: 'Why it is Ready or not.',
      wide: true,
    },
    {
      name: 'Message',
      type: 'string',
      jsonPath: condition('Ready', 'message'),
      description: 'The same for people.',
      wide: true,
    },
  ],
  selectableFields: ['.spec.mode'],
};

const REQUEST: KindDefinition = {
  resource: CHECKPOINT_REQUESTS,
  description: 'One checkpoint asked for, and what came of it.',
  shortNames: ['ckptreq'],
  categories: ['ghostlimit'],
  name: null,
  spec: CheckpointRequestSpecSchema,
  specRequired: true,
  status: CheckpointRequestStatusSchema,
  columns: [
    { name: 'Status', type: 'string', jsonPath: '.status.summary', description: 'How far it is.' },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: condition('Failed', 'reason'),
      description: 'Why it failed.',
    },
    { name: 'Pod', type: 'string', jsonPath: '.spec.podName', description: 'The pod.' },
    { name: 'Node', type: 'string', jsonPath: '.status.nodeName', description: 'The node of the pod.' },
    {
      name: 'Duration',
      type: 'number',
      jsonPath: '.status.durationSeconds',
      description: 'How long the runtime took, seconds.',
    },
    AGE,
  ],
  selectableFields: ['.spec.podName', '.status.nodeName'],
};

const PLAN: KindDefinition = {
  resource: CHECKPOINT_PLANS,
  description:
    'What the agents of all nodes read: the policies of some namespaces, compiled. Written by the controller only; no place for edits.',
  shortNames: ['ckptplan'],
  categories: [],
  name: z
    .string()
    .max(7)
    .regex(/^plan-(?:0[0-9]|1[0-5])$/),
  spec: CheckpointPlanSpecSchema,
  specRequired: true,
  status: null,
  columns: [
    {
      name: 'Generation',
      type: 'integer',
      jsonPath: '.metadata.generation',
      description: 'Counts its changes; nodes report which one they work by.',
    },
    AGE,
  ],
  selectableFields: [],
};

const NODE: KindDefinition = {
  resource: CHECKPOINT_NODES,
  description:
    'One node: what the controller orders there (spec) and what its agent reports (status). Created and removed by the controller.',
  shortNames: ['ckptnode'],
  categories: ['ghostlimit'],
  name: null,
  spec: CheckpointNodeSpecSchema,
  specRequired: false,
  status: CheckpointNodeStatusSchema.partial(),
  columns: [
    {
      name: 'Ready',
      type: 'string',
      jsonPath: condition('Ready', 'status'),
      description: 'All is as it should be.',
    },
    {
      name: 'Limit',
      type: 'integer',
      jsonPath: '.status.files[0].effectiveLimitBytes',
      description: 'The limit in force by the first CRIU file, bytes.',
    },
    {
      name: 'In-Sync',
      type: 'string',
      jsonPath: condition('ConfigInSync', 'status'),
      description: 'The CRIU files hold what policies ask for.',
    },
    {
      name: 'CRIU',
      type: 'string',
      jsonPath: '.status.runtime.criuVersion',
      description: 'Version of CRIU.',
    },
    {
      name: 'Runtime',
      type: 'string',
      jsonPath: '.status.runtime.containerRuntime',
      description: 'What runs containers there.',
    },
    { name: 'Agent', type: 'string', jsonPath: '.status.agentVersion', description: 'Version of the agent.' },
    AGE,
  ],
  selectableFields: [],
};

export const KIND_DEFINITIONS: readonly KindDefinition[] = [POLICY, REQUEST, PLAN, NODE];
