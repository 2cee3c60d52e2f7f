// The kind CheckpointRequest: one checkpoint asked for, and what came of it. `ghostlimit checkpoint -o json` prints it filled in for one host.
import { z } from 'zod';
import { ConditionsSchema, observedGeneration } from './condition.ts';
import { timestamp, uniqueBy } from './field-shapes.ts';
import { listMap, listSet, withRules } from './kube-marks.ts';
import type { KubeObject } from './kube-object.ts';
import { readLeniently, type Read } from './lenient.ts';
import { API_VERSION } from './names.ts';

export const SKIPPABLE_CHECKS = ['FreeSpace', 'PredictedPause'] as const;
export type SkippableCheck = (typeof SKIPPABLE_CHECKS)[number];

/** What to do about a ghost file over the limit. */
export type OnGhostLimit = 'RaiseOnce' | 'Fail';

/** For one container, seconds. */
export const timeoutSeconds = () => z.int().min(1).max(600);
export const skipChecks = () =>
  listSet(
    z
      .array(z.enum(SKIPPABLE_CHECKS))
      .max(SKIPPABLE_CHECKS.length)
      .superRefine(uniqueBy((name) => name, 'the check')),
  );

const specFields = {
  podName: z.string().min(1).max(253).meta({ description: 'The pod, of the same namespace.' }),
  podUID: z.string().max(63).optional().meta({
    description: 'UID of the pod; absent: whichever pod has the name. Names of StatefulSets recur.',
  }),
  containerNames: z.array(z.string().min(1).max(253)).min(1).max(16).optional().meta({
    description:
      'Containers, 1 to 16; default: every running regular and sidecar container, one after the other.',
  }),
  timeoutSeconds: timeoutSeconds()
    .default(120)
    .meta({ description: 'For one container, seconds; 1 to 600, default 120.' }),
  startDeadlineSeconds: z.int().min(1).max(86_400).default(600).meta({
    description: 'Not started by then, it fails with DeadlineExceeded; seconds, 1 to 86400, default 600.',
  }),
  onGhostLimit: z.enum(['RaiseOnce', 'Fail']).optional().meta({
    description:
      "A ghost file over the limit: RaiseOnce raises the limit to what the scan asks, within the target's maximum, and tries once more; Fail does not. Default: RaiseOnce where an auto target matches, else Fail.",
  }),
  skipChecks: skipChecks().optional().meta({
    description:
      'Checks before the dump that are left out, as they are estimates: FreeSpace, PredictedPause.',
  }),
  ttlSecondsAfterFinished: z.int().min(0).max(315_360_000).default(604_800).meta({
    description: 'The request goes so long after it finished, seconds; default 604800. Archives stay.',
  }),
  archivePolicy: z.enum(['Delete', 'Retain']).default('Delete').meta({
    description: 'What happens to the archives when a user deletes the request; default Delete.',
  }),
};

export const CheckpointRequestSpecSchema = withRules(z.strictObject(specFields), {
  rule: 'self == oldSelf',
  message: 'is immutable: create another CheckpointRequest',
});
export type CheckpointRequestSpec = z.output<typeof CheckpointRequestSpecSchema>;

export const ContainerResultSchema = z.object({
  name: z.string().max(253).meta({ description: 'The container.' }),
  result: z.enum(['Succeeded', 'Failed', 'Skipped', 'Unknown']).meta({ description: 'What came of it.' }),
  reason: z
    .string()
    .max(63)
    .optional()
    .meta({ description: 'A reason of the registry; absent when Succeeded.' }),
  message: z.string().max(2048).optional().meta({
    description: 'What happened, in one or two sentences, with the file and the number.',
  }),
  hint: z.string().max(2048).optional().meta({ description: 'What to do.' }),
  durationSeconds: z.number().min(0).optional().meta({ description: 'How long the runtime took, seconds.' }),
  archive: z
    .object({
      path: z.string().max(4096).meta({ description: 'The archive on the node.' }),
      sizeBytes: z.int().min(0).meta({ description: 'Its size, bytes.' }),
      createdTime: timestamp().meta({ description: 'When it was made.' }),
    })
    .optional()
    .meta({ description: 'The checkpoint.' }),
  ghostFile: z
    .object({
      path: z.string().max(4096).meta({ description: 'The file as the container sees it, escaped.' }),
      bytes: z.int().min(0).meta({ description: 'What it counts against the limit, bytes.' }),
    })
    .optional()
    .meta({ description: 'The ghost file that was over the limit.' }),
  requiredGhostLimitBytes: z.int().min(0).optional().meta({
    description:
      'The smallest ghost-limit with which no ghost file of the container is refused, bytes, from a scan; the log names only the first file.',
  }),
  attempts: z.int().min(0).meta({ description: 'How often the runtime was called.' }),
});
export type ContainerResult = z.output<typeof ContainerResultSchema>;

const statusFields = {
  observedGeneration: observedGeneration(),
  conditions: ConditionsSchema.meta({
    description:
      'Complete, or Failed when any container did not succeed; before that Accepted and Running. For kstatus Reconciling until finished, Stalled when failed.',
  }),
  summary: z.string().max(63).meta({
    description: 'The state in a word or two, for the column Status: Complete, Failed, Running, Queued (3).',
  }),
  nodeName: z.string().max(253).meta({ description: 'The node of the pod.' }),
  podUID: z.string().max(63).meta({ description: 'UID of the pod that was meant.' }),
  queuePosition: z.int().min(0).meta({ description: 'While it waits: how many are before it, and itself.' }),
  startTime: timestamp().meta({ description: 'When the first container was started with.' }),
  hint: z.string().max(2048).meta({
    description:
      'What to do, when it failed: that of the first container that did not succeed, else that of the reason.',
  }),
  completionTime: timestamp().meta({ description: 'When the last container was done.' }),
  durationSeconds: z
    .number()
    .min(0)
    .meta({ description: 'How long the runtime took for all containers, seconds.' }),
  containers: listMap(z.array(ContainerResultSchema).max(64), 'name').meta({
    description: 'What came of each container.',
  }),
};

/** As it may stand in the API: nothing of it but observedGeneration is there from the beginning. */
export const CheckpointRequestStatusSchema = z.object(statusFields).partial();
export type CheckpointRequestStatus = z.output<typeof CheckpointRequestStatusSchema>;

/** A request that is through on one host, as the command line prints it. */
export const CheckpointRequestSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('CheckpointRequest'),
  metadata: z.object({ name: z.string().max(253), namespace: z.string().max(63) }),
  spec: z.object(specFields).partial().required({ podName: true, timeoutSeconds: true }),
  status: z.object(statusFields).partial().required({
    conditions: true,
    nodeName: true,
    startTime: true,
    completionTime: true,
    containers: true,
  }),
});
export type CheckpointRequest = z.output<typeof CheckpointRequestSchema>;

/** What is asked for, with the defaults filled in; fields of a newer version are ignored. Never throws. */
export function readCheckpointRequestSpec(object: KubeObject): Read<CheckpointRequestSpec> {
  return readLeniently(CheckpointRequestSpecSchema, object['spec']);
}

/** What stands there of the outcome; empty: nothing, or not of the agreed shape. */
export function readCheckpointRequestStatus(object: KubeObject): CheckpointRequestStatus {
  const read = readLeniently(CheckpointRequestStatusSchema, object['status'] ?? {});
  return read.ok ? read.value : {};
}
