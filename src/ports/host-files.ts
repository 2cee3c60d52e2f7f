// The port through which files on the host are read, replaced and watched: the CRIU files, which belong to the node's users.

/** What a file was when it was read. Two equal identities mean: nobody wrote in between. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
  readonly sizeBytes: bigint;
  readonly sha256: string;
}

export interface HostFileSnapshot {
  /** The path asked for, absolute, as on the host. */
  readonly path: string;
  /** Where the bytes really are: `path`, or what its one symbolic link leads to. */
  readonly targetPath: string;
  /** null: there is no such file. An existing empty file has zero bytes. */
  readonly content: Uint8Array | null;
  readonly identity: FileIdentity | null;
  /** False: the directory has to be made before the file can be. */
  readonly directoryPresent: boolean;
}

/** A process that has a file open for writing. `command` is its name as the kernel has it: at most 15 bytes, and any of them. */
export interface FileWriter {
  readonly pid: number;
  readonly command: string;
}

/**
 * `Changed`: somebody wrote since the snapshot was read; nothing was done, read again and decide anew.
 * `BeingWritten`: a process has the file open for writing, and what it writes after a replacement nobody would see; nothing was done, see `writers`.
 */
export type ReplaceOutcome = 'Replaced' | 'Unchanged' | 'Changed' | 'BeingWritten';
export type RemoveOutcome = 'Removed' | 'Absent' | 'Changed' | 'BeingWritten';

export interface ReplaceOptions {
  /** Goes ahead though the file is open for writing. What comes into it later is a late write. Default: false. */
  readonly despiteWriters?: boolean;
}

export interface RemoveOptions extends ReplaceOptions {
  /** Takes the directory away too when nothing else is in it. */
  readonly emptyDirectory: boolean;
}

/** Text that a process wrote into a file after it was replaced or removed: it is in no file that anybody reads. */
export interface LateWrite {
  /** The path that the file was at. */
  readonly path: string;
  /** Which replaced file it is: the same for all that is written into it, one after the other. */
  readonly id: string;
  /** What the file held when it was replaced or removed; later, what it held when its last late write was settled. null: nobody knows any more. */
  readonly before: Uint8Array | null;
  /** What it holds now, up to 16 MiB. */
  readonly content: Uint8Array;
  /** Of `content`, as hexadecimal digits. */
  readonly sha256: string;
  /** Who may write more into it. */
  readonly writers: readonly FileWriter[];
}

export interface HostFiles {
  /**
   * Removes temporary files that a crash of the writer left beside `path` and puts the directory on the disk, so that what a killed process had no time to
   * make durable is durable before anybody reports it. Does its work once in a process. Gives the number of files removed. Rejects with HostFileError.
   */
  recover(path: string): Promise<number>;
  /** Reads at most 1 MiB. Rejects with HostFileError (`UnsupportedHost` for links and directories that are not safe to follow). */
  read(path: string): Promise<HostFileSnapshot>;
  /**
   * Makes the file hold exactly `content`, durably: after the promise resolves a power cut does not take it back; before,
   * a reader, a crash or a power cut sees the old bytes or the new ones, never a mixture. Mode, owner, ACL and extended
   * attributes stay; a new file is 0644 root. A missing directory is made (0755). Rejects with HostFileError; the original is then untouched.
   */
  replace(snapshot: HostFileSnapshot, content: Uint8Array, options?: ReplaceOptions): Promise<ReplaceOutcome>;
  /** Removes the file, durably. */
  remove(snapshot: HostFileSnapshot, options: RemoveOptions): Promise<RemoveOutcome>;
  /** The other processes that have the file at `path` open for writing, as far as this process may see them; none when there is no file. */
  writers(path: string): Promise<readonly FileWriter[]>;
  /**
   * What was written late into files that were replaced or removed at `path`, each until it is settled. A file is looked after for ten minutes, and beyond that, even over
   * the end of this process, as long as somebody was seen to have it open. At most one caller on a host at a time. Rejects with HostFileError.
   */
  lateWrites(path: string): Promise<readonly LateWrite[]>;
  /** To be called when the text is safe elsewhere, durably: only what is written after it is a late write again. */
  settle(late: LateWrite): void;
  /**
   * Calls `onChange` after anything in the directory of `path` changed, or a file that was replaced there was written to, until `signal` aborts. Misses are possible
   * (remounts, network file systems): compare from time to time too. A directory that is not there yet is waited for.
   */
  watch(path: string, onChange: () => void, signal: AbortSignal): void;
  /** Lets go of all replaced files. What is written into them from now on only a later process can find, and only in those that were open when they were replaced. */
  close(): Promise<void>;
}

export type HostFileFailure =
  | 'ReadOnlyFileSystem'
  | 'FileImmutable'
  | 'FileMountedOver'
  | 'FileSystemFull'
  | 'WriteFailed'
  | 'ReadFailed'
  | 'UnsupportedHost';

/** A file operation that could not be done. `code` is the errno name (EROFS, EPERM, ENOSPC ...) where there is one. */
export class HostFileError extends Error {
  override readonly name = 'HostFileError';
  readonly reason: HostFileFailure;
  readonly path: string;
  readonly code: string | null;
  constructor(reason: HostFileFailure, path: string, code: string | null, message: string) {
    super(message);
    this.reason = reason;
    this.path = path;
    this.code = code;
  }
}
