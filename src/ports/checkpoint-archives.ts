// The port to the checkpoint archives of the node: what they record inside, how big they are, how much space is left. All paths are the host's.

/** Which file it is, whatever its name: two archives are the same only when all three agree. */
export interface ArchiveFile {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
}

/** What an archive says about itself in config.dump and spec.dump. Never trusted further than for telling archives apart; null: it does not say. */
export interface ArchiveIdentity {
  readonly containerId: string | null;
  readonly containerName: string | null;
  readonly podName: string | null;
  readonly podNamespace: string | null;
  readonly podUID: string | null;
  /** When it was checkpointed, by the archive; RFC 3339. */
  readonly checkpointedTime: string | null;
}

export interface CheckpointArchiveInfo extends ArchiveFile {
  readonly sizeBytes: number;
  /** Modification time, milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Beside it stands `<path>.keep`: people want to keep it. */
  readonly pinned: boolean;
  readonly identity: ArchiveIdentity;
  /** Why it cannot be used, in words to show: cut short, no checkpoint inside, readable by others; null: nothing found. */
  readonly fault: string | null;
}

export type ArchiveRemoval = 'Removed' | 'Gone' | 'Pinned' | 'Replaced';

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface CheckpointArchives {
  /** null: there is no file. Follows symlinks on the way, not at the end. Rejects only for faults of the disk. Reads headers by seeking, extracts nothing. */
  inspect(path: string): Promise<CheckpointArchiveInfo | null>;
  /** Every archive right inside the directory, by what it records and not by its name; files that are no archives are left out. Empty: no such directory. */
  list(directory: string): Promise<readonly CheckpointArchiveInfo[]>;
  /** Directories right inside that are no archives themselves, such as those by container. Empty: no such directory. */
  folders(directory: string): Promise<readonly string[]>;
  /**
   * Deletes that very file (or checkpoint directory), whole or not, when it lies right inside one of `directories`; unless it is pinned. When it was the last thing in
   * that directory, and the directory lies right inside another of `directories` (a folder by container), the empty directory goes too. Symlinks on the way are followed
   * only where nobody but root can have made them, the last part never.
   * Gone: nothing is there. Replaced: another file is, which stays. Rejects for faults of the disk, for paths outside and for other symlinks.
   */
  remove(file: ArchiveFile, directories: readonly string[]): Promise<ArchiveRemoval>;
  /** Of the file system where `directory` is, or its nearest parent that exists. */
  space(directory: string): Promise<DiskSpace>;
}
