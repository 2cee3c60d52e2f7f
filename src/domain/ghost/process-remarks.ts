// Decides from the state of a process, not of its files, what would make its dump fail or lose something.
import type { DUMP_REASONS } from '../../api/dump-reasons.ts';
import type { ScanRemark } from '../../api/ghost-scan.ts';
import { printable } from '../../api/printable.ts';
import type { ProcessObservation } from '../../api/process-tree.ts';

type BlockerCode = keyof typeof DUMP_REASONS;
type Check = (process: ProcessObservation, root: ProcessObservation) => readonly ScanRemark[];

/** Names the blockers that `process` shows, `root` being the first process of its tree. Each is a reason of DUMP_REASONS. */
export function findBlockers(process: ProcessObservation, root: ProcessObservation): readonly ScanRemark[] {
  return BLOCKER_CHECKS.flatMap((check) => check(process, root));
}

/** Names what a dump of `process` would lose silently, and what of it could not be read. */
export function findWarnings(process: ProcessObservation): readonly ScanRemark[] {
  return [...threadFilesApart(process), ...unreadableParts(process)];
}

const BLOCKER_CHECKS: readonly Check[] = [
  deadRoot,
  deadLeader,
  traced,
  sharedFirstCode,
  uprobes,
  anonymousInodes,
  nestedNamespaces,
];

function deadRoot(process: ProcessObservation, root: ProcessObservation): readonly ScanRemark[] {
  const isDead = process === root && process.state === 'Z' && process.threadCount <= 1;
  return isDead ? [remark('TaskState', `the root process ${process.pid} has ended`)] : [];
}

// The descriptors of such a process are only in /proc/PID/task/TID/fd; CRIU 4.2: "Unable to detach".
function deadLeader(process: ProcessObservation): readonly ScanRemark[] {
  if (process.state !== 'Z' || process.threadCount <= 1) return [];
  return [remark('TaskState', `the first thread of process ${process.pid} has ended, others go on`)];
}

function traced(process: ProcessObservation): readonly ScanRemark[] {
  if (process.tracerPid === 0) return [];
  return [remark('TaskState', `process ${process.pid} is traced by process ${process.tracerPid}`)];
}

// CRIU writes its code into the first executable mapping, which must not be shared with others.
function sharedFirstCode(process: ProcessObservation): readonly ScanRemark[] {
  const first = process.firstExecutableMapping;
  if (first?.shared !== true) return [];
  const where = `the first executable mapping of process ${process.pid} is shared (${printable(first.text, 256)})`;
  return [remark('ParasiteFailed', where)];
}

function uprobes(process: ProcessObservation): readonly ScanRemark[] {
  return process.hasUprobes ? [remark('Uprobes', `a tracer placed uprobes in process ${process.pid}`)] : [];
}

// What CRIU 4.2 criu/files.c dump_one_file knows. BPF maps depend on how CRIU was built and are left to the dump.
const KNOWN_ANONYMOUS_INODES: ReadonlySet<string> = new Set([
  'anon_inode:[eventfd]',
  'anon_inode:[eventpoll]',
  'anon_inode:[fanotify]',
  'anon_inode:[pidfd]',
  'anon_inode:[signalfd]',
  'anon_inode:[timerfd]',
  'anon_inode:bpf-map',
  'anon_inode:inotify',
]);

function anonymousInodes(process: ProcessObservation): readonly ScanRemark[] {
  return process.anonymousInodes
    .filter((text) => !KNOWN_ANONYMOUS_INODES.has(text))
    .map((text) => {
      const code = text === 'anon_inode:[io_uring]' ? 'IoUring' : 'UnsupportedFd';
      return remark(code, `process ${process.pid} has ${printable(text, 256)} open`);
    });
}

// pid, ipc, uts and time namespaces cannot nest; a private mount namespace needs "external mnt[]:ms" (measured on 4.2.1).
function nestedNamespaces(process: ProcessObservation, root: ProcessObservation): readonly ScanRemark[] {
  return Object.entries(process.namespaces).flatMap(([kind, text]) => {
    const outer = root.namespaces[kind as keyof typeof root.namespaces];
    if (outer === undefined || outer === text) return [];
    const code = kind === 'mnt' ? 'MountNoRoot' : 'NestedNamespace';
    return [remark(code, `process ${process.pid} has its own ${kind} namespace`)];
  });
}

// Measured: the dump passes without these files, and after a restore they are gone; so they must not raise the limit.
function threadFilesApart(process: ProcessObservation): readonly ScanRemark[] {
  return process.threadsApart.map(({ threadId, deletedPaths }) => {
    const thread = `thread ${threadId} of process ${process.pid} has its own descriptors, which CRIU does not dump`;
    const first = deletedPaths[0];
    const lost =
      first === undefined ? '' : `; among them ${deletedPaths.length} deleted: ${printable(first, 256)}`;
    return { code: 'ThreadFilesApart', message: thread + lost };
  });
}

function unreadableParts(process: ProcessObservation): readonly ScanRemark[] {
  if (process.unreadable.length === 0) return [];
  const message = `/proc/${process.pid}: no permission to read ${process.unreadable.join(', ')}`;
  return [{ code: 'ProcessUnreadable', message }];
}

function remark(code: BlockerCode, message: string): ScanRemark {
  return { code, message };
}
