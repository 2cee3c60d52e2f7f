// The status of a request in each of its states: conditions, summary, times. Pure; decides nothing.
import type { CheckpointRequestStatus, ContainerResult } from '../../api/checkpoint-request.ts';
import { carryTransitionTimes, type Condition } from '../../api/condition.ts';
import { CLEANUP_FINALIZER } from '../../api/names.ts';
import { isReasonCode, REASONS, type ReasonCode } from '../../api/reasons.ts';
import { shownPosition } from './request-queue.ts';
import { rfc3339, stageOf, type RequestFacts } from './request-facts.ts';
import type { TakenOver } from './take-over-result.ts';
import type { Refusal } from './validate-request.ts';

type Wanted = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;
type Facts = Pick<RequestFacts, 'generation' | 'status' | 'spec'>;

export interface Place {
  readonly nodeName: string;
  readonly podUID: string;
}

export function waitingStatus(
  facts: Facts,
  { nodeName, podUID }: Place,
  position: number,
  nowMs: number,
): CheckpointRequestStatus {
  const shown = shownPosition(position);
  return {
    ...stamped(facts, nowMs, [ACCEPTED, reconciling('Queued', 'waits for its turn on its node')]),
    summary: `Queued (${shown === position ? '' : '~'}${shown})`,
    nodeName,
    podUID,
    queuePosition: shown,
  };
}

export function runningStatus(
  facts: Facts,
  startTime: string,
  containers: readonly ContainerResult[],
  nowMs: number,
): CheckpointRequestStatus {
  const message = 'the node takes the checkpoint';
  const running: Wanted = { type: 'Running', status: 'True', reason: 'CheckpointRunning', message };
  return {
    ...stamped(facts, nowMs, [ACCEPTED, running, reconciling('CheckpointRunning', message)]),
    summary: 'Running',
    ...placeOf(facts),
    startTime: facts.status.startTime ?? startTime,
    ...(containers.length > 0 && { containers: [...containers] }),
  };
}

/** Complete when every container succeeded and there is one; else Failed with the first other one's reason. */
export function finishedStatus(facts: Facts, result: TakenOver, nowMs: number): CheckpointRequestStatus {
  const failed = result.containers.filter((container) => container.result !== 'Succeeded');
  const [first] = failed;
  const isComplete = first === undefined && result.containers.length > 0;
  const startTime = facts.status.startTime ?? result.startTime;
  const outcome = isComplete ? complete(result.containers) : failureOf(first, failed, result.containers);
  return {
    ...stamped(facts, nowMs, [ACCEPTED, ...outcome]),
    summary: isComplete ? 'Complete' : 'Failed',
    ...placeOf(facts),
    ...(startTime !== null && { startTime }),
    completionTime: result.completionTime,
    ...(!isComplete && { hint: hintOf(first) }),
    ...(result.durationSeconds !== null && { durationSeconds: result.durationSeconds }),
    ...(result.containers.length > 0 && { containers: [...result.containers] }),
  };
}

/** Failed without a word of the node. `containers`: what is known of them by now. */
export function refusedStatus(
  facts: Facts,
  { reason, message }: Refusal,
  nowMs: number,
  { place = null, containers = [] }: { place?: Place | null; containers?: readonly ContainerResult[] } = {},
): CheckpointRequestStatus {
  const isNew = stageOf(facts) === 'New';
  const said = bounded(message);
  const accepted: Wanted = isNew ? { type: 'Accepted', status: 'False', reason, message: said } : ACCEPTED;
  const { startTime } = facts.status;
  return {
    ...stamped(facts, nowMs, [accepted, ...failure(reason, said)]),
    summary: 'Failed',
    ...placeOf(facts),
    ...place,
    ...(startTime !== undefined && { startTime }),
    completionTime: rfc3339(nowMs),
    hint: REASONS[reason].remedy,
    ...(containers.length > 0 && { containers: [...containers] }),
  };
}

/** Finished and deleted, and still there: why, and how it goes. In the status, as a namespace that is being deleted takes no events. */
export function heldUpStatus(
  facts: Facts & Pick<RequestFacts, 'namespace' | 'name' | 'finalizers'>,
  nowMs: number,
): CheckpointRequestStatus {
  const { namespace, name, finalizers, generation, status } = facts;
  const others = finalizers.filter((finalizer) => finalizer !== CLEANUP_FINALIZER);
  const patch = JSON.stringify({ metadata: { finalizers: others } });
  const message = `the deletion waits for the node ${status.nodeName ?? ''} to delete the archives: bring the node back, delete the Node object if it never returns, or leave the archives there: kubectl patch checkpointrequest ${name} -n ${namespace} --type=merge -p '${patch}'`;
  const waits = {
    ...reconciling('ArchiveDeletionWaits', bounded(message)),
    observedGeneration: generation,
    lastTransitionTime: rfc3339(nowMs),
  };
  const before = status.conditions ?? [];
  const known = before.find(({ type, reason }) => type === waits.type && reason === waits.reason);
  return { ...status, conditions: [...before.filter(({ type }) => type !== waits.type), known ?? waits] };
}

const ACCEPTED: Wanted = {
  type: 'Accepted',
  status: 'True',
  reason: 'Queued',
  message: 'the pod and its containers are there, and an agent serves their node',
};

function reconciling(reason: ReasonCode, message: string): Wanted {
  return { type: 'Reconciling', status: 'True', reason, message };
}

function complete(containers: readonly ContainerResult[]): Wanted[] {
  const message =
    containers.length === 1
      ? 'the container was checkpointed and runs on'
      : `${containers.length} containers were checkpointed and run on`;
  return [{ type: 'Complete', status: 'True', reason: 'Checkpointed', message }];
}

function failureOf(
  first: ContainerResult | undefined,
  failed: readonly ContainerResult[],
  all: readonly ContainerResult[],
): Wanted[] {
  if (first === undefined) return failure('Unclassified', 'the node reports the end without a container');
  const { name, reason = 'Unclassified', message = '', result } = first;
  const count = all.length === 1 ? '' : ` (${failed.length} of ${all.length} containers)`;
  return failure(reasonOf(reason), bounded(`${name}: ${message === '' ? result : message}${count}`));
}

function reasonOf(text: string): ReasonCode {
  return isReasonCode(text) ? text : 'Unclassified';
}

/** undefined: no container was told of. */
function hintOf({ hint, reason = '' }: Partial<ContainerResult> = {}): string {
  return hint ?? REASONS[reasonOf(reason)].remedy;
}

function failure(reason: ReasonCode, message: string): Wanted[] {
  return [
    { type: 'Failed', status: 'True', reason, message },
    { type: 'Stalled', status: 'True', reason, message },
  ];
}

function bounded(message: string): string {
  return message.length <= 1024 ? message : `${message.slice(0, 1023)}…`;
}

function placeOf({ status: { nodeName, podUID } }: Facts): Partial<Place> {
  return { ...(nodeName !== undefined && { nodeName }), ...(podUID !== undefined && { podUID }) };
}

function stamped(
  { generation, status }: Facts,
  nowMs: number,
  wanted: readonly Wanted[],
): Required<Pick<CheckpointRequestStatus, 'observedGeneration' | 'conditions'>> {
  const conditions = wanted.map((condition) => ({ ...condition, observedGeneration: generation }));
  return {
    observedGeneration: generation,
    conditions: carryTransitionTimes(status.conditions ?? [], conditions, rfc3339(nowMs)),
  };
}
