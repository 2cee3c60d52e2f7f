// The PlanSource of an agent in a cluster: the plan shards that the controller compiled. Remembers which generations the last read saw, for the report.
import {
  NO_NODE_SETTINGS,
  readCheckpointPlan,
  readPlanNodeSettings,
  type PlanNodeSettings,
  type PlanPolicy,
} from '../../api/checkpoint-plan.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import type { PlanSource } from '../../ports/plan-source.ts';
import { notReadYet } from './not-read-yet.ts';

export interface PlanShard {
  readonly name: string;
  readonly generation: number;
  readonly policies: readonly PlanPolicy[];
  readonly nodeSettings: PlanNodeSettings | null;
}

/** What is kept of a CheckpointPlan. */
export function planShard(object: KubeObject): PlanShard {
  return {
    name: object.metadata.name,
    generation: object.metadata.generation ?? 0,
    policies: readCheckpointPlan(object),
    nodeSettings: readPlanNodeSettings(object),
  };
}

export type PlanSeen = Pick<PlanShard, 'name' | 'generation'>;

export interface ShardPlanSource extends PlanSource {
  /** The plans of the last read, by name; empty before the first. */
  seen(): readonly PlanSeen[];
  /** As the plans say now. */
  nodeSettings(): PlanNodeSettings;
  /** The policies of now, by plan; empty before the plans were read once. */
  policies(): readonly PlanPolicy[];
}

/** Rejects until the shards were read once from the API server: what is in force stays. */
export function createShardPlanSource(plans: Reflector<PlanShard>): ShardPlanSource {
  let seen: readonly PlanSeen[] = [];
  const nodeSettings = (): PlanNodeSettings =>
    plans.store.values().find((shard) => shard.nodeSettings !== null)?.nodeSettings ?? NO_NODE_SETTINGS;
  const sorted = (): PlanShard[] =>
    [...plans.store.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  return {
    read: () => {
      if (!plans.status().synced) return Promise.reject(notReadYet('the plan', plans));
      const shards = sorted();
      seen = shards.map(({ name, generation }) => ({ name, generation }));
      return Promise.resolve({
        policies: shards.flatMap(({ policies }) => policies),
        problems: [],
        baseGhostLimitBytes: nodeSettings().baseGhostLimitBytes ?? null,
      });
    },
    watch: (onChange, signal) => {
      signal.addEventListener('abort', plans.subscribe(onChange));
    },
    seen: () => seen,
    nodeSettings,
    policies: () => sorted().flatMap(({ policies }) => policies),
  };
}
