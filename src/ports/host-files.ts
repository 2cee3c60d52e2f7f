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

/** `Changed`: somebody wrote since the snapshot was read; nothing was done, read again and decide anew. */
export type ReplaceOutcome = 'Replaced' | 'Unchanged' | 'Changed';
export type RemoveOutcome = 'Removed' | 'Absent' | 'Changed';

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
  replace(snapshot: HostFileSnapshot, content: Uint8Array): Promise<ReplaceOutcome>;
  /** Removes the file, durably; with `emptyDirectory` also its directory when nothing else is in it. */
  remove(snapshot: HostFileSnapshot, options: { readonly emptyDirectory: boolean }): Promise<RemoveOutcome>;
  /**
   * Calls `onChange` after anything in the directory of `path` changed, until `signal` aborts. Misses are possible (remounts, network
   * file systems): compare from time to time too. A directory that is not there yet is waited for.
   */
  watch(path: string, onChange: () => void, signal: AbortSignal): void;
}

export type HostFileFailure =
  'ReadOnlyFileSystem' | 'WriteFailed' | 'ReadFailed' | 'UnsupportedHost' | 'NoSpace';

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
