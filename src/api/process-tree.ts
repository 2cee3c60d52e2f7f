// What /proc shows of a process and its descendants, as far as it bears on a dump: plain facts, not judged. Types only.
import type { GhostHold } from './ghost-scan.ts';

export interface FileStat {
  /** st_dev in the encoding of user space. */
  readonly device: number;
  readonly inode: string;
  /** st_mode with the type bits. */
  readonly mode: number;
  readonly linkCount: number;
  readonly sizeBytes: number;
  /** st_blocks * 512. */
  readonly allocatedBytes: number;
}

/** Where the link text leads in the process's mount namespace, taken literally, ` (deleted)` included, as CRIU does. */
export type NameCheck = 'SameFile' | 'OtherFile' | 'Missing' | 'Unknown';

/** What the upper layer of the overlay shows at the path of a file that lost its name. */
export interface OverlayEvidence {
  /** `Whiteout`: a character device 0:0, the mark of a deleted lower file. */
  readonly upperEntry: 'Whiteout' | 'Missing' | 'Other' | 'Unknown';
  readonly upperParentIsDirectory: boolean;
  /** Whether the file is older than the upper directory itself; absent when the file system keeps no birth time. */
  readonly bornBeforeUpper?: boolean | undefined;
}

/** One inode held by one process in one way. Files that stand under their own name are left out. */
export interface FileObservation {
  readonly hold: GhostHold;
  /** The link text, ` (deleted)` included. Bytes that are not UTF-8 as in GhostFile.path. */
  readonly text: string;
  readonly references: number;
  /** Absent when the kernel refused it. */
  readonly stat?: FileStat | undefined;
  /** f_type of statfs(2). */
  readonly fileSystemType?: number | undefined;
  readonly name: NameCheck;
  /** Whether st_dev is the device of a mount of the process's namespace; absent when that is not known. */
  readonly deviceIsMounted?: boolean | undefined;
  /**
   * Of descriptors: Foreign: the mount is not in the process's mount namespace. Covered: another mount lies over its
   * mount point. PathHidden: only over a directory on the way to the file. Absent when not known.
   */
  readonly mount?: 'Visible' | 'Foreign' | 'Covered' | 'PathHidden' | undefined;
  /** Only of files on an overlay that have links left but not this name. */
  readonly overlay?: OverlayEvidence | undefined;
}

export interface ThreadObservation {
  readonly threadId: number;
  /** Deleted files open in this thread's own descriptor table. */
  readonly deletedPaths: readonly string[];
}

export const NAMESPACE_KINDS = ['pid', 'ipc', 'uts', 'time', 'mnt'] as const;
export type NamespaceKind = (typeof NAMESPACE_KINDS)[number];

export interface ProcessObservation {
  readonly pid: number;
  /** One letter of /proc/PID/status: R, S, D, Z, T, t, X, I. */
  readonly state: string;
  readonly threadCount: number;
  /** 0: not traced. */
  readonly tracerPid: number;
  /** Resident anonymous memory and huge pages, bytes. */
  readonly anonymousBytes: number;
  /** Resident shared memory and files of tmpfs that are mapped, bytes: other processes may have the same pages. */
  readonly sharedMemoryBytes: number;
  /** Link texts such as `pid:[4026531836]`; a kind that could not be read is absent. */
  readonly namespaces: Readonly<Partial<Record<NamespaceKind, string>>>;
  readonly files: readonly FileObservation[];
  /** Distinct link texts of anonymous inodes, e.g. `anon_inode:[eventpoll]`. */
  readonly anonymousInodes: readonly string[];
  /** The executable mapping at the lowest address; absent when there is none or maps could not be read. */
  readonly firstExecutableMapping?: { readonly shared: boolean; readonly text: string } | undefined;
  readonly hasUprobes: boolean;
  /** Threads whose descriptor table is not the leader's. */
  readonly threadsApart: readonly ThreadObservation[];
  /** Parts of /proc/PID that were refused: fd, maps, map_files ... */
  readonly unreadable: readonly string[];
}

export interface TreeObservation {
  readonly pid: number;
  /** The root first. */
  readonly processes: readonly ProcessObservation[];
  /** The root ended, or its pid was given to another process, during the scan. */
  readonly rootGone: boolean;
  /** Paths whose state was still asked for when this was sent: file systems that may not answer (FUSE, NFS). */
  readonly pendingPaths: readonly string[];
}
