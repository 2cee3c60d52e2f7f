// What the scanner and its child process say to each other: one JSON object a line.
import type { TreeObservation } from '../../api/process-tree.ts';
import type { ScanFailed } from '../../ports/ghost-scanner.ts';

export interface ScanRequest {
  readonly pid: number;
  readonly procRoot: string;
}

/** To each request at most one Partial, then Done or Failed. */
export type ScanReply =
  | { readonly kind: 'Partial' | 'Done'; readonly tree: TreeObservation }
  | { readonly kind: 'Failed'; readonly code: ScanFailed['code']; readonly message: string };
