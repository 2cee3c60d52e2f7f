// Runs the schedule of one policy: which round is due, its CheckpointRequests, their history, and what the policy's status says of it. One duty: rounds.
// What has to survive a crash stands in the status before anything is made: lastScheduleTime, and activeRound until the round is through.
import { isDeepStrictEqual } from 'node:util';
import { parseObjectKey, type KubeObject } from '../api/kube-object.ts';
import { CHECKPOINT_POLICIES, CHECKPOINT_REQUESTS } from '../api/kube-resources.ts';
import { carryTransitionTimes } from '../api/condition.ts';
import { dueRound, type DueRound } from '../domain/schedule/due-round.ts';
import { requestsBeyondHistory, roundOutcome } from '../domain/schedule/round-outcome.ts';
import type { ScheduleSpec } from '../domain/schedule/schedule-refusal.ts';
import { readScheduledRequest, type ScheduledRequest } from '../domain/schedule/scheduled-request.ts';
import type { Clock } from '../ports/clock.ts';
import type { Cron } from '../ports/cron.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { ClusterCaches } from './cluster-view.ts';
import type { ClusterEvent, EventRecorder } from './event-recorder.ts';
import { scheduleOf, type ActiveSchedule, type Schedule } from './policy-schedule.ts';
import { makeRequests, newProgress, observeRound, type RoundProgress } from './round-requests.ts';
import { readScheduleState, writeScheduleState, type ScheduleState } from './schedule-status.ts';
import type { SettingsView } from './settings-view.ts';
import type { StatusBudget } from './status-budget.ts';

/** Looked at again at least so often, milliseconds, also where the next round is far: the wall clock may jump. */
export const LOOK_AGAIN_MS = 60_000;
/** The same while a round is under way. */
const ROUND_LOOK_MS = 5_000;

export interface ScheduleReconcilerParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly settings: SettingsView;
  readonly cron: Cron;
  readonly budget: StatusBudget;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Log;
}

/** What one leader knows of one policy. */
interface Memory {
  readonly uid: string;
  /** As the API server has it. */
  state: ScheduleState;
  progress: RoundProgress | null;
}

/** Reconciles the policy of the given key. */
export function createScheduleReconciler(parts: ScheduleReconcilerParts) {
  // By the signal of a term as leader: what was known in an earlier one may be old.
  const terms = new WeakMap<AbortSignal, Map<string, Memory>>();
  return async (key: string, signal: AbortSignal): Promise<{ readonly requeueAfterMs?: number }> => {
    const memories = terms.get(signal) ?? new Map<string, Memory>();
    terms.set(signal, memories);
    const policy = parts.caches.policies.get(key);
    const schedule = policy === null ? null : scheduleOf(policy, parts);
    if (policy === null || schedule === null) {
      memories.delete(key);
      return {};
    }
    if (schedule.kind === 'Off' && !memories.has(key) && isAtRest(readScheduleState(policy))) return {};
    const memory = await recall(key, policy, memories, { kube: parts.kube, signal });
    return memory === null ? {} : keepSchedule(policy, schedule, memory, { ...parts, signal });
  };
}

function isAtRest({ lastScheduleTime, nextScheduleTime, activeRound, healthy }: ScheduleState): boolean {
  return [lastScheduleTime, nextScheduleTime, activeRound, healthy ?? undefined].every(
    (part) => part === undefined,
  );
}

/** The first time in a term by a read of the object: the cache may be older than what the leader before wrote. null: it is gone. */
async function recall(
  key: string,
  { metadata }: KubeObject,
  memories: Map<string, Memory>,
  { kube, signal }: { readonly kube: KubeApi; readonly signal: AbortSignal },
): Promise<Memory | null> {
  const uid = metadata.uid ?? '';
  const known = memories.get(key);
  if (known?.uid === uid) return known;
  const object = await kube.get(CHECKPOINT_POLICIES, parseObjectKey(key), signal);
  if (object?.metadata.uid !== uid) return null;
  const memory: Memory = { uid, state: readScheduleState(object), progress: null };
  memories.set(key, memory);
  return memory;
}

interface Turn extends ScheduleReconcilerParts {
  readonly signal: AbortSignal;
}

async function keepSchedule(
  policy: KubeObject,
  schedule: Schedule,
  memory: Memory,
  turn: Turn,
): Promise<{ readonly requeueAfterMs?: number }> {
  const key = `${policy.metadata.namespace ?? ''}/${policy.metadata.name}`;
  const requests = requestsOf(key, turn.caches);
  const { state, said, unfinished } = decide(policy, schedule, memory, { requests, turn });
  if (!isDeepStrictEqual(state, memory.state)) {
    const waitMs = turn.budget.take(key);
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    await writeScheduleState(policy.metadata, state, turn.kube, turn.signal);
    memory.state = state;
  }
  for (const event of said) await turn.events.emit(policy, event);
  if (schedule.kind !== 'On')
    return memory.state.activeRound === undefined ? {} : { requeueAfterMs: LOOK_AGAIN_MS };
  await prune(policy, requests, schedule.spec.historyLimit, { memory, turn });
  if (memory.state.activeRound !== undefined) return goOn(schedule, memory, unfinished, turn);
  return { requeueAfterMs: untilNext(memory.state, turn.clock) };
}

function requestsOf(key: string, { requests }: ClusterCaches): ScheduledRequest[] {
  return requests
    .by('policy', key)
    .map(readScheduledRequest)
    .filter((request) => request !== null);
}

interface Decision {
  /** As the status should stand. */
  readonly state: ScheduleState;
  readonly said: readonly ClusterEvent[];
  readonly unfinished: number;
}

function decide(
  policy: KubeObject,
  schedule: Schedule,
  memory: Memory,
  { requests, turn }: { readonly requests: readonly ScheduledRequest[]; readonly turn: Turn },
): Decision {
  const { lastCheckpoint } = memory.state;
  if (schedule.kind === 'Off') {
    const state = { ...(lastCheckpoint !== undefined && { lastCheckpoint }), healthy: null };
    return { state, said: [], unfinished: 0 };
  }
  const ended = endRound(policy, memory, requests, turn.clock);
  const { nextScheduleTime: _old, ...held } = ended.state;
  if (schedule.kind === 'Held' || schedule.isSuspended) return { ...ended, state: held };
  return startRound(policy, schedule, ended, turn.clock);
}

/** Takes the outcome over when the round is through. */
function endRound(
  { metadata }: KubeObject,
  memory: Memory,
  requests: readonly ScheduledRequest[],
  clock: Clock,
): Decision {
  const { activeRound, ...rest } = memory.state;
  if (activeRound === undefined) return { state: rest, said: [], unfinished: 0 };
  const { scheduleTime } = activeRound;
  if (memory.progress?.scheduleTime !== scheduleTime) memory.progress = newProgress(scheduleTime);
  const { unfinished, isFinished } = observeRound(memory.progress, requests, clock);
  if (!isFinished) return { state: memory.state, said: [], unfinished };
  const at = timestampOf(clock.now());
  const own = requests.filter((request) => request.scheduleTime === scheduleTime);
  const outcome = roundOutcome(own, { at, generation: metadata.generation ?? 0 });
  if (outcome === null) return { state: rest, said: [], unfinished };
  const { lastCheckpoint, condition } = outcome;
  const earlier = rest.healthy === null ? [] : [rest.healthy];
  const [healthy = null] = carryTransitionTimes(earlier, [condition], at);
  const note = `round of ${scheduleTime}: ${condition.message}`;
  const said: ClusterEvent =
    lastCheckpoint.failed === 0
      ? { type: 'Normal', reason: 'CheckpointsSucceeded', action: 'Schedule', note }
      : { type: 'Warning', reason: 'CheckpointsFailing', action: 'Schedule', note };
  return { state: { ...rest, lastCheckpoint, healthy }, said: [said], unfinished };
}

function startRound(
  policy: KubeObject,
  { spec, times }: ActiveSchedule,
  { state, said, unfinished }: Decision,
  clock: Clock,
): Decision {
  const nowMs = clock.now();
  const startingDeadlineSeconds = spec.startingDeadlineSeconds ?? null;
  const sinceMs = sinceMsOf(policy, state, nowMs);
  const round = dueRound(times, { sinceMs, nowMs, startingDeadlineSeconds });
  const { nextScheduleTime: _old, ...rest } = state;
  const coming = { ...rest, ...(round.next !== null && { nextScheduleTime: timestampOf(round.next) }) };
  const passed = round.due ?? round.tooLate;
  if (passed === null) return { state: coming, said, unfinished };
  const lastScheduleTime = timestampOf(passed);
  const moved = { ...coming, lastScheduleTime };
  const missed = round.missed === 0 ? said : [...said, skipped(missedNote(round.missed, lastScheduleTime))];
  const obstacle = obstacleOf(round, state, { spec, unfinished });
  if (obstacle !== null) {
    const note = `the round of ${lastScheduleTime} ${obstacle}`;
    return { state: moved, said: [...missed, skipped(note)], unfinished };
  }
  const activeRound = { scheduleTime: lastScheduleTime, startTime: timestampOf(nowMs) };
  return { state: { ...moved, activeRound }, said: missed, unfinished };
}

/** Why the round that is due is left out, in words; null: it is not. */
function obstacleOf(
  { due }: DueRound,
  { activeRound }: ScheduleState,
  { spec, unfinished }: { readonly spec: ScheduleSpec; readonly unfinished: number },
): string | null {
  if (due === null)
    return `is later than startingDeadlineSeconds (${(spec.startingDeadlineSeconds ?? 0).toString()})`;
  if (activeRound === undefined) return null;
  return `is due while that of ${activeRound.scheduleTime} still runs, with ${unfinished.toString()} unfinished`;
}

function missedNote(missed: number, before: string): string {
  const [count, verb] = missed === 1 ? ['1 round', 'was'] : [`${missed.toString()} rounds`, 'were'];
  return `${count} before that of ${before} ${verb} missed`;
}

function skipped(note: string): ClusterEvent {
  return { type: 'Warning', reason: 'RoundSkipped', action: 'Schedule', note };
}

/** Since when times count. A schedule that came into an older policy begins with it, not with the policy. */
function sinceMsOf({ metadata }: KubeObject, state: ScheduleState, nowMs: number): number {
  if (state.lastScheduleTime !== undefined) return Date.parse(state.lastScheduleTime);
  // Seen before, and perhaps missed since.
  if (state.nextScheduleTime !== undefined) return Math.min(nowMs, Date.parse(state.nextScheduleTime) - 1);
  return metadata.generation === 1 ? Date.parse(metadata.creationTimestamp ?? '') || nowMs : nowMs;
}

async function goOn(
  schedule: ActiveSchedule,
  memory: Memory,
  unfinished: number,
  turn: Turn,
): Promise<{ readonly requeueAfterMs: number }> {
  const { activeRound } = memory.state;
  if (activeRound === undefined) return { requeueAfterMs: LOOK_AGAIN_MS };
  const { scheduleTime, startTime } = activeRound;
  if (memory.progress?.scheduleTime !== scheduleTime) memory.progress = newProgress(scheduleTime);
  const { progress } = memory;
  const round = { ...schedule, policyUid: memory.uid, startTime, progress };
  const made = await makeRequests(round, unfinished, turn, turn.signal);
  const { namespace, name } = schedule.planned;
  if (made > 0)
    turn.log.info('checkpoints asked for by schedule', {
      namespace,
      policy: name,
      round: scheduleTime,
      requests: made,
    });
  // A round without pods is over at once.
  const isEmpty = progress.isWhole && progress.asked.size === 0;
  return { requeueAfterMs: isEmpty ? 1 : Math.min(ROUND_LOOK_MS, untilNext(memory.state, turn.clock)) };
}

function untilNext({ nextScheduleTime }: ScheduleState, clock: Clock): number {
  if (nextScheduleTime === undefined) return LOOK_AGAIN_MS;
  return Math.min(LOOK_AGAIN_MS, Math.max(1, Date.parse(nextScheduleTime) - clock.now()));
}

/** Their archives stay: they are Retain and have no finalizer of ours. */
async function prune(
  { metadata: { namespace = '' } }: KubeObject,
  requests: readonly ScheduledRequest[],
  historyLimit: number,
  { memory, turn }: { readonly memory: Memory; readonly turn: Turn },
): Promise<void> {
  const active = memory.state.activeRound?.scheduleTime ?? null;
  for (const { name, uid } of requestsBeyondHistory(requests, historyLimit, active))
    await turn.kube.delete(CHECKPOINT_REQUESTS, { namespace, name }, { uid, signal: turn.signal });
}

/** RFC 3339, whole seconds. */
function timestampOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
