// The kind CheckpointRequest as far as one node fills it in: one checkpoint asked for, and what came of it.
import { z } from 'zod';
import { ConditionSchema } from './condition.ts';
import { API_VERSION } from './names.ts';

export const ContainerResultSchema = z.object({
  name: z.string().max(253),
  result: z.enum(['Succeeded', 'Failed', 'Skipped', 'Unknown']),
  /** From the registry; absent when Succeeded. */
  reason: z.string().max(63).optional(),
  message: z.string().max(2048).optional(),
  hint: z.string().max(2048).optional(),
  durationSeconds: z.number().min(0).optional(),
  archive: z
    .object({ path: z.string().max(4096), sizeBytes: z.int().min(0), createdTime: z.string().max(40) })
    .optional(),
  ghostFile: z.object({ path: z.string().max(4096), bytes: z.int().min(0) }).optional(),
  /** The smallest ghost-limit with which no ghost file of the container is refused, from a scan; the log names only the first file. */
  requiredGhostLimitBytes: z.int().min(0).optional(),
  attempts: z.int().min(0),
});
export type ContainerResult = z.output<typeof ContainerResultSchema>;

export const CheckpointRequestSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('CheckpointRequest'),
  metadata: z.object({ name: z.string().max(253), namespace: z.string().max(63) }),
  spec: z.object({
    podName: z.string().max(253),
    containerNames: z.array(z.string().max(253)).max(16).optional(),
    timeoutSeconds: z.int().min(1).max(600),
    onGhostLimit: z.enum(['RaiseOnce', 'Fail']).optional(),
  }),
  status: z.object({
    conditions: z.array(ConditionSchema).max(16),
    nodeName: z.string().max(253),
    startTime: z.string().max(40),
    completionTime: z.string().max(40),
    containers: z.array(ContainerResultSchema).max(64),
  }),
});
export type CheckpointRequest = z.output<typeof CheckpointRequestSchema>;
