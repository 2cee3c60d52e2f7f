// A CheckpointRequest as the controller works with it: what was asked for, how far it is, and the times that follow from it. Pure.
import {
  readCheckpointRequestSpec,
  readCheckpointRequestStatus,
  type CheckpointRequestSpec,
  type CheckpointRequestStatus,
} from '../../api/checkpoint-request.ts';
import type { NodeOrder } from '../../api/checkpoint-node.ts';
import type { Condition } from '../../api/condition.ts';
import { printFieldProblem } from '../../api/field-problem.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { CLEANUP_FINALIZER, POLICY_LABEL, TRIGGER_LABEL } from '../../api/names.ts';

/** New: nobody has looked at it. Waiting: accepted, no container was started with. Finished: Complete or Failed, for good. */
export type RequestStage = 'New' | 'Waiting' | 'Running' | 'Finished';

export interface RequestFacts {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly deleting: boolean;
  /** When its deletion was asked for, milliseconds since 1970; 0: it was not. */
  readonly deletedAtMs: number;
  readonly finalizers: readonly string[];
  /** By its label; null: none. */
  readonly policyName: string | null;
  /** What made it, by its label: "schedule", "annotation"; null: a user. */
  readonly trigger: string | null;
  readonly spec: CheckpointRequestSpec | null;
  /** Why spec is null. */
  readonly specProblem: string;
  readonly status: CheckpointRequestStatus;
}

/** A node that did not report Running so long after the deadline, by our clock, has not started and will not: its clock may differ by less. */
export const WITHDRAW_GRACE_MS = 10_000;

export function readRequestFacts(object: KubeObject): RequestFacts {
  const { metadata } = object;
  const read = readCheckpointRequestSpec(object);
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    generation: metadata.generation ?? 0,
    createdAtMs: timeOf(metadata.creationTimestamp),
    deleting: metadata.deletionTimestamp !== undefined,
    deletedAtMs: timeOf(metadata.deletionTimestamp),
    finalizers: metadata.finalizers ?? [],
    policyName: labelOf(object, POLICY_LABEL),
    trigger: labelOf(object, TRIGGER_LABEL),
    spec: read.ok ? read.value : null,
    specProblem: read.ok ? '' : read.problems.map(printFieldProblem).join('; '),
    status: readCheckpointRequestStatus(object),
  };
}

/** 0: it is none. */
function timeOf(text = ''): number {
  return Date.parse(text) || 0;
}

function labelOf({ metadata }: KubeObject, label: string): string | null {
  return metadata.labels?.[label] ?? null;
}

export function conditionOf({ conditions }: CheckpointRequestStatus, type: string): Condition | null {
  return conditions?.find((condition) => condition.type === type) ?? null;
}

function holds(status: CheckpointRequestStatus, type: string): boolean {
  return conditionOf(status, type)?.status === 'True';
}

export function stageOf({ status }: Pick<RequestFacts, 'status'>): RequestStage {
  if (holds(status, 'Complete') || holds(status, 'Failed')) return 'Finished';
  if (holds(status, 'Running')) return 'Running';
  return holds(status, 'Accepted') ? 'Waiting' : 'New';
}

/** The runtime may have been called for it: there may be archives. */
export function wasStarted({ status }: Pick<RequestFacts, 'status'>): boolean {
  return status.startTime !== undefined;
}

export function hasCleanup({ finalizers }: Pick<RequestFacts, 'finalizers'>): boolean {
  return finalizers.includes(CLEANUP_FINALIZER);
}

/** Milliseconds since 1970 after which no node may start it. */
export function startDeadlineMs({ createdAtMs, spec }: Pick<RequestFacts, 'createdAtMs' | 'spec'>): number {
  return createdAtMs + (spec?.startDeadlineSeconds ?? 0) * 1000;
}

/** The finalizer that its archives are deleted by has to be there before the first of them. */
export function lacksCleanup({ spec, finalizers }: Pick<RequestFacts, 'spec' | 'finalizers'>): boolean {
  return spec?.archivePolicy === 'Delete' && !finalizers.includes(CLEANUP_FINALIZER);
}

/** "namespace/policy"; null: it belongs to none. */
export function policyKeyOf({
  namespace,
  policyName,
}: Pick<RequestFacts, 'namespace' | 'policyName'>): string | null {
  return policyName === null ? null : `${namespace}/${policyName}`;
}

/** The order that stands for an accepted request; the same whenever it is made, as a request is never ordered as anything else. */
export function orderOf(facts: RequestFacts): NodeOrder | null {
  const { spec, status, policyName } = facts;
  if (spec === null || status.podUID === undefined) return null;
  const { podName, containerNames, timeoutSeconds, onGhostLimit, skipChecks } = spec;
  return {
    requestUID: facts.uid,
    requestNamespace: facts.namespace,
    requestName: facts.name,
    podName,
    podUID: status.podUID,
    ...(containerNames !== undefined && { containerNames }),
    timeoutSeconds,
    ...(onGhostLimit !== undefined && { onGhostLimit }),
    ...(skipChecks !== undefined && { skipChecks }),
    startDeadline: rfc3339(startDeadlineMs(facts)),
    ...(policyName !== null && policyName !== '' && { policyName }),
  };
}

/** Whole seconds, as the API writes times. */
export function rfc3339(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
