// Turns the error of a file call into a HostFileError: which reason of the registry it is, and what the reader can do.
import { HostFileError, type HostFileFailure } from '../../ports/host-files.ts';
import { errnoName } from './file-calls.ts';

const HINTS: Readonly<Record<string, string>> = {
  EBUSY: 'the file is a mount of its own; mount its directory instead',
  EPERM: 'the file or its directory is immutable (chattr +i), or a security module forbids it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

function reasonOf(what: 'read' | 'write', code: string | null): HostFileFailure {
  if (what === 'read') return 'ReadFailed';
  if (code === 'EROFS') return 'ReadOnlyFileSystem';
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'NoSpace' : 'WriteFailed';
}

/** A HostFileError stays what it is. */
export function hostFileError(what: 'read' | 'write', path: string, error: unknown): HostFileError {
  if (error instanceof HostFileError) return error;
  const code = errnoName(error);
  const text = String(error).replace(/^Error: /, '');
  const hint = code === null || what === 'read' ? undefined : HINTS[code];
  const message = `cannot ${what} ${path}: ${text}${hint === undefined ? '' : ` (${hint})`}`;
  return new HostFileError(reasonOf(what, code), path, code, message);
}
