// A CheckpointRequest of the cluster as far as somebody who waits for it cares. Pure; what a newer version writes there is passed over.
import {
  readCheckpointRequestStatus,
  type CheckpointRequestStatus,
  type ContainerResult,
} from '../../api/checkpoint-request.ts';
import { ConditionsSchema, type Condition } from '../../api/condition.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { readLeniently } from '../../api/lenient.ts';

export interface RequestState {
  /** In a word or two: Waiting (nobody has looked yet), Queued (3), Running, Complete, Failed, Being deleted. */
  readonly summary: string;
  /** The condition that says that it is finished; null: it is not. */
  readonly outcome: Condition | null;
  /** A controller has looked at it. */
  readonly isTakenUp: boolean;
  readonly nodeName: string;
  /** What to do when it failed; empty: nobody says. */
  readonly hint: string;
  readonly containers: readonly ContainerResult[];
}

/** Never throws. */
export function readRequestState(object: KubeObject): RequestState {
  const status = readStatus(object);
  const { conditions = [], containers = [], nodeName = '', hint = '' } = status;
  const outcome = trueCondition(conditions, 'Complete') ?? trueCondition(conditions, 'Failed');
  return {
    summary: outcome?.type ?? waitingSummary(object, status),
    outcome,
    isTakenUp: conditions.length > 0 || (status.summary ?? '') !== '',
    nodeName,
    hint,
    containers,
  };
}

/** Where some of it is not of the agreed shape, the conditions alone: whether it is finished must not hang on the rest. */
function readStatus(object: KubeObject): CheckpointRequestStatus {
  const status = readCheckpointRequestStatus(object);
  if (status.conditions !== undefined) return status;
  const raw = object['status'] as { readonly conditions?: unknown } | null | undefined;
  const conditions = readLeniently(ConditionsSchema, raw?.conditions);
  return conditions.ok ? { ...status, conditions: conditions.value } : status;
}

function waitingSummary(
  object: KubeObject,
  { summary = '', conditions = [] }: CheckpointRequestStatus,
): string {
  if (object.metadata.deletionTimestamp !== undefined) return 'Being deleted';
  if (summary !== '') return summary;
  if (trueCondition(conditions, 'Running') !== null) return 'Running';
  return trueCondition(conditions, 'Accepted') === null ? 'Waiting' : 'Accepted';
}

function trueCondition(conditions: readonly Condition[], type: string): Condition | null {
  return conditions.find((condition) => condition.type === type && condition.status === 'True') ?? null;
}
