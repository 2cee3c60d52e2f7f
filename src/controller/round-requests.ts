// Makes the CheckpointRequests of the round under way, some at a time, and never two for one pod. Writes nothing else.
import { createHash } from 'node:crypto';
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { CHECKPOINT_REQUESTS } from '../api/kube-resources.ts';
import {
  historyTtlSeconds,
  scheduledRequest,
  type ScheduledRequest,
} from '../domain/schedule/scheduled-request.ts';
import type { ScheduleTimes } from '../domain/schedule/due-round.ts';
import type { ScheduleSpec } from '../domain/schedule/schedule-refusal.ts';
import { spreadOverNodes, type PlacedPod } from '../domain/schedule/spread-over-nodes.ts';
import type { Clock } from '../ports/clock.ts';
import { KubeApiError, type KubeApi } from '../ports/kube-api.ts';
import { listPolicyPods, type PolicyPod } from './policy-pods.ts';

/** Unfinished requests of one policy at a time: a namespace may have a thousand that wait, for all of its policies. */
export const ROUND_UNFINISHED = 100;
/** More are made when so few are left, as each time means a list of the pods. */
const REFILL_BELOW = ROUND_UNFINISHED / 2;
/** A request that was made and is not in the cache after so long, milliseconds, was deleted by somebody. */
const UNSEEN_MS = 60_000;

/** What this process knows of a round; lost with it, and found again by the requests' names. */
export interface RoundProgress {
  /** RFC 3339. */
  readonly scheduleTime: string;
  /** UIDs of pods that have their request, whatever became of it since. */
  readonly asked: Set<string>;
  /** Names of requests that the cache has not shown yet → when they were made, monotonic milliseconds. */
  readonly unseen: Map<string, number>;
  /** Every pod has its request. */
  isWhole: boolean;
}

export interface Round {
  readonly policyUid: string;
  readonly planned: PlanPolicy;
  readonly spec: ScheduleSpec;
  readonly times: ScheduleTimes;
  /** RFC 3339. */
  readonly startTime: string;
  readonly progress: RoundProgress;
}

export interface RoundParts {
  readonly kube: KubeApi;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export function newProgress(scheduleTime: string): RoundProgress {
  return { scheduleTime, asked: new Set(), unseen: new Map(), isWhole: false };
}

/** Takes in what the cache shows. `requests` are all of the policy's schedule. */
export function observeRound(
  progress: RoundProgress,
  requests: readonly ScheduledRequest[],
  clock: RoundParts['clock'],
): { readonly unfinished: number; readonly isFinished: boolean } {
  const own = requests.filter(({ scheduleTime }) => scheduleTime === progress.scheduleTime);
  for (const { podUID } of own) progress.asked.add(podUID);
  for (const { name } of requests) progress.unseen.delete(name);
  for (const [name, sinceMs] of progress.unseen)
    if (clock.monotonicMs() - sinceMs > UNSEEN_MS) progress.unseen.delete(name);
  const count = (some: readonly ScheduledRequest[]): number =>
    some.filter(({ result }) => result === null).length + progress.unseen.size;
  return { unfinished: count(requests), isFinished: progress.isWhole && count(own) === 0 };
}

/** Makes the next requests of the round, as far as there is room. After a crash or beside another leader their names are the same, so none is made twice. */
export async function makeRequests(
  round: Round,
  unfinished: number,
  { kube, clock }: RoundParts,
  signal: AbortSignal,
): Promise<number> {
  const { progress, planned } = round;
  if (progress.isWhole || unfinished > REFILL_BELOW) return 0;
  const pods = (await listPolicyPods(planned, { kube, signal })).filter((pod) => isInRound(pod, round));
  const now = spreadOverNodes(pods, placeOf).slice(0, ROUND_UNFINISHED - unfinished);
  const ttlSeconds = historyTtlSeconds(
    round.times,
    Date.parse(progress.scheduleTime),
    round.spec.historyLimit,
  );
  for (const pod of now) {
    const request = requestFor(pod, round, ttlSeconds);
    await createOnce(kube, request, signal);
    progress.asked.add(pod.view.metadata.uid);
    progress.unseen.set(request.metadata.name, clock.monotonicMs());
  }
  progress.isWhole = now.length === pods.length;
  return now.length;
}

function placeOf({ view: { metadata, spec } }: PolicyPod): PlacedPod {
  return { nodeName: spec.nodeName, podName: metadata.name };
}

/** Running pods that were there when the round began. */
function isInRound({ object, view }: PolicyPod, { startTime, progress }: Round): boolean {
  const { creationTimestamp, deletionTimestamp } = object.metadata;
  if (view.status.phase !== 'Running' || deletionTimestamp !== undefined) return false;
  if (creationTimestamp !== undefined && Date.parse(creationTimestamp) > Date.parse(startTime)) return false;
  return !progress.asked.has(view.metadata.uid);
}

type NewRequest = ReturnType<typeof scheduledRequest>;

function requestFor(
  { view, containerNames, isWhole }: PolicyPod,
  round: Round,
  ttlSeconds: number,
): NewRequest {
  const { planned, spec, policyUid, progress } = round;
  const { name: podName, uid: podUID } = view.metadata;
  return scheduledRequest({
    namespace: planned.namespace,
    name: requestName(planned.name, [policyUid, podUID, progress.scheduleTime]),
    policyName: planned.name,
    scheduleTime: progress.scheduleTime,
    podName,
    podUID,
    containerNames: isWhole ? null : containerNames,
    timeoutSeconds: spec.timeoutSeconds,
    ttlSeconds,
  });
}

function requestName(policyName: string, identity: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  return `${policyName}-${hash.slice(0, 20)}`;
}

async function createOnce(kube: KubeApi, request: NewRequest, signal: AbortSignal): Promise<void> {
  try {
    await kube.create(CHECKPOINT_REQUESTS, request, signal);
  } catch (error) {
    if (!(error instanceof KubeApiError && error.reason === 'AlreadyExists')) throw error;
  }
}
