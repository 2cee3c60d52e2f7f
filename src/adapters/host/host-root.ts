// Makes sure that a folder is the root of the host, for a program that runs in a container.
import { readFile, stat } from 'node:fs/promises';
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

/**
 * Rejects unless a /proc from outside is mounted below `hostRoot`, for a container that shares no namespace with the host and has only some of its directories. By
 * that /proc containers are found, and locks between programs hold: there every process has one pid for all, while in the container's own /proc each container has
 * a process 1.
 */
export async function checkConfinedRoot(hostRoot: string): Promise<void> {
  const [own, onHost] = await Promise.all(['/proc', `${hostRoot}/proc`].map((path) => pidsOfSelf(path)));
  if (own === undefined || onHost === undefined || onHost <= own)
    throw new Error(`--host-root ${hostRoot}: mount the /proc of the host at ${hostRoot}/proc`);
}

/** In how many pid namespaces, from that of the /proc inwards, this process has a pid; 0: there is no such /proc. */
async function pidsOfSelf(procRoot: string): Promise<number> {
  const status = await readFile(`${procRoot}/self/status`, 'utf8').catch(() => '');
  return /^NSpid:\t(.*)$/m.exec(status)?.[1]?.split('\t').length ?? 0;
}

async function identityOf(directory: string): Promise<string> {
  const { dev, ino } = await stat(`${directory}/.`, { bigint: true });
  return `${dev.toString()}:${ino.toString()}`;
}
