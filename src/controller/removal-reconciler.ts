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
/** So that the note of an event stays short. */
const MOST_NODES_NAMED = 10;

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
  let told: string | null = null;
  const notReadySinceMs = new Map<string, number>();
  return async (_key: string, signal: AbortSignal): Promise<{ readonly requeueAfterMs?: number }> => {
    if (parts.settings.current()?.removal !== true) {
      sinceMs = null;
      told = null;
      notReadySinceMs.clear();
      return {};
    }
    const nowMs = parts.clock.monotonicMs();
    sinceMs ??= nowMs;
    noteReadiness(parts.caches, nowMs, notReadySinceMs);
    const plan = planRemoval({
      ...gather(parts.caches, (nodeName) => {
        const since = notReadySinceMs.get(nodeName);
        return since === undefined ? null : nowMs - since;
      }),
      waitedMs: nowMs - sinceMs,
    });
    if (plan.kind === 'Wait') return { requeueAfterMs: LOOK_AGAIN_MS };
    await dropFinalizers(CHECKPOINT_POLICIES, parts.caches.policies.values(), parts.kube, signal);
    // By now no request waits; what the node of a running one still does, and its archives, stay.
    await dropFinalizers(CHECKPOINT_REQUESTS, parts.caches.requests.values(), parts.kube, signal);
    const note = noteOf(plan);
    if (note !== told) await tell(note, plan, parts);
    told = note;
    // A dead node may come back, a policy may be made anew: looked at as long as the setting stands.
    return { requeueAfterMs: 10 * LOOK_AGAIN_MS };
  };
}

/** Keeps since when each node that is not Ready has been seen so. */
function noteReadiness(caches: ClusterCaches, nowMs: number, notReadySinceMs: Map<string, number>): void {
  const notReady = new Set(caches.nodes.values().flatMap(({ name, ready }) => (ready ? [] : [name])));
  for (const name of notReadySinceMs.keys()) if (!notReady.has(name)) notReadySinceMs.delete(name);
  for (const name of notReady) if (!notReadySinceMs.has(name)) notReadySinceMs.set(name, nowMs);
}

function gather(
  caches: ClusterCaches,
  notReadyForMs: (nodeName: string) => number | null,
): Omit<RemovalInput, 'waitedMs'> {
  const plans = caches.plans.values();
  return {
    plansEmpty: plans.every(({ policies }) => policies.length === 0),
    nodes: caches.nodes.values().map(({ name }) => ({
      nodeName: name,
      notReadyForMs: notReadyForMs(name),
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

function noteOf({ left }: RemovalPlan): string {
  if (left.length === 0)
    return 'every node has its CRIU files back as they were; the operator can be deleted now';
  const named = left.slice(0, MOST_NODES_NAMED).map(({ nodeName, why }) => `${nodeName} (${why})`);
  return `taken back on every node that answers; left: ${named.join(', ')}`;
}

async function tell(
  note: string,
  { left }: RemovalPlan,
  { settings, events, log }: RemovalReconcilerParts,
): Promise<void> {
  log.info('removal done', { left });
  const regarding = settings.object();
  if (regarding === null) return;
  const type = left.length === 0 ? 'Normal' : 'Warning';
  await events.emit(regarding, { type, reason: 'TakenBack', action: 'Remove', note });
}
