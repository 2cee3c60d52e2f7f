// What the finalizer of a policy waits for: nodes that still hold its lines. Pure.

/** A silent agent on a Ready node is waited for so long, milliseconds; the emptied plan makes it undo later. */
export const CLEANUP_WAIT_MS = 60_000;

export interface HoldingNode {
  readonly nodeName: string;
  readonly ready: boolean;
}

export interface CleanupInput {
  /** Since the deletion was first seen, milliseconds; null: the policy is not being deleted. */
  readonly deletingForMs: number | null;
  readonly hasFinalizer: boolean;
  /** The plan that the API server has still names the policy. */
  readonly planned: boolean;
  /** Nodes whose report still names the policy, or that have not read the plan without it. */
  readonly holding: readonly HoldingNode[];
  /** The operator takes everything back: no finalizer is added any more. */
  readonly removal: boolean;
}

export type CleanupDecision =
  | { readonly kind: 'Nothing' | 'AddFinalizer' | 'Wait' }
  /** `left`: nodes that have not answered. */
  | { readonly kind: 'DropFinalizer'; readonly left: readonly string[] };

export function decideCleanup(input: CleanupInput): CleanupDecision {
  const { deletingForMs, hasFinalizer, planned, holding, removal } = input;
  if (deletingForMs === null) return { kind: hasFinalizer || removal ? 'Nothing' : 'AddFinalizer' };
  if (!hasFinalizer) return { kind: 'Nothing' };
  const left = holding.map(({ nodeName }) => nodeName);
  const waitedFor = holding.filter(({ ready }) => ready);
  if (!planned && waitedFor.length === 0) return { kind: 'DropFinalizer', left };
  return deletingForMs < CLEANUP_WAIT_MS ? { kind: 'Wait' } : { kind: 'DropFinalizer', left };
}
