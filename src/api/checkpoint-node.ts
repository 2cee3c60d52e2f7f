// The report of one node: the status of the kind CheckpointNode. The agent alone writes it; standalone it is the status file.
import { z } from 'zod';
import { ConditionSchema } from './condition.ts';

const bytes = z.int().min(0);
const name = z.string().max(253);
const message = z.string().max(1024);
const reason = z.string().max(63);

export const FileFindingSchema = z.object({ line: z.int().min(0), code: z.string().max(63), message });

export const FileReportSchema = z.object({
  path: z.string().max(4096),
  /** A reason of the registry: InSync, ForeignLineInvalid, WriteFailed ... */
  state: reason,
  /** Whether CRIU takes the file; absent: it could not be read. */
  verdict: z.enum(['Accepted', 'Refused']).optional(),
  /** The limit that the file gives CRIU now; CRIU's default where it sets none; 0 when CRIU refuses the file. */
  effectiveLimitBytes: bytes,
  /** The line of the file that sets it; absent: the file sets none. */
  limitLine: z.int().min(1).optional(),
  /** The limit that policies and settings ask for; 0: nobody asks. */
  desiredLimitBytes: bytes,
  /** Who asks for it: "namespace/policy target", "baseGhostLimit", or the dump that is running; absent: nobody. */
  decidedBy: z.string().max(253).optional(),
  /** Our block is in the file. */
  managed: z.boolean(),
  message: message.optional(),
  /** Who reads this file on this node, and why it is kept; absent: it is not kept. */
  why: message.optional(),
  findings: z.array(FileFindingSchema).max(32),
});
export type FileReport = z.output<typeof FileReportSchema>;

export const GhostFileReportSchema = z.object({
  path: z.string().max(4096),
  bytes,
  podName: name.optional(),
  containerName: name.optional(),
  nodeName: name.optional(),
});

export const TargetReportSchema = z.object({
  name: z.string().max(63),
  matchedPods: z.int().min(0),
  /** What this target asks of the node now; 0: no limit, options only. */
  effectiveLimitBytes: bytes,
  /** The largest ghost file seen in a matching container; 0: none seen. */
  requiredBytes: bytes,
  learnedLimitBytes: bytes.optional(),
  largestGhostFile: GhostFileReportSchema.optional(),
});
export type TargetReport = z.output<typeof TargetReportSchema>;

export const PolicyReportSchema = z.object({
  namespace: name,
  name,
  observedGeneration: z.int().min(0),
  /** InForce: what it asks holds on this node. Audited: nothing is written for it. Held: in force only during our own checkpoints. Failing: see reason. */
  state: z.enum(['InForce', 'Audited', 'Held', 'Failing']),
  reason,
  message: message.optional(),
  matchedPods: z.int().min(0),
  targets: z.array(TargetReportSchema).max(64),
});
export type PolicyReport = z.output<typeof PolicyReportSchema>;

export const RuntimeReportSchema = z.object({
  containerRuntime: z.string().max(253),
  ociRuntime: z.string().max(253),
  criuVersion: z.string().max(63),
  kernelVersion: z.string().max(253),
});
export type RuntimeReport = z.output<typeof RuntimeReportSchema>;

/** A policy document that could not be used, or was refused as a whole. */
export const PolicyProblemSchema = z.object({ origin: z.string().max(4096), reason, message });
export type PolicyProblem = z.output<typeof PolicyProblemSchema>;

export const CheckpointNodeStatusSchema = z.object({
  observedGeneration: z.int().min(-1),
  conditions: z.array(ConditionSchema).max(16),
  agentVersion: z.string().max(63),
  runtime: RuntimeReportSchema,
  files: z.array(FileReportSchema).max(8),
  policies: z.array(PolicyReportSchema).max(64),
  problems: z.array(PolicyProblemSchema).max(32),
});
export type CheckpointNodeStatus = z.output<typeof CheckpointNodeStatusSchema>;
