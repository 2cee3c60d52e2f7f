// The kind CheckpointNode: spec is the controller's order to one node, status the agent's report. Standalone the status is the status file.
import { z } from 'zod';
import { ContainerResultSchema, skipChecks, timeoutSeconds } from './checkpoint-request.ts';
import { ConditionsSchema, observedGeneration } from './condition.ts';
import { timestamp } from './field-shapes.ts';
import type { KubeObject } from './kube-object.ts';
import { listMap } from './kube-marks.ts';
import { readLeniently, withEmptiedLists } from './lenient.ts';

const bytes = () => z.int().min(0);
const name = () => z.string().max(253);
const namespaceName = () => z.string().max(63);
const uid = () => z.string().max(63);
/** Made by hashOf in agent/cluster/trigger-source.ts and hashOfToken in controller/trigger-reconciler.ts. */
const tokenHash = () => z.string().max(64);
/** The same in words. */
const HASH_OF_TOKEN =
  'the first 32 hexadecimal digits, in lower case, of the SHA-256 of the annotation ghostlimit.dev/checkpoint without white space around it';
const message = () => z.string().max(1024);
const reason = () => z.string().max(63);

/** Orders to one node at a time. */
export const NODE_ORDERS_MAX = 32;
/** Requests whose archives one node is told to delete at a time. */
export const NODE_DELETIONS_MAX = 256;
export const NODE_TRIGGERS_MAX = 64;

export const NodeOrderSchema = z.object({
  requestUID: uid().meta({ description: 'UID of the CheckpointRequest.' }),
  requestNamespace: namespaceName().meta({ description: 'Its namespace, which is that of the pod.' }),
  requestName: name().meta({ description: 'Its name.' }),
  podName: name().meta({ description: 'The pod.' }),
  podUID: uid().meta({ description: 'UID of the pod; another pod of the name is not meant.' }),
  containerNames: z
    .array(name())
    .max(16)
    .optional()
    .meta({ description: 'Containers; absent: every running regular and sidecar container.' }),
  timeoutSeconds: timeoutSeconds().meta({ description: 'For one container, seconds; 1 to 600.' }),
  onGhostLimit: z
    .enum(['RaiseOnce', 'Fail'])
    .optional()
    .meta({ description: 'What to do when a ghost file is over the limit.' }),
  skipChecks: skipChecks().optional().meta({ description: 'Checks before the dump that are left out.' }),
  startDeadline: timestamp().optional().meta({
    description: 'The node does not start it later than this, by its own clock; absent: no deadline.',
  }),
  policyName: name().optional().meta({
    description: 'The policy of the namespace whose schedule made the request; its retention counts.',
  }),
});
export type NodeOrder = z.output<typeof NodeOrderSchema>;

export const CheckpointNodeSpecSchema = z.object({
  orders: listMap(z.array(NodeOrderSchema).max(NODE_ORDERS_MAX), 'requestUID')
    .default([])
    .meta({ description: 'Checkpoints to take, at most 32.' }),
  deletions: listMap(
    z
      .array(z.object({ requestUID: uid().meta({ description: 'UID of the request that made them.' }) }))
      .max(NODE_DELETIONS_MAX),
    'requestUID',
  )
    .default([])
    .meta({ description: 'Requests whose archives are to be deleted, at most 256.' }),
  acknowledgedTriggers: listMap(
    z
      .array(
        z.object({
          podUID: uid().meta({ description: 'UID of the pod.' }),
          tokenHash: tokenHash().meta({ description: `The token that was heard: ${HASH_OF_TOKEN}.` }),
        }),
      )
      .max(NODE_TRIGGERS_MAX),
    'podUID',
    'tokenHash',
  )
    .default([])
    .meta({
      description:
        'Triggers of the status for which there is a request: the node need not report them again.',
    }),
});
export type CheckpointNodeSpec = z.output<typeof CheckpointNodeSpecSchema>;

export const FileFindingSchema = z.object({
  line: z.int().min(0).meta({ description: 'Line of the file, from 1; 0: the file as a whole.' }),
  code: z.string().max(63).meta({ description: 'What was found.' }),
  message: message().meta({ description: 'The same for people.' }),
});

export const FileReportSchema = z.object({
  path: z.string().max(4096).meta({ description: 'The CRIU file on the host.' }),
  state: reason().meta({
    description: 'A reason of the registry: InSync, ForeignLineInvalid, WriteFailed ...',
  }),
  verdict: z
    .enum(['Accepted', 'Refused'])
    .optional()
    .meta({ description: 'Whether CRIU takes the file; absent: it could not be read.' }),
  effectiveLimitBytes: bytes().meta({
    description:
      "The limit that the file gives CRIU now, bytes; CRIU's default where it sets none; 0 when CRIU refuses the file.",
  }),
  limitLine: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'The line of the file that sets it; absent: the file sets none.' }),
  desiredLimitBytes: bytes().meta({
    description: 'The limit that policies and settings ask for, bytes; 0: nobody asks.',
  }),
  decidedBy: name().optional().meta({
    description:
      'Who asks for it: "namespace/policy target", "baseGhostLimit", or the dump that is running; absent: nobody.',
  }),
  managed: z.boolean().meta({ description: 'Our block is in the file.' }),
  message: message().optional().meta({ description: 'What is wrong with the file, or worth knowing.' }),
  why: message().optional().meta({
    description: 'Who reads this file on this node, and why it is kept; absent: it is not kept.',
  }),
  findings: z
    .array(FileFindingSchema)
    .max(32)
    .meta({ description: 'What was found in the file, line by line.' }),
});
export type FileReport = z.output<typeof FileReportSchema>;

export const GhostFileReportSchema = z.object({
  path: z.string().max(4096).meta({ description: 'The file as its container sees it, escaped.' }),
  bytes: bytes().meta({ description: 'What it counts against the limit, bytes.' }),
  podName: name().optional().meta({ description: 'The pod that holds it.' }),
  containerName: name().optional().meta({ description: 'The container that holds it.' }),
  nodeName: name().optional().meta({ description: 'The node of the pod.' }),
});
export type GhostFileReport = z.output<typeof GhostFileReportSchema>;

export const TargetReportSchema = z.object({
  name: z.string().max(63).meta({ description: 'The target of the policy.' }),
  matchedPods: z.int().min(0).meta({ description: 'Pods of this node that match.' }),
  effectiveLimitBytes: bytes().meta({
    description: 'What this target asks of the node now, bytes; 0: no limit, options only.',
  }),
  requiredBytes: bytes().meta({
    description: 'The largest ghost file seen in a matching container, bytes; 0: none seen.',
  }),
  learnedLimitBytes: bytes().optional().meta({ description: 'Auto only: the limit learned here, bytes.' }),
  largestGhostFile: GhostFileReportSchema.optional().meta({
    description: 'The largest ghost file seen here.',
  }),
});
export type TargetReport = z.output<typeof TargetReportSchema>;

export const PolicyReportSchema = z.object({
  namespace: name().meta({ description: 'Namespace of the policy.' }),
  name: name().meta({ description: 'Name of the policy.' }),
  observedGeneration: z.int().min(0).meta({ description: 'Generation of the policy that this is about.' }),
  state: z.enum(['InForce', 'Audited', 'Held', 'Failing']).meta({
    description:
      'InForce: what it asks holds on this node. Audited: nothing is written for it. Held: in force only during our own checkpoints. Failing: see reason.',
  }),
  reason: reason().meta({ description: 'A reason of the registry.' }),
  message: message().optional().meta({ description: 'The same for people.' }),
  matchedPods: z.int().min(0).meta({ description: 'Pods of this node that match.' }),
  targets: listMap(z.array(TargetReportSchema).max(64), 'name').meta({ description: 'Target by target.' }),
});
export type PolicyReport = z.output<typeof PolicyReportSchema>;

export const RuntimeReportSchema = z.object({
  containerRuntime: z
    .string()
    .max(253)
    .meta({ description: 'Name and version, such as containerd://2.1.9.' }),
  ociRuntime: z.string().max(253).meta({ description: 'Name and version, such as runc 1.3.6.' }),
  criuVersion: z.string().max(63).meta({ description: 'Version of CRIU; empty: none found.' }),
  kernelVersion: z.string().max(253).meta({ description: 'Version of the kernel.' }),
});
export type RuntimeReport = z.output<typeof RuntimeReportSchema>;

/** A policy document that could not be used, or was refused as a whole. */
export const PolicyProblemSchema = z.object({
  origin: z.string().max(4096).meta({ description: 'The document or container it is about.' }),
  reason: reason().meta({ description: 'A reason of the registry.' }),
  message: message().meta({ description: 'What is wrong and what to do.' }),
});
export type PolicyProblem = z.output<typeof PolicyProblemSchema>;

const PlanSeenSchema = z.object({
  name: z.string().max(63).meta({ description: 'The CheckpointPlan.' }),
  generation: z.int().min(0).meta({ description: 'Its generation that the agent works by.' }),
});

const OrderReportSchema = z.object({
  requestUID: uid().meta({ description: 'The order of the spec.' }),
  state: z.enum(['Waiting', 'Running', 'Finished']).meta({ description: 'How far it is.' }),
  startTime: timestamp().optional().meta({ description: 'When the first container was started with.' }),
  completionTime: timestamp().optional().meta({ description: 'When the last container was done.' }),
  containers: listMap(z.array(ContainerResultSchema).max(64), 'name').meta({
    description: 'Results so far, one for each container.',
  }),
});
export type OrderReport = z.output<typeof OrderReportSchema>;

const TriggerSchema = z.object({
  podUID: uid().meta({ description: 'UID of the pod.' }),
  podName: name().meta({ description: 'The pod that has the annotation.' }),
  namespace: namespaceName().meta({ description: 'Its namespace.' }),
  tokenHash: tokenHash().meta({ description: `Stands for the token: ${HASH_OF_TOKEN}.` }),
});
export type NodeTrigger = z.output<typeof TriggerSchema>;

const DeletionReportSchema = z.object({
  requestUID: uid().meta({ description: 'The deletion of the spec.' }),
  state: z.enum(['Deleted', 'Kept', 'Failed']).meta({
    description:
      'Deleted: the node has no archive of the request (any more). Kept: a pin holds it. Failed: see message; tried again.',
  }),
  message: message().optional().meta({ description: 'What is kept, or why it failed.' }),
});
export type DeletionReport = z.output<typeof DeletionReportSchema>;

const StorageSchema = z.object({
  archives: z.int().min(0).meta({ description: 'Archives kept on the node.' }),
  bytes: bytes().meta({ description: 'What they take, bytes.' }),
  freeBytes: bytes().meta({ description: 'Free space where they are, bytes.' }),
});
export type NodeStorage = z.output<typeof StorageSchema>;

export const CheckpointNodeStatusSchema = z.object({
  observedGeneration: observedGeneration(),
  conditions: ConditionsSchema.meta({
    description:
      'Ready, ConfigInSync (the CRIU files), CheckpointReady (nothing known makes every checkpoint fail).',
  }),
  agentVersion: z.string().max(63).meta({ description: 'Version of the agent.' }),
  plans: listMap(z.array(PlanSeenSchema).max(16), 'name')
    .optional()
    .meta({ description: 'The plans that the agent works by.' }),
  runtime: RuntimeReportSchema.meta({ description: 'What runs containers here.' }),
  files: listMap(z.array(FileReportSchema).max(8), 'path').meta({
    description: 'The CRIU files of the node.',
  }),
  policies: listMap(z.array(PolicyReportSchema).max(64), 'namespace', 'name').meta({
    description: 'Policies that match a pod here, at most 64.',
  }),
  problems: z.array(PolicyProblemSchema).max(32).meta({ description: 'Problems that belong to no file.' }),
  orders: listMap(z.array(OrderReportSchema).max(NODE_ORDERS_MAX), 'requestUID')
    .optional()
    .meta({ description: 'What came of the orders; kept until the controller has taken it over.' }),
  deletions: listMap(z.array(DeletionReportSchema).max(NODE_DELETIONS_MAX), 'requestUID')
    .optional()
    .meta({ description: 'What came of the deletions; kept while they stand in the spec.' }),
  triggers: listMap(z.array(TriggerSchema).max(NODE_TRIGGERS_MAX), 'podUID', 'tokenHash')
    .optional()
    .meta({ description: 'Pods of this node that ask for a checkpoint by annotation, at most 64.' }),
  storage: StorageSchema.optional().meta({ description: 'The archives of the node.' }),
});
/** A whole report. What stands in the API may be less: a new object has only observedGeneration -1. */
export type CheckpointNodeStatus = z.output<typeof CheckpointNodeStatusSchema>;

/** The report of a node, from a machine that may be owned; null: none yet, or not of the agreed shape. */
export function readCheckpointNodeStatus(object: KubeObject): CheckpointNodeStatus | null {
  const status = withEmptiedLists(object['status'], ['files', 'policies', 'problems']);
  const read = readLeniently(CheckpointNodeStatusSchema, status);
  return read.ok ? read.value : null;
}

/** The order to a node; null: not of the agreed shape. */
export function readCheckpointNodeSpec(object: KubeObject): CheckpointNodeSpec | null {
  const read = readLeniently(CheckpointNodeSpecSchema, object['spec'] ?? {});
  return read.ok ? read.value : null;
}
