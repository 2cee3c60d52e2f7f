// Taking everything back (setting removal: true): waits until every Ready node has let go of our lines, then drops our finalizers and says what is left.
import type { KubeObject, KubeResource } from '../api/kube-object.ts';
import { CHECKPOINT_POLICIES, CHECKPOINT_REQUESTS } from '../api/kube-resources.ts';
import { CLEANUP_FINALIZER, CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import { planRemoval, type RemovalInput, type RemovalPlan } from '../domain/rollup/removal.ts';
import type { Clock } from '../ports/clock.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import { hasSeenPlan, type ClusterCaches } from './cluster-view.ts';
import type { EventRecorder } from './event-recorder.ts';
import type { SettingsView } from './settings-view.ts';

const LOOK_AGAIN_MS = 2_000;

export interface RemovalReconcilerParts {
  readonly kube: KubeApi;
  readonly caches: ClusterCaches;
  readonly settings: SettingsView;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Log;
}

/** Its one key stands for the whole cluster. */
export function createRemovalReconciler(parts: RemovalReconcilerParts) {
  let sinceMs: number | null = null;
  let done = false;
  return async (_key: string, signal: AbortSignal): Promise<{ readonly requeueAfterMs?: number }> => {
    if (parts.settings.current()?.removal !== true) {
      sinceMs = null;
      done = false;
      return {};
    }
    sinceMs ??= parts.clock.monotonicMs();
    const plan = planRemoval(gather(parts.caches, parts.clock.monotonicMs() - sinceMs));
    if (plan.kind === 'Wait') return { requeueAfterMs: LOOK_AGAIN_MS };
    await dropFinalizers(CHECKPOINT_POLICIES, parts.caches.policies.values(), parts.kube, signal);
    // By now no request waits; what the node of a running one still does, and its archives, stay.
    await dropFinalizers(CHECKPOINT_REQUESTS, parts.caches.requests.values(), parts.kube, signal);
    if (!done) await tell(plan, parts);
    done = true;
    // A dead node may come back, a policy may be made anew: looked at as long as the setting stands.
    return { requeueAfterMs: 10 * LOOK_AGAIN_MS };
  };
}

function gather(caches: ClusterCaches, waitedMs: number): RemovalInput {
  const plans = caches.plans.values();
  return {
    waitedMs,
    plansEmpty: plans.every(({ policies }) => policies.length === 0),
    nodes: caches.nodes.values().map(({ name, ready }) => ({
      nodeName: name,
      ready,
      files: caches.reports.get(name)?.status?.files ?? null,
      seenPlans: plans.every((plan) => hasSeenPlan(name, plan.name, caches)),
    })),
  };
}

async function dropFinalizers(
  resource: KubeResource,
  objects: readonly KubeObject[],
  kube: KubeApi,
  signal: AbortSignal,
): Promise<void> {
  for (const { metadata } of objects) {
    const { namespace = '', name, resourceVersion, finalizers = [] } = metadata;
    if (!finalizers.includes(CLEANUP_FINALIZER)) continue;
    const others = finalizers.filter((finalizer) => finalizer !== CLEANUP_FINALIZER);
    await kube.mergePatch(
      resource,
      { namespace, name },
      { metadata: { finalizers: others, resourceVersion } },
      { fieldManager: CONTROLLER_FIELD_MANAGER, signal },
    );
  }
}

async function tell(plan: RemovalPlan, { settings, events, log }: RemovalReconcilerParts): Promise<void> {
  const note =
    plan.left.length === 0
      ? 'every node has its CRIU files back as they were; the operator can be deleted now'
      : `taken back on every node that answers; left: ${plan.left
          .slice(0, 10)
          .map(({ nodeName, why }) => `${nodeName} (${why})`)
          .join(', ')}`;
  log.info('removal done', { left: plan.left });
  const regarding = settings.object();
  if (regarding === null) return;
  const type = plan.left.length === 0 ? 'Normal' : 'Warning';
  await events.emit(regarding, { type, reason: 'TakenBack', action: 'Remove', note });
}
