// The result of looking for ghost files in live processes: the JSON shape of `scan`. Types only.

/** What holds the deleted file: a mapping, an open descriptor, or one of the three links of /proc/PID. */
export type GhostHold = 'Map' | 'Fd' | 'Exe' | 'Cwd' | 'Root';

/**
 * How CRIU takes a deleted file: `Ghost` goes into the image under ghost-limit; `LinkRemap` needs the option link-remap
 * and has no size limit; `LinkRemapThenGhost` needs link-remap and then counts against ghost-limit too (lower layer of
 * an overlay, also when it cannot be told whether the file comes from one).
 */
export type GhostRemap = 'Ghost' | 'LinkRemap' | 'LinkRemapThenGhost';

export interface GhostFile {
  /**
   * Path as the container sees it, raw: escape it before it is shown. A byte that is not UTF-8 stands as the lone
   * surrogate U+DC00 + byte, so that no two names fall together.
   */
  readonly path: string;
  /** The strongest hold found: a mapping before a descriptor before exe, cwd, root. */
  readonly kind: GhostHold;
  readonly remap: GhostRemap;
  readonly sizeBytes: number;
  /** st_blocks * 512: what CRIU 3.18 and later compare. */
  readonly allocatedBytes: number;
  /** Descriptors, mappings and links that lead to this inode, in all processes together. */
  readonly references: number;
}

export interface ScanRemark {
  /** Of a blocker: a reason of DUMP_REASONS. Of a warning: SizeUnknown, ScanTruncated, ProcessGone, ProcessUnreadable, ThreadFilesApart. */
  readonly code: string;
  /** One line, safe to show. */
  readonly message: string;
}

export interface GhostScan {
  readonly pid: number;
  /** The smallest ghost-limit with which every file passes, right for every CRIU version: max(size, allocated); 0: no ghost file. */
  readonly requiredGhostLimitBytes: number;
  readonly linkRemapRequired: boolean;
  /** Memory of the processes that a dump writes: anonymous pages of each, shared memory once, as that of the process that has most of it. 0: not known. */
  readonly residentBytes: number;
  /** The largest first. */
  readonly files: readonly GhostFile[];
  /** What would make the dump fail whatever the limit is. */
  readonly blockers: readonly ScanRemark[];
  /** What the scan could not see, or what deserves attention. */
  readonly warnings: readonly ScanRemark[];
}
