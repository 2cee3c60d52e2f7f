// The part of a policy's status that belongs to its schedule: read from the API server, written with a field manager of its own. Decides nothing.
import { readScheduleStatus, type ScheduleStatus } from '../api/checkpoint-policy.ts';
import { ConditionsSchema, type Condition } from '../api/condition.ts';
import { apiVersionOf, type KubeObject, type ObjectRef } from '../api/kube-object.ts';
import { CHECKPOINT_POLICIES } from '../api/kube-resources.ts';
import { CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import { CHECKPOINTS_HEALTHY } from '../domain/rollup/policy-status.ts';
import type { KubeApi } from '../ports/kube-api.ts';

/** Not that of the rest of the status: server-side apply takes away what its manager does not say any more. */
const SCHEDULE_FIELD_MANAGER = `${CONTROLLER_FIELD_MANAGER}-schedule`;

export interface ScheduleState extends ScheduleStatus {
  /** The condition CheckpointsHealthy; null: there was no checkpoint yet. */
  readonly healthy: Condition | null;
}

export function readScheduleState(policy: KubeObject): ScheduleState {
  const { conditions } = (policy['status'] ?? {}) as { readonly conditions?: unknown };
  const read = ConditionsSchema.safeParse(conditions ?? []);
  const healthy = read.success ? read.data.find(({ type }) => type === CHECKPOINTS_HEALTHY) : undefined;
  return { ...readScheduleStatus(policy), healthy: healthy ?? null };
}

export async function writeScheduleState(
  { namespace = '', name }: ObjectRef,
  { healthy, ...status }: ScheduleState,
  kube: KubeApi,
  signal: AbortSignal,
): Promise<void> {
  await kube.apply(
    CHECKPOINT_POLICIES,
    {
      apiVersion: apiVersionOf(CHECKPOINT_POLICIES),
      kind: CHECKPOINT_POLICIES.kind,
      metadata: { name, namespace },
      status: { ...status, ...(healthy !== null && { conditions: [healthy] }) },
    },
    { fieldManager: SCHEDULE_FIELD_MANAGER, force: true, subresource: 'status', signal },
  );
}
