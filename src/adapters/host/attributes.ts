// Gives a file that takes another's place its owner, mode, ACL and extended attributes (an SELinux label is one).
//
// Node has no call for extended attributes, and stat(2) does not tell whether a file has any; GNU cp copies them in 2 ms (the rest of a write takes under 0.5 ms).
// A process that only looks for attributes costs as much (tar 2.3 ms), so there is no point in looking first. But a file that we ourselves made, and that nobody has
// touched since (same inode, same ctime: setting an attribute changes it), has none that the next would not get alike from its directory: no cp then.
// That is the usual case, as nodes seldom have a CRIU file before us.
import { CommandNotFound, type ProcessRunner } from '../../ports/process-runner.ts';
import type { TemporaryFile } from './durable-file.ts';
import type { FileCalls, FileStat } from './file-calls.ts';
import type { HostPlace } from './host-path.ts';

const NEW_FILE_MODE = 0o644;
const CP_TIMEOUT_MS = 10_000;

export interface AttributeKeeper {
  /** Gives the temporary file what the file at `place` has; a new file becomes 0644, and root's. Fails rather than to lose an attribute. */
  copyTo(file: TemporaryFile, place: HostPlace): Promise<void>;
  /** Called after a rename: notes the file as ours. */
  remember(place: HostPlace): Promise<void>;
}

/** Without a ProcessRunner only owner and mode are kept. */
export function attributeKeeper(
  calls: FileCalls,
  options: { readonly processes: ProcessRunner | null; readonly requireRootOwner: boolean },
): AttributeKeeper {
  const { processes } = options;
  /** By path: the files that we made without an original, as they were afterwards. */
  const made = new Map<string, string>();

  const isMade = (place: HostPlace): boolean =>
    place.stat === null || made.get(place.filePath) === marksOf(place.stat);

  return {
    copyTo: async ({ path, fd }, place) => {
      if (processes !== null && !isMade(place)) {
        await copyAttributes(processes, place.filePath, path);
        return;
      }
      const now = await calls.fstat(fd);
      const { uid, gid } = place.stat ?? newFileOwner(now, options.requireRootOwner);
      if (now.uid !== uid || now.gid !== gid) await calls.chown(fd, uid, gid);
      await calls.chmod(fd, place.stat?.mode ?? NEW_FILE_MODE);
    },
    remember: async (place) => {
      if (processes === null || !isMade(place)) return;
      made.set(place.filePath, marksOf(await calls.lstat(place.filePath)));
    },
  };
}

/** Root's, also in a directory that gives its group to what is made in it. */
function newFileOwner(now: FileStat, requireRootOwner: boolean): Pick<FileStat, 'uid' | 'gid'> {
  return requireRootOwner ? { uid: 0, gid: 0 } : now;
}

function marksOf(stat: FileStat): string {
  return `${stat.dev.toString()}:${stat.ino.toString()}:${stat.ctimeNs.toString()}`;
}

async function copyAttributes(processes: ProcessRunner, from: string, to: string): Promise<void> {
  const args = ['--preserve=all', '--attributes-only', '--no-dereference', '--', from, to];
  try {
    const result = await processes.run('cp', args, { timeoutMs: CP_TIMEOUT_MS });
    if (result.exitCode === 0) return;
    throw new Error(
      `cp failed to keep its attributes: ${result.timedOut ? 'timed out' : result.stderr.trim()}`,
    );
  } catch (error) {
    if (!(error instanceof CommandNotFound)) throw error;
    throw new Error('GNU cp is needed to keep its ACL and extended attributes, and was not found', {
      cause: error,
    });
  }
}
