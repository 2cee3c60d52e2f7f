// Why the kernel forbids root to change a file or the names in its directory (EPERM): most often the immutable or append-only flag, which chattr sets and lsattr shows.
import * as posix from 'node:path/posix';
import { HostFileError } from '../../ports/host-files.ts';
import { CommandNotFound, type ProcessRunner } from '../../ports/process-runner.ts';
import { errnoName } from '../errno.ts';
import { hostFileError } from './host-file-fault.ts';
import type { HostPlace } from './host-path.ts';

const LSATTR_TIMEOUT_MS = 5_000;
/** The calls that the flags forbid. EPERM of others, such as chown, has other causes. */
const FORBIDDEN: readonly unknown[] = ['open', 'link', 'rename', 'unlink', 'mkdir', 'rmdir'];

/** As hostFileError for a write, but says `FileImmutable` where one of the flags is the cause, and names what has it. `processes` runs lsattr; null: nobody can. */
export async function writeFault(
  processes: ProcessRunner | null,
  place: HostPlace,
  path: string,
  error: unknown,
): Promise<HostFileError> {
  const fault = hostFileError('write', path, error);
  if (fault === error || fault.code !== 'EPERM' || !FORBIDDEN.includes(syscallOf(error))) return fault;
  const flags = processes === null ? null : await readFlags(processes, place);
  if (flags === null) {
    const why =
      'the file or its directory is immutable or append-only (chattr +i, +a), or a security module forbids it';
    return immutable(fault, why);
  }
  const [set] = flags;
  if (set === undefined) {
    const why =
      'neither file nor directory is immutable: a security module forbids it, or a capability is missing';
    return new HostFileError(fault.reason, path, fault.code, `${fault.message} (${why})`);
  }
  const word = set.flag === 'i' ? 'immutable' : 'append-only';
  return immutable(fault, `${set.hostPath} is ${word}: chattr -${set.flag} ${set.hostPath}`);
}

function immutable({ path, code, message }: HostFileError, why: string): HostFileError {
  return new HostFileError('FileImmutable', path, code, `${message} (${why})`);
}

function syscallOf(error: unknown): unknown {
  return errnoName(error) === null ? undefined : (error as NodeJS.ErrnoException).syscall;
}

interface SetFlag {
  readonly flag: 'i' | 'a';
  readonly hostPath: string;
}

/** Which of file and directory have one; null: lsattr is not there, or the file system does not say. */
async function readFlags(processes: ProcessRunner, place: HostPlace): Promise<readonly SetFlag[] | null> {
  const hostPaths = pathsOf(place);
  const output = (await runLsattr(processes, [...hostPaths.keys()])) ?? '';
  const told = output.split('\n').flatMap((line) => {
    const [, flags = '', path = ''] = /^(\S+) +(.*)$/.exec(line) ?? [];
    const hostPath = hostPaths.get(path);
    return hostPath === undefined ? [] : [{ flags, hostPath }];
  });
  if (told.length === 0) return null;
  return (['i', 'a'] as const).flatMap((flag) =>
    told.filter(({ flags }) => flags.includes(flag)).map(({ hostPath }) => ({ flag, hostPath })),
  );
}

/** Of what is there, as this process has it → as on the host. */
function pathsOf({
  filePath,
  directoryPath,
  targetPath,
  directoryPresent,
  stat,
}: HostPlace): Map<string, string> {
  const paths = new Map<string, string>();
  if (stat !== null) paths.set(filePath, targetPath);
  if (directoryPresent) paths.set(directoryPath, posix.dirname(targetPath));
  return paths;
}

async function runLsattr(processes: ProcessRunner, paths: readonly string[]): Promise<string | null> {
  try {
    return (await processes.run('lsattr', ['-d', '--', ...paths], { timeoutMs: LSATTR_TIMEOUT_MS })).stdout;
  } catch (error) {
    if (error instanceof CommandNotFound) return null;
    throw error;
  }
}
