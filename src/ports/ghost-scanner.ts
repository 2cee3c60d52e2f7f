// The port through which ghost files of live processes are found, without CRIU and without freezing anything.
import type { GhostScan } from '../api/ghost-scan.ts';

export type { GhostFile, GhostHold, GhostRemap, GhostScan, ScanRemark } from '../api/ghost-scan.ts';

export interface GhostScanner {
  /** Starts what a scan needs, ahead of it: for who has something else to do meanwhile. */
  prepare(): void;
  /**
   * Scans the process `pid` (a pid of the scanner's /proc) and all its descendants: what CRIU would dump for a container with that init.
   * Processes and descriptors that vanish meanwhile are not errors. Rejects with ScanFailed when `pid` does not exist or may not be read,
   * when `signal` is aborted, and when nothing at all could be seen in time; what was seen until then comes with the warning ScanTruncated.
   */
  scan(pid: number, signal?: AbortSignal): Promise<GhostScan>;
}

export class ScanFailed extends Error {
  override readonly name = 'ScanFailed';
  readonly code: 'ProcessNotFound' | 'PermissionDenied' | 'ScanTimedOut' | 'ScanAborted' | 'ScannerFailed';
  constructor(code: ScanFailed['code'], message: string) {
    super(message);
    this.code = code;
  }
}
