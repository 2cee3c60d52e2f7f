// Turns the error of a file call into a HostFileError: which reason of the registry it is, and what the reader can do.
import { HostFileError, type HostFileFailure } from '../../ports/host-files.ts';
import { errnoName } from '../errno.ts';

const HINTS: Readonly<Partial<Record<HostFileFailure, string>>> = {
  FileMountedOver: 'the file is a mount of its own; mount its directory instead',
  ReadOnlyFileSystem: 'the file system is read-only',
};
const FULL: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

/** EPERM is WriteFailed here; immutable-flags.ts looks closer. */
function reasonOf(what: 'read' | 'write', code: string | null, syscall: unknown): HostFileFailure {
  if (what === 'read') return 'ReadFailed';
  if (code === 'EROFS') return 'ReadOnlyFileSystem';
  if (code === 'EBUSY' && (syscall === 'rename' || syscall === 'unlink')) return 'FileMountedOver';
  return code !== null && code in FULL ? 'FileSystemFull' : 'WriteFailed';
}

/** A HostFileError stays what it is. */
export function hostFileError(what: 'read' | 'write', path: string, error: unknown): HostFileError {
  if (error instanceof HostFileError) return error;
  const code = errnoName(error);
  const syscall = code === null ? null : (error as NodeJS.ErrnoException).syscall;
  const reason = reasonOf(what, code, syscall);
  const text = String(error).replace(/^Error: /, '');
  const hint = what === 'read' ? undefined : (HINTS[reason] ?? FULL[code ?? '']);
  const message = `cannot ${what} ${path}: ${text}${hint === undefined ? '' : ` (${hint})`}`;
  return new HostFileError(reason, path, code, message);
}
