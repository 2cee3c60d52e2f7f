// The CheckpointRequests of a schedule: what is asked for one pod, and what is read of those that are there. Pure.
import {
  readCheckpointRequestStatus,
  type CheckpointRequestSpec,
  type ContainerResult,
} from '../../api/checkpoint-request.ts';
import type { Condition } from '../../api/condition.ts';
import { apiVersionOf, type KubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../api/kube-resources.ts';
import { GROUP, POLICY_LABEL, TRIGGER_LABEL } from '../../api/names.ts';
import type { ScheduleTimes } from './due-round.ts';

/** When the round of a request was due, RFC 3339. */
export const SCHEDULE_TIME_ANNOTATION = `${GROUP}/schedule-time`;
/** Value of the trigger label. */
export const SCHEDULE_TRIGGER = 'schedule';
/** A big round may wait for hours behind maxConcurrent; the most that the kind allows, seconds. */
const START_DEADLINE_SECONDS = 86_400;
/** The least and the most that a finished request stays for, seconds: a week, ten years. */
const TTL_SECONDS = { least: 604_800, most: 315_360_000 };
const MAX_CONTAINER_NAMES = 16;

export interface RequestWanted {
  readonly namespace: string;
  readonly name: string;
  readonly policyName: string;
  readonly scheduleTime: string;
  readonly podName: string;
  readonly podUID: string;
  /** null: every running regular and sidecar container. */
  readonly containerNames: readonly string[] | null;
  readonly timeoutSeconds: number;
  readonly ttlSeconds: number;
}

/** No owner: the archives outlive the policy. Retain: neither the history nor anybody who tidies up deletes an archive by it. */
export function scheduledRequest(wanted: RequestWanted): KubeObject {
  const { namespace, name, podName, podUID, containerNames, timeoutSeconds } = wanted;
  const spec: Partial<CheckpointRequestSpec> = {
    podName,
    podUID,
    ...(containerNames !== null && { containerNames: containerNames.slice(0, MAX_CONTAINER_NAMES) }),
    timeoutSeconds,
    startDeadlineSeconds: START_DEADLINE_SECONDS,
    ttlSecondsAfterFinished: wanted.ttlSeconds,
    archivePolicy: 'Retain',
  };
  return {
    apiVersion: apiVersionOf(CHECKPOINT_REQUESTS),
    kind: CHECKPOINT_REQUESTS.kind,
    metadata: {
      name,
      namespace,
      labels: { [POLICY_LABEL]: wanted.policyName, [TRIGGER_LABEL]: SCHEDULE_TRIGGER },
      annotations: { [SCHEDULE_TIME_ANNOTATION]: wanted.scheduleTime },
    },
    spec,
  };
}

/** Longer than the history of a living pod reaches back, so that the limit governs it; what dead pods left goes by this, seconds. */
export function historyTtlSeconds(times: ScheduleTimes, dueMs: number, historyLimit: number): number {
  let at: number | null = dueMs;
  for (let round = 0; round < historyLimit + 2 && at !== null; round += 1) at = times.next(at);
  if (at === null) return TTL_SECONDS.most;
  return Math.min(TTL_SECONDS.most, Math.max(TTL_SECONDS.least, Math.ceil((at - dueMs) / 1000)));
}

export interface ScheduledRequest {
  readonly name: string;
  readonly uid: string;
  readonly podUID: string;
  /** RFC 3339; empty: not said. */
  readonly scheduleTime: string;
  /** null: not finished. */
  readonly result: RequestResult | null;
}

export interface RequestResult {
  readonly succeeded: number;
  readonly failed: number;
  /** RFC 3339; null: not said. */
  readonly completedAt: string | null;
  /** The first container that failed, in words; null: none. */
  readonly failure: string | null;
}

/** null: it was not made by a schedule. */
export function readScheduledRequest(object: KubeObject): ScheduledRequest | null {
  const { name, uid = '', labels, annotations } = object.metadata;
  if (labels?.[TRIGGER_LABEL] !== SCHEDULE_TRIGGER) return null;
  const spec = (object['spec'] ?? {}) as Partial<CheckpointRequestSpec>;
  const scheduleTime = annotations?.[SCHEDULE_TIME_ANNOTATION] ?? '';
  return { name, uid, podUID: spec.podUID ?? '', scheduleTime, result: resultOf(object, spec) };
}

function resultOf(object: KubeObject, spec: Partial<CheckpointRequestSpec>): RequestResult | null {
  const { conditions = [], containers = [], completionTime } = readCheckpointRequestStatus(object);
  const end = conditions.find(isEnd);
  if (end === undefined) return null;
  const bad = containers.filter(({ result }) => result !== 'Succeeded');
  const failed = bad.length + (containers.length === 0 ? refusedCount(end, spec) : 0);
  const failure = failed === 0 ? null : failureText(spec.podName ?? '', bad[0] ?? null, end);
  return {
    succeeded: containers.length - bad.length,
    failed,
    completedAt: completionTime ?? null,
    failure,
  };
}

/** Of containers, where the request failed before any was looked at. */
function refusedCount({ type }: Condition, { containerNames }: Partial<CheckpointRequestSpec>): number {
  return type === 'Failed' ? (containerNames?.length ?? 1) : 0;
}

function isEnd({ type, status }: Condition): boolean {
  return status === 'True' && (type === 'Complete' || type === 'Failed');
}

/** `container`: the first that failed; null: the request as a whole did. */
function failureText(podName: string, container: ContainerResult | null, end: Condition): string {
  if (container === null) return `${podName}: ${end.reason}: ${end.message}`;
  const { name, result, reason = result, message } = container;
  return `${podName}/${name}: ${reason}${message === undefined ? '' : `: ${message}`}`;
}
