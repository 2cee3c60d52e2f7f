// Makes sure that a folder is the root of the host, for a program that runs in a container.
import { stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';

const ADVICE = 'start the container with --privileged --pid=host -v /:/host:rslave, and name that folder';

/**
 * Rejects unless `hostRoot` is the root of process 1, which it is in a container that shares the host's pid namespace and has its root mounted there. All else
 * rests on it: pids of engines, locks between programs, and the programs of the host, which are run beside process 1.
 */
export async function checkHostRoot(hostRoot: string): Promise<void> {
  if (hostRoot === '/') return;
  if (posix.resolve(hostRoot) !== hostRoot)
    throw new Error(`--host-root ${hostRoot}: write a plain absolute path, such as /host`);
  const [named, first] = await Promise.all([identityOf(hostRoot), identityOf('/proc/1/root')]).catch(
    (error: unknown) => {
      throw new Error(`--host-root ${hostRoot}: ${(error as Error).message}: ${ADVICE}`, { cause: error });
    },
  );
  if (named !== first)
    throw new Error(`--host-root ${hostRoot} is not the root of the host's process 1: ${ADVICE}`);
}

async function identityOf(directory: string): Promise<string> {
  const { dev, ino } = await stat(`${directory}/.`, { bigint: true });
  return `${dev.toString()}:${ino.toString()}`;
}
