// What is said of a request to people who look at events: on the request, on its pod, and on the policy that it belongs to. Best effort, as all events.
import type { CheckpointRequestStatus } from '../api/checkpoint-request.ts';
import { apiVersionOf, type KubeObject } from '../api/kube-object.ts';
import { CHECKPOINT_REQUESTS, PODS } from '../api/kube-resources.ts';
import { isReasonCode } from '../api/reasons.ts';
import { conditionOf, policyKeyOf, stageOf, type RequestFacts } from '../domain/requests/request-facts.ts';
import type { ClusterCaches } from './cluster-view.ts';
import type { ClusterEvent, EventRecorder } from './event-recorder.ts';

export interface RequestEventsParts {
  readonly events: EventRecorder;
  readonly caches: Pick<ClusterCaches, 'policies'>;
}

/** Says what the status has come to, once for each state; and once when its deletion is held up. */
export async function tellRequest(
  facts: RequestFacts,
  status: CheckpointRequestStatus,
  { events, caches }: RequestEventsParts,
): Promise<void> {
  const heldUp = heldUpNote(status);
  if (heldUp !== null && heldUpNote(facts.status) === null)
    await events.emit(requestRef(facts), {
      type: 'Warning',
      reason: 'ArchiveDeletionWaits',
      action: 'Delete',
      note: heldUp,
    });
  const before = stageOf(facts);
  const after = stageOf({ status });
  if (before === after) return;
  if (after === 'Waiting') await events.emit(requestRef(facts), queuedEvent(status));
  if (after !== 'Finished') return;
  const event = outcomeEvent(facts, status);
  await events.emit(requestRef(facts), event);
  const podUID = status.podUID ?? '';
  if (podUID !== '') await events.emit(podRef(facts, podUID), event);
  const policy = caches.policies.get(policyKeyOf(facts) ?? '');
  if (policy !== null) await events.emit(policy, event);
}

/** The condition says it too, and stays: it is told when that comes. */
function heldUpNote(status: CheckpointRequestStatus): string | null {
  const condition = conditionOf(status, 'Reconciling');
  return condition?.reason === 'ArchiveDeletionWaits' ? condition.message : null;
}

function queuedEvent({ nodeName = '' }: CheckpointRequestStatus): ClusterEvent {
  return {
    type: 'Normal',
    reason: 'Queued',
    action: 'Checkpoint',
    note: `accepted for the node ${nodeName}`,
  };
}

function outcomeEvent({ name, spec }: RequestFacts, status: CheckpointRequestStatus): ClusterEvent {
  const failed = conditionOf(status, 'Failed');
  const { reason = '', message = '' } = failed ?? conditionOf(status, 'Complete') ?? {};
  const hint = status.hint === undefined ? '' : `. ${status.hint}`;
  return {
    type: failed === null ? 'Normal' : 'Warning',
    reason: isReasonCode(reason) ? reason : 'Unclassified',
    action: 'Checkpoint',
    note: `request ${name}, pod ${spec?.podName ?? ''}: ${message}${hint}`,
  };
}

function requestRef({ namespace, name, uid }: RequestFacts): KubeObject {
  return {
    apiVersion: apiVersionOf(CHECKPOINT_REQUESTS),
    kind: CHECKPOINT_REQUESTS.kind,
    metadata: { namespace, name, uid },
  };
}

function podRef({ namespace, spec }: RequestFacts, uid: string): KubeObject {
  const metadata = { namespace, name: spec?.podName ?? '', uid };
  return { apiVersion: apiVersionOf(PODS), kind: PODS.kind, metadata };
}
