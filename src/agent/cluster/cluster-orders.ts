// What an agent of a cluster needs to take checkpoints that are ordered: the orders of its CheckpointNode, the pods of its node, one checkpoint by the plan of now, the archives. Wires, decides nothing.
import type { PodView } from '../../api/core-views.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { kubeletCheckpoints } from '../../api/settings.ts';
import { createArchiveLedger } from '../../node-engine/archive-ledger.ts';
import { openDocuments } from '../../node-engine/documents.ts';
import { createArchiveKeeping } from '../../node-engine/keep-archives.ts';
import type { NodeEngineParts } from '../../node-engine/node-engine.ts';
import type { ArchiveKeeping } from '../../node-engine/orders/archive-keeping.ts';
import { runOrderDesk, type OrderDeskParts } from '../../node-engine/orders/order-desk.ts';
import { takeCheckpoint } from '../../node-engine/take-checkpoint.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import type { CheckpointArchives } from '../../ports/checkpoint-archives.ts';
import type { ContainerRuntime } from '../../ports/container-runtime.ts';
import type { OrderReports } from '../../ports/order-source.ts';
import { createOwnOrderSource, createPodDirectory } from './order-source.ts';
import type { PlanShard, ShardPlanSource } from './shard-plan-source.ts';
import { reportTriggers } from './trigger-source.ts';

/** What the host adds for orders. */
export interface OrderGround {
  readonly archives: CheckpointArchives;
  /** True: the cgroup of the container is frozen; null: it cannot be told. */
  readonly isFrozen: (containerId: string) => Promise<boolean | null>;
}

export interface ClusterOrdersParts {
  readonly ground: OrderGround;
  readonly engine: Omit<NodeEngineParts, 'plan' | 'workloads' | 'sink'>;
  readonly nodeName: string;
  readonly runtimes: readonly ContainerRuntime[];
  readonly own: Reflector<KubeObject>;
  readonly pods: Reflector<PodView>;
  readonly plans: Reflector<PlanShard>;
  readonly plan: ShardPlanSource;
  readonly reports: OrderReports;
}

/** Runs until `signal` aborts and the container that is being dumped then is done. Never rejects. */
export async function runClusterOrders(parts: ClusterOrdersParts, signal: AbortSignal): Promise<void> {
  const { engine, ground, nodeName, own, pods, plan, reports, runtimes } = parts;
  const { state, clock, log } = engine;
  const source = createOwnOrderSource({ nodeName, own, log });
  const isPaused = (): boolean =>
    engine.settings.checkpointsPaused ||
    plan.nodeSettings().checkpointsPaused ||
    !parts.plans.status().synced;
  const desk: OrderDeskParts = {
    source,
    pods: createPodDirectory(pods),
    runtimes,
    reports,
    take: async (order) => {
      const policies = plan.policies();
      const settings = { ...engine.settings, checkpointsPaused: isPaused() };
      const criuVersion = await criuVersionOf(engine);
      return takeCheckpoint(order, { ...engine, settings, policies, criuVersion, archives: ground.archives });
    },
    isPaused,
    watchPause: (onChange, end) => {
      plan.watch(onChange, end);
      // There may be no plan at all, and then no change either.
      void parts.plans.whenSynced(end).then(onChange);
    },
    archives: ground.archives,
    isFrozen: (containerId) => isFrozen(containerId, parts),
    runtimeDirectories: [kubeletCheckpoints(engine.settings)],
    keeping: keepingOf(parts),
    state,
    clock,
    log,
  };
  await Promise.all([
    runOrderDesk(desk, signal),
    reportTriggers({ pods, source, reports, state, clock, log }, signal),
  ]);
}

function keepingOf({ engine, ground, pods, plan, plans }: ClusterOrdersParts): ArchiveKeeping {
  const { clock, log, settings, state } = engine;
  const { archives } = ground;
  return createArchiveKeeping({
    archives,
    ledger: createArchiveLedger({ document: openDocuments(state, log).archives, archives, log }),
    settings: settings.archives,
    otherDirectories: [kubeletCheckpoints(settings)],
    policies: () => (plans.status().synced ? plan.policies() : null),
    podUIDs: () =>
      pods.status().synced ? new Set(pods.store.values().map(({ metadata }) => metadata.uid)) : null,
    clock,
    log,
  });
}

async function criuVersionOf({
  inspector,
  log,
}: Pick<NodeEngineParts, 'inspector' | 'log'>): Promise<string | null> {
  try {
    const { criuVersion } = (await inspector.read()).runtime;
    return criuVersion === '' ? null : criuVersion;
  } catch (error) {
    log.warn('version of CRIU not told before a checkpoint', { error });
    return null;
  }
}

/** By the runtime where it tells, else by the cgroup. */
async function isFrozen(
  containerId: string,
  { runtimes, ground }: ClusterOrdersParts,
): Promise<boolean | null> {
  const byCgroup = await ground.isFrozen(containerId);
  if (byCgroup !== null) return byCgroup;
  for (const runtime of runtimes) {
    const found = await runtime.find(containerId).catch(() => null);
    if (found?.id === containerId) return found.state === 'Paused';
  }
  return null;
}
