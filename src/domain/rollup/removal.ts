// When everything of ours is taken back: which nodes are still waited for, and which are left. Pure.
import type { FileReport } from '../../api/checkpoint-node.ts';

/** A Ready node is waited for so long, milliseconds. */
export const REMOVAL_WAIT_MS = 120_000;
/** A node that is not Ready is given up after so long, milliseconds: one that only missed a few heartbeats is not dead. */
export const NOT_READY_WAIT_MS = 20_000;

export interface RemovalNode {
  readonly nodeName: string;
  /** Milliseconds; null: it is Ready. */
  readonly notReadyForMs: number | null;
  /** As the node reports them; null: it never reported. */
  readonly files: readonly Pick<FileReport, 'path' | 'managed'>[] | null;
  /** The report knows the emptied plans. */
  readonly seenPlans: boolean;
}

export interface RemovalInput {
  readonly waitedMs: number;
  readonly plansEmpty: boolean;
  readonly nodes: readonly RemovalNode[];
}

export interface RemovalPlan {
  readonly kind: 'Wait' | 'Finish';
  /** Nodes that may still have lines of ours, by name. */
  readonly left: readonly { readonly nodeName: string; readonly why: string }[];
}

export function planRemoval({ waitedMs, plansEmpty, nodes }: RemovalInput): RemovalPlan {
  const left = nodes
    .filter(mayHoldLines)
    .map((node) => ({ nodeName: node.nodeName, why: whyLeft(node), waitedFor: isWaitedFor(node) }))
    .sort((one, other) => (one.nodeName < other.nodeName ? -1 : 1));
  const isWaiting = !plansEmpty || left.some(({ waitedFor }) => waitedFor);
  return {
    kind: isWaiting && waitedMs < REMOVAL_WAIT_MS ? 'Wait' : 'Finish',
    left: left.map(({ nodeName, why }) => ({ nodeName, why })),
  };
}

/** A node that never reported was never written to: the first thing an agent does after a write is to report. */
function mayHoldLines({ files, seenPlans }: RemovalNode): boolean {
  return files !== null && (!seenPlans || files.some(({ managed }) => managed));
}

function isWaitedFor({ notReadyForMs }: RemovalNode): boolean {
  return notReadyForMs === null || notReadyForMs < NOT_READY_WAIT_MS;
}

function whyLeft({ notReadyForMs, files }: RemovalNode): string {
  if (notReadyForMs !== null) return 'NotReady';
  const held = (files ?? []).filter(({ managed }) => managed).map(({ path }) => path);
  return held.length === 0 ? 'has not answered' : `lines still in ${held.join(', ')}`;
}
