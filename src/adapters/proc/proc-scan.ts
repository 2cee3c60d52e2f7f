// Observes a process and its descendants in one synchronous pass over /proc. Runs in a child process, since a stat may
// wait for ever; never freezes, signals or changes the processes it looks at.
import type { TreeObservation } from '../../api/process-tree.ts';
import { ScanFailed } from '../../ports/ghost-scanner.ts';
import { parseMountTable, type MountTable } from './mount-table.ts';
import type { ProcessView } from './observe-file.ts';
import { gatherProcess, readNamespaces, type OrdinaryFiles, type PendingFile } from './observe-process.ts';
import { GONE, isAbsence, listProc, readProcLink, readProcText, REFUSED } from './proc-entry.ts';
import { listDescendants, readStartTime, readStatus, type ProcessStatus } from './process-table.ts';

export interface ProcScanOptions {
  /** Where the host's /proc is seen, e.g. /host/proc. */
  readonly procRoot: string;
  /** Gets what was seen before files are asked for whose file system may not answer; called at most once. */
  readonly onPartial?: (tree: TreeObservation) => void;
}

/**
 * Observes the tree of `rootPid`. Processes and descriptors that end meanwhile are left out. Throws ScanFailed
 * ProcessNotFound or PermissionDenied for the root only; what may not be read of others is in their `unreadable`.
 */
export function scanProcessTree(rootPid: number, options: ProcScanOptions): TreeObservation {
  const { procRoot } = options;
  const rootStatus = readRootStatus(procRoot, rootPid);
  const startTime = readStartTime(procRoot, rootPid);
  const scan = new TreeScan(procRoot);
  for (const pid of listDescendants(procRoot, rootPid)) {
    const status = pid === rootPid ? rootStatus : readStatus(procRoot, pid);
    if (!isAbsence(status)) scan.add(pid, status);
  }
  const toTree = (pending: readonly PendingFile[]): TreeObservation => ({
    pid: rootPid,
    processes: scan.processes,
    rootGone: readStartTime(procRoot, rootPid) !== startTime,
    pendingPaths: pending.map(({ text }) => text),
  });
  if (scan.pending.length === 0) return toTree([]);
  options.onPartial?.(toTree(scan.pending));
  for (const file of scan.pending) file.finish();
  return toTree([]);
}

function readRootStatus(procRoot: string, pid: number): ProcessStatus {
  const status = readStatus(procRoot, pid);
  if (status === REFUSED) throw new ScanFailed('PermissionDenied', `/proc/${pid}/status may not be read`);
  if (status === GONE) throw new ScanFailed('ProcessNotFound', `there is no process ${pid}`);
  if (status.threadGroupId !== pid) {
    throw new ScanFailed(
      'ProcessNotFound',
      `${pid} is a thread of process ${status.threadGroupId}, not a process`,
    );
  }
  if (status.state !== 'Z' && listProc(`${procRoot}/${pid}/fd`) === REFUSED) {
    throw new ScanFailed('PermissionDenied', `the descriptors of process ${pid} may not be read`);
  }
  return status;
}

class TreeScan {
  readonly processes: TreeObservation['processes'][number][] = [];
  readonly pending: PendingFile[] = [];
  readonly #procRoot: string;
  readonly #ordinary: OrdinaryFiles = new Set();
  readonly #namespaceViews = new Map<string, Pick<ProcessView, 'mounts' | 'nameRoot'>>();

  constructor(procRoot: string) {
    this.#procRoot = procRoot;
  }

  add(pid: number, status: ProcessStatus): void {
    const directory = `${this.#procRoot}/${pid}`;
    const namespaces = readNamespaces(directory);
    const view = this.#viewOf(directory, namespaces.mnt);
    const { process, pending } = gatherProcess({ pid, status, namespaces, view }, this.#ordinary);
    this.processes.push(process);
    this.pending.push(...pending);
  }

  /** Mounts are read once for each mount namespace, from a process that sees all of it: one that is not in a chroot. */
  #viewOf(directory: string, mountNamespace: string | undefined): ProcessView {
    const base = { directory, hostRoot: this.#procRoot === '/proc' ? '' : `${this.#procRoot}/1/root` };
    const key = mountNamespace ?? directory;
    let shared = this.#namespaceViews.get(key);
    if (shared === undefined) {
      const seen = readNamespaceView(directory);
      if (seen.nameRoot === undefined) return { ...base, ...seen };
      shared = seen;
      this.#namespaceViews.set(key, shared);
    }
    return { ...base, ...shared };
  }
}

function readNamespaceView(directory: string): Pick<ProcessView, 'mounts' | 'nameRoot'> {
  const text = readProcText(`${directory}/mountinfo`);
  const mounts: MountTable | undefined = isAbsence(text) ? undefined : parseMountTable(text);
  const seesAll = readProcLink(`${directory}/root`) === '/';
  return { mounts, nameRoot: seesAll ? `${directory}/root` : undefined };
}
