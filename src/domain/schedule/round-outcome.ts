// What came of a round, and which finished requests have been kept long enough. Pure.
import type { Condition } from '../../api/condition.ts';
import type { ScheduleStatus } from '../../api/checkpoint-policy.ts';
import { CHECKPOINTS_HEALTHY } from '../rollup/policy-status.ts';
import type { ScheduledRequest } from './scheduled-request.ts';

export interface RoundOutcome {
  readonly lastCheckpoint: NonNullable<ScheduleStatus['lastCheckpoint']>;
  readonly condition: Omit<Condition, 'lastTransitionTime'>;
}

/** `requests` are the finished ones of one round. null: nothing was checkpointed or failed, as no pod was there. `at` (RFC 3339) stands in for missing times. */
export function roundOutcome(
  requests: readonly ScheduledRequest[],
  { at, generation }: { readonly at: string; readonly generation: number },
): RoundOutcome | null {
  const results = requests.map(({ result }) => result).filter((result) => result !== null);
  const succeeded = results.reduce((sum, result) => sum + result.succeeded, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  const count = succeeded + failed;
  if (count === 0) return null;
  const completed = results.map(({ completedAt }) => completedAt).filter((time) => time !== null);
  const example = results.find(({ failure }) => failure !== null)?.failure ?? '';
  const message =
    failed === 0
      ? `${count.toString()} ${count === 1 ? 'container' : 'containers'} checkpointed`
      : `${failed.toString()} of ${count.toString()} containers not checkpointed: ${example}`;
  return {
    lastCheckpoint: { time: completed.sort().at(-1) ?? at, succeeded, failed },
    condition: {
      type: CHECKPOINTS_HEALTHY,
      status: failed === 0 ? 'True' : 'False',
      reason: failed === 0 ? 'CheckpointsSucceeded' : 'CheckpointsFailing',
      message: message.length > 1024 ? `${message.slice(0, 1023)}…` : message,
      observedGeneration: generation,
    },
  };
}

/** Finished requests beyond the newest `historyLimit` of each pod. Those of the round under way stay: they tell that their pods are done. */
export function requestsBeyondHistory(
  requests: readonly ScheduledRequest[],
  historyLimit: number,
  activeRound: string | null,
): ScheduledRequest[] {
  const finished = requests.filter(({ result }) => result !== null);
  const newestFirst = finished.sort((one, other) => (one.scheduleTime < other.scheduleTime ? 1 : -1));
  return [...Map.groupBy(newestFirst, ({ podUID }) => podUID).values()]
    .flatMap((ofPod) => ofPod.slice(historyLimit))
    .filter(({ scheduleTime }) => scheduleTime !== activeRound);
}
