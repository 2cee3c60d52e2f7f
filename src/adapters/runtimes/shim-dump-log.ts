// Finds the dump.log that containerd's shim copies away when a checkpoint through it failed.
import type { RuntimeCheckpointError } from '../../ports/container-runtime.ts';
import { readFreshLog } from './dump-log-file.ts';
import type { CallWindow } from './dump-log-file.ts';
import { pathOnHost } from './path-on-host.ts';

/** The shim names the place, which depends on containerd's state folder, in its error. null: it names none, or no log of this very call is there. */
export async function readShimLog(
  errorMessage: string,
  window: CallWindow,
  hostRoot: string,
): Promise<RuntimeCheckpointError['dumpLog']> {
  const path = /path= (\/[^\n]*\/criu-dump\.log)/.exec(errorMessage)?.[1];
  if (path === undefined) return null;
  const text = await readFreshLog(await pathOnHost(hostRoot, path), window);
  return text === null ? null : { path, text };
}
