// What is to be done about one request now: its status, its finalizer, its end. The whole state machine, pure; New → Waiting → Running → Finished, and never back.
import type { DeletionReport, OrderReport } from '../../api/checkpoint-node.ts';
import type { CheckpointRequestStatus, ContainerResult } from '../../api/checkpoint-request.ts';
import {
  conditionOf,
  hasCleanup,
  lacksCleanup,
  stageOf,
  startDeadlineMs,
  wasStarted,
  WITHDRAW_GRACE_MS,
  type RequestFacts,
} from './request-facts.ts';
import {
  finishedStatus,
  heldUpStatus,
  refusedStatus,
  runningStatus,
  waitingStatus,
} from './request-status.ts';
import { startTimeOf, takeOver } from './take-over-result.ts';
import {
  deadlineExceeded,
  isMeantByDefault,
  refusalOf,
  type Admission,
  type Refusal,
} from './validate-request.ts';

/** How often what is shown of the queue is looked at, milliseconds; changes of its own wake a request at once. */
export const POSITION_MS = 10_000;
/** While an order is withdrawn, or archives are deleted. */
const HANDOVER_MS = 2_000;
const DELETION_MS = 60_000;
/** Archives are deleted within seconds: a request that waits longer for it is told of, milliseconds. */
const DELETION_PATIENCE_MS = 60_000;
/** A silent node has so long beyond the time-outs of its containers, milliseconds. */
const SILENT_GRACE_MS = 60_000;
/** An agent that answers may wait for another dump, and may try twice: it is given up only after so many times as long. */
const LIVE_FACTOR = 3;
/** Of a request that cannot be read. */
const DEFAULT_TTL_SECONDS = 604_800;
/** Timers hold no more than 24 days; an hour more or less is nothing to a TTL of days. */
const LONGEST_WAIT_MS = 3_600_000;

export interface RequestWorld extends Admission {
  /** It stands in the spec of its node. */
  readonly ordered: boolean;
  /** What its node says of the order; null: nothing. */
  readonly report: OrderReport | null;
  /** What its node says of the deletion of its archives; null: nothing. */
  readonly deletion: DeletionReport['state'] | null;
  /** How many are before it on its node, and itself. */
  readonly position: number;
}

export interface RequestDecision {
  /** null: leave it as it is. */
  readonly status: CheckpointRequestStatus | null;
  /** Add: before the status. Drop: after it. */
  readonly finalizer: 'Keep' | 'Add' | 'Drop';
  /** The object has lived long enough: delete it, after the finalizer; its archives stay. */
  readonly remove: boolean;
  /** When to look again if nothing changes, milliseconds; null: never. */
  readonly lookAgainMs: number | null;
}

const NOTHING: RequestDecision = {
  status: null,
  finalizer: 'Keep',
  remove: false,
  lookAgainMs: null,
};

export function judgeRequest(facts: RequestFacts, world: RequestWorld): RequestDecision {
  switch (stageOf(facts)) {
    case 'New':
      return judgeNew(facts, world);
    case 'Waiting':
      return judgeWaiting(facts, world);
    case 'Running':
      return judgeRunning(facts, world);
    case 'Finished':
      return judgeFinished(facts, world);
  }
}

function judgeNew(facts: RequestFacts, world: RequestWorld): RequestDecision {
  const { nowMs, pod, node } = world;
  if (facts.deleting) return hasCleanup(facts) ? { ...NOTHING, finalizer: 'Drop' } : NOTHING;
  const place = pod === null || pod.nodeName === '' ? null : { nodeName: node.name, podUID: pod.uid };
  const refusal = refusalOf(facts, world);
  if (refusal !== null || place === null)
    return {
      ...NOTHING,
      status: refusedStatus(facts, refusal ?? NO_PLACE, nowMs, { place }),
      finalizer: hasCleanup(facts) ? 'Drop' : 'Keep',
    };
  return {
    ...NOTHING,
    status: waitingStatus(facts, place, world.position, nowMs),
    finalizer: lacksCleanup(facts) ? 'Add' : 'Keep',
    lookAgainMs: POSITION_MS,
  };
}

/** A pod without a node runs no container, so that it was refused before. */
const NO_PLACE: Refusal = { reason: 'ContainerNotRunning', message: 'the pod has no node yet' };

function judgeWaiting(facts: RequestFacts, world: RequestWorld): RequestDecision {
  const { nowMs, ordered, report } = world;
  if (ordered && report?.state === 'Finished') return finish(facts, report, nowMs);
  if (ordered && report?.state === 'Running') return run(facts, report, world);
  const end = endOfWaiting(facts, world);
  return end === null ? waitOn(facts, world) : giveUp(facts, end, world);
}

function waitOn(facts: RequestFacts, { nowMs, position }: RequestWorld): RequestDecision {
  const { nodeName = '', podUID = '' } = facts.status;
  return {
    ...NOTHING,
    status: waitingStatus(facts, { nodeName, podUID }, position, nowMs),
    finalizer: lacksCleanup(facts) ? 'Add' : 'Keep',
    lookAgainMs: Math.min(POSITION_MS, Math.max(1, giveUpAtMs(facts) - nowMs)),
  };
}

function giveUp(facts: RequestFacts, end: Refusal, world: RequestWorld): RequestDecision {
  const { nowMs, ordered, report, node } = world;
  // Until the node is told otherwise it may still start it; and what it has started is taken up again.
  if ((ordered || isUnderWay(report)) && node.exists) return { ...NOTHING, lookAgainMs: HANDOVER_MS };
  return {
    ...NOTHING,
    status: refusedStatus(facts, end, nowMs),
    finalizer: hasCleanup(facts) ? 'Drop' : 'Keep',
    lookAgainMs: HANDOVER_MS,
  };
}

function isUnderWay(report: OrderReport | null): boolean {
  return report !== null && report.state !== 'Waiting';
}

/** When a request that was not started fails, milliseconds since 1970. */
export function giveUpAtMs(facts: RequestFacts): number {
  return startDeadlineMs(facts) + WITHDRAW_GRACE_MS;
}

function endOfWaiting(facts: RequestFacts, { nowMs, removal, node }: RequestWorld): Refusal | null {
  if (!node.exists)
    return { reason: 'NodeGone', message: `the node ${node.name} was removed before it was started` };
  if (facts.deleting)
    return { reason: 'Withdrawn', message: 'the request was deleted before it was started' };
  if (removal)
    return { reason: 'Withdrawn', message: 'the operator takes everything back (setting removal: true)' };
  return nowMs < giveUpAtMs(facts) ? null : deadlineExceeded(facts, node);
}

function finish(facts: RequestFacts, report: OrderReport, nowMs: number): RequestDecision {
  return {
    ...NOTHING,
    status: finishedStatus(facts, takeOver(report, nowMs), nowMs),
    lookAgainMs: HANDOVER_MS,
  };
}

function run(facts: RequestFacts, report: OrderReport | null, world: RequestWorld): RequestDecision {
  const { nowMs } = world;
  const containers = report === null ? (facts.status.containers ?? []) : takeOver(report, nowMs).containers;
  const startTime = report === null ? '' : startTimeOf(report, nowMs);
  return {
    ...NOTHING,
    status: runningStatus(facts, startTime, containers, nowMs),
    lookAgainMs: Math.max(HANDOVER_MS, overdueAtMs(facts, { ...world, agentLive: false }) - nowMs),
  };
}

function judgeRunning(facts: RequestFacts, world: RequestWorld): RequestDecision {
  const { nowMs, ordered, report, node } = world;
  const own = ordered ? report : null;
  if (own?.state === 'Finished') return finish(facts, own, nowMs);
  const { agentLive } = node;
  if (node.exists && nowMs < overdueAtMs(facts, { ...world, agentLive })) return run(facts, own, world);
  const known = own === null ? (facts.status.containers ?? []) : takeOver(own, nowMs).containers;
  const refusal: Refusal = {
    reason: 'OutcomeUnknown',
    message: node.exists
      ? `the node ${node.name} has not said how it ended`
      : `the node ${node.name} was removed while it ran`,
  };
  const containers = withUnknown(facts, known, refusal.message);
  return {
    ...NOTHING,
    status: refusedStatus(facts, refusal, nowMs, { containers }),
    lookAgainMs: HANDOVER_MS,
  };
}

/** When a node that has not said how it ended is given up: each container may take its time-out. */
function overdueAtMs(facts: RequestFacts, world: Expected & { readonly agentLive: boolean }): number {
  const sinceMs = Date.parse(conditionOf(facts.status, 'Running')?.lastTransitionTime ?? '') || 0;
  const allowedMs = containerCount(facts, world) * (facts.spec?.timeoutSeconds ?? 0) * 1000;
  return sinceMs + allowedMs * (world.agentLive ? LIVE_FACTOR : 1) + SILENT_GRACE_MS;
}

type Expected = Pick<RequestWorld, 'pod' | 'report'>;

function containerCount({ spec }: RequestFacts, { pod, report }: Expected): number {
  const meant = pod?.containers.filter(isMeantByDefault).length ?? 0;
  return Math.max(1, spec?.containerNames?.length ?? meant, report?.containers.length ?? 0);
}

/** For the finer bound the containers of the pod have to be counted, which costs a call; before this time there is no need. */
export function mayBeOverdueAtMs(facts: RequestFacts): number {
  return overdueAtMs(facts, { pod: null, report: null, agentLive: false });
}

/** What was reported stays; those that were asked for and not reported are Unknown. */
function withUnknown(
  { spec }: RequestFacts,
  known: readonly ContainerResult[],
  message: string,
): ContainerResult[] {
  const named = new Set(known.map(({ name }) => name));
  const missing = (spec?.containerNames ?? []).filter((name) => !named.has(name));
  return [
    ...known,
    ...missing.map((name): ContainerResult => ({
      name,
      result: 'Unknown',
      reason: 'OutcomeUnknown',
      message,
      attempts: 1,
    })),
  ];
}

function judgeFinished(facts: RequestFacts, world: RequestWorld): RequestDecision {
  const { nowMs, removal } = world;
  const isHeld = hasCleanup(facts);
  if (facts.deleting) return isHeld ? judgeDeletion(facts, world) : NOTHING;
  const leftMs = removedAtMs(facts) - nowMs;
  if (leftMs <= 0) return { ...NOTHING, finalizer: isHeld ? 'Drop' : 'Keep', remove: true };
  return {
    ...NOTHING,
    finalizer: isHeld && removal ? 'Drop' : 'Keep',
    lookAgainMs: Math.min(leftMs, LONGEST_WAIT_MS),
  };
}

function judgeDeletion(facts: RequestFacts, world: RequestWorld): RequestDecision {
  if (mayGo(facts, world)) return { ...NOTHING, finalizer: 'Drop' };
  const { nowMs } = world;
  const leftMs = facts.deletedAtMs + DELETION_PATIENCE_MS - nowMs;
  if (leftMs > 0) return { ...NOTHING, lookAgainMs: leftMs };
  return { ...NOTHING, status: heldUpStatus(facts, nowMs), lookAgainMs: DELETION_MS };
}

/** Its archives are gone, kept by a pin, out of reach with their node, or never were. */
function mayGo(facts: RequestFacts, { removal, node, deletion }: RequestWorld): boolean {
  if (removal || !node.exists || !wasStarted(facts) || facts.spec?.archivePolicy !== 'Delete') return true;
  return deletion === 'Deleted' || deletion === 'Kept';
}

/** By our clock, not by the node's. */
function removedAtMs({ status, spec }: RequestFacts): number {
  const end = conditionOf(status, 'Complete') ?? conditionOf(status, 'Failed');
  const finishedMs = Date.parse(end?.lastTransitionTime ?? '') || 0;
  return finishedMs + (spec?.ttlSecondsAfterFinished ?? DEFAULT_TTL_SECONDS) * 1000;
}
