// The port to where policies come from: a folder compiled here, or the plan shards that the controller compiled.
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import type { ReasonCode } from '../api/reasons.ts';

/** A policy that cannot be used, in the user's words; its last good state, if there was one, is still among the policies. */
export interface PlanProblem {
  /** File name or object name. */
  readonly origin: string;
  readonly reason: ReasonCode;
  readonly message: string;
  readonly lastGoodInForce: boolean;
}

export interface PlanSnapshot {
  readonly policies: readonly PlanPolicy[];
  readonly problems: readonly PlanProblem[];
  /** Floor of the node without any policy, bytes; null: none. Absent: the node's own settings say it. */
  readonly baseGhostLimitBytes?: number | null;
}

export interface PlanSource {
  read(): Promise<PlanSnapshot>;
  /** Calls `onChange` after the policies may have changed, until `signal` aborts. */
  watch(onChange: () => void, signal: AbortSignal): void;
}
