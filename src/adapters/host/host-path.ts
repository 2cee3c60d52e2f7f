// Finds where the bytes of a host path really are: below the host root, through directories that are safe, over at most one symbolic link at the end.
// The kernel never follows a link for us: each part of the path is looked at, and none that is a link is walked through.
import * as posix from 'node:path/posix';
import { HostFileError } from '../../ports/host-files.ts';
import { orAbsent } from '../errno.ts';
import type { FileCalls, FileStat } from './file-calls.ts';
import { hostFileError } from './host-file-fault.ts';

export interface HostRules {
  /** `/`, or where the host's root is mounted, for example `/host`. */
  readonly hostRoot: string;
  /** Refuse directories that do not belong to root or that others may write to. False only for tests without root. */
  readonly requireRootOwner: boolean;
}

export interface HostPlace {
  /** Where the bytes are, as on the host. */
  readonly targetPath: string;
  /** The same as a path of this process. */
  readonly filePath: string;
  readonly directoryPath: string;
  readonly directoryPresent: boolean;
  readonly stat: FileStat | null;
}

const GROUP_OR_OTHERS_MAY_WRITE = 0o022;

function unsupported(path: string, why: string): HostFileError {
  return new HostFileError('UnsupportedHost', path, null, `${path} is left alone: ${why}`);
}

/**
 * Rejects with HostFileError `UnsupportedHost` when a directory is missing (but for the last), is a link, or may be written to by others than root, when a
 * second link follows the first, and when the end is no regular file; with `ReadFailed` when looking fails.
 */
export async function resolveHostPath(calls: FileCalls, rules: HostRules, path: string): Promise<HostPlace> {
  if (!path.startsWith('/') || posix.normalize(path) !== path || path.endsWith('/'))
    throw unsupported(path, 'not a plain absolute path');
  try {
    const place = await look(calls, rules, path, path);
    return place.stat?.kind === 'link' ? await followLink(calls, rules, path, place) : place;
  } catch (error) {
    throw hostFileError('read', path, error);
  }
}

async function followLink(
  calls: FileCalls,
  rules: HostRules,
  path: string,
  place: HostPlace,
): Promise<HostPlace> {
  const target = posix.resolve('/', posix.dirname(path), await calls.readlink(place.filePath));
  const end = await look(calls, rules, path, target);
  if (!end.directoryPresent) throw unsupported(path, `it is a link to ${target}, which is not reachable`);
  if (end.stat?.kind === 'link') throw unsupported(path, 'it is a link to another link');
  return end;
}

async function look(calls: FileCalls, rules: HostRules, path: string, target: string): Promise<HostPlace> {
  const directory = posix.dirname(target);
  const directoryPresent = await checkDirectories(calls, rules, path, directory);
  const filePath = posix.join(rules.hostRoot, target);
  const stat = directoryPresent ? await orAbsent(calls.lstat(filePath)) : null;
  if (stat !== null && stat.kind !== 'file' && stat.kind !== 'link')
    throw unsupported(path, `${target} is not a regular file`);
  return { targetPath: target, filePath, directoryPath: posix.dirname(filePath), directoryPresent, stat };
}

/** False when only the last directory is missing. */
async function checkDirectories(
  calls: FileCalls,
  rules: HostRules,
  path: string,
  directory: string,
): Promise<boolean> {
  const parts = directory.split('/').filter((part) => part !== '');
  for (let depth = 0; depth <= parts.length; depth += 1) {
    const onHost = `/${parts.slice(0, depth).join('/')}`;
    const stat = await orAbsent(calls.lstat(posix.join(rules.hostRoot, onHost)));
    if (stat === null && depth === parts.length && depth > 0) return false;
    const fault = directoryFault(stat, rules);
    if (fault !== null) throw unsupported(path, `${onHost} ${fault}`);
  }
  return true;
}

function directoryFault(stat: FileStat | null, rules: HostRules): string | null {
  if (stat === null) return 'is missing';
  if (stat.kind === 'link') return 'is a symbolic link';
  if (stat.kind !== 'directory') return 'is not a directory';
  if (!rules.requireRootOwner) return null;
  if (stat.uid !== 0) return `belongs to user ${stat.uid}, not to root`;
  return (stat.mode & GROUP_OR_OTHERS_MAY_WRITE) === 0 ? null : 'may be written to by others than root';
}
