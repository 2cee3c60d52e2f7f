// The table from CRIU's failure messages to reasons. Owns the patterns; what is read from a log and in which order is in classify-failure.ts.
//
// Patterns match the whole start of a message without its module prefix ("inet: "), so that a file name inside a message
// cannot pass for another message. Texts: CRIU 4.2 format strings; older wordings where they differ.
import type { ReasonCode } from '../../api/reasons.ts';
import type { TellingError } from './dump-log.ts';

export interface DumpFailure {
  readonly reason: ReasonCode;
  /** Against the message; groups are free. */
  readonly message: RegExp;
  /** Where the message alone does not tell: one of the lines shortly before it must match. */
  readonly before?: RegExp;
  /** Where the message alone does not tell: the source file of CRIU that printed it. */
  readonly sourceFile?: string;
}

/** A deleted file over the limit: group 1 is the path (greedy: a path may contain " of ", and newlines), group 2 the bytes CRIU compared. */
export const GHOST_LINE = /^Can't dump ghost file ([^]*) of (\d+) size, increase limit/;

/** strerror(ENOSPC) at the end of any message but of those that end in a name of the container. */
export const NO_SPACE_LINE =
  /^(?!Can't lookup mount=|Open files on overmounted|The root task has another root|Unable to dump a file system).*: No space left on device$/;

const GPU_MAPPING =
  /^Handling VMA with the following smaps entry: \S+ \S+ \S+ \S+ \d+ +\/dev\/(?:nvidia|dri\/|kfd)|^handle_device_vma plugin failed/;

/** In order: the first row that matches decides. */
export const DUMP_FAILURES: readonly DumpFailure[] = [
  { reason: 'GhostLimitExceeded', message: GHOST_LINE },
  { reason: 'NoSpace', message: NO_SPACE_LINE },
  { reason: 'NoSpace', message: /^Can't write to [^:]*$/ },

  // Deleted and renamed files: criu/files-reg.c.
  { reason: 'LinkRemapRequired', message: /^Can't create link remap for [^]*Use link-remap option/ },
  { reason: 'LinkRemapFailed', message: /^Can't link remap to / },
  { reason: 'PathReused', message: /^Unaccessible path opened \d+:\d+, need \d+:\d+/ },
  { reason: 'MountNotFound', message: /^Can't lookup mount=-?\d+ for fd=-?\d+ path=/ },
  { reason: 'Overmounted', message: /^Open files on overmounted mounts are not supported yet/ },

  // Sockets: criu/sk-inet.c, sk-unix.c, net.c, netfilter.c.
  { reason: 'TcpEstablished', message: /^Connected TCP socket, consider using --tcp-established option/ },
  { reason: 'TcpInFlight', message: /^In-flight connections? (?:\(l\) for |can be ignored with )/ },
  { reason: 'UnsupportedProtocol', message: /^Unsupported proto \d+ for socket / },
  { reason: 'UnsupportedProtocol', message: /^For Go programs, consider using "GODEBUG=multipathtcp=0"/ },
  { reason: 'UnsupportedProtocol', message: /^Can't dump \d+ inet socket / },
  { reason: 'SocketCorked', message: /^Can't dump corked dgram socket / },
  { reason: 'NetworkLockFailed', message: /^Locking network failed/ },
  { reason: 'NetworkLockFailed', message: /^CRIU was built without libnftables support/ },
  { reason: 'NetworkLockFailed', message: /^execvp\("ip6?tables-restore", \.\.\.\) failed/ },
  { reason: 'ExternalUnixSocket', message: /^External socket is used\. Consider using --ext-unix-sk option/ },
  { reason: 'ExternalUnixStream', message: /^Can't dump half of stream unix connection/ },
  { reason: 'ExternalUnixStream', message: /^Can't dump name-less external socket/ },
  { reason: 'UnixSocketState', message: /^Unix socket \d+ (?:without peer|with unreachable peer) / },
  { reason: 'UnixSocketState', message: /^Dangling connection \d+/ },
  { reason: 'UnixSocketState', message: /^In-flight connection on non-listening socket / },
  { reason: 'UnixSocketState', message: /^Non-empty write queue on an in-flight socket / },
  { reason: 'UnixSocketState', message: /^Found a closed in-flight socket to / },
  { reason: 'UnixSocketState', message: /^Bound socket w\/o inode / },

  // Locks: criu/file-lock.c.
  { reason: 'FileLocks', message: /^Some file locks are hold by dumping tasks! ?You can try --file-locks/ },
  { reason: 'FileLockUnresolved', message: /^Unresolved lock found pid / },
  { reason: 'FileLockUnresolved', message: /^Dump file lock failed!/ },

  // Mappings, devices, descriptors: criu/proc_parse.c, files-ext.c, plugins.
  { reason: 'IoUring', message: /^Unknown shit \d+ \(anon_inode:\[io_uring\]\)/ },
  { reason: 'IoUring', message: /^send_fds failed \(-22\)/ },
  { reason: 'GpuDevice', message: /^Can't handle non-regular mapping on /, before: GPU_MAPPING },
  { reason: 'GpuDevice', message: /^handle_device_vma plugin failed/ },
  { reason: 'GpuDevice', message: /^Can't dump file \d+ of that type \[\d+\] \(chr (?:195|226|511):/ },
  { reason: 'GpuDevice', message: /^(?:CHECKPOINT_DEVICES|PAUSE_DEVICES|RESUME_DEVICES \w+) failed with / },
  { reason: 'UnsupportedDevice', message: /^Can't handle non-regular mapping on / },
  { reason: 'UnsupportedDevice', message: /^Can't dump file \d+ of that type \[\d+\] \((?:chr|blk) / },
  { reason: 'UnsupportedFd', message: /^Can't dump file \d+ of that type \[\d+\] / },
  { reason: 'UnsupportedFd', message: /^Unknown shit \d+ \(/ },
  { reason: 'BpfMap', message: /^CRIU does not currently support dumping BPF map type / },
  { reason: 'Pidfd', message: /^pidfd pid -?\d+ is not a part of process tree/ },
  { reason: 'Pidfd', message: /^PIDFD_THREAD flag is currently not supported/ },
  { reason: 'Inotify', message: /^Can't dump that handle/ },
  { reason: 'Inotify', message: /^Can't find suitable path for handle / },
  { reason: 'Inotify', message: /^Unable to lookup a mount by dev / },
  { reason: 'EpollEscaped', message: /^Escaped\/closed fd descriptor \d+ on pid / },

  // Mounts: criu/mount.c, mount-v2.c, filesystems.c.
  { reason: 'MountNoRoot', message: /^\d+:.* doesn't have a proper root mount/ },
  { reason: 'MountSharing', message: /^Mount \d+ .*has unreachable sharing\. Try --enable-external-masters/ },
  { reason: 'MountUnsupportedFs', message: /^FS mnt .* unsupported id \d+/ },
  { reason: 'MountOther', message: /^Mount \d+ has two children with same mountpoint/ },
  { reason: 'MountOther', message: /^The root task has another root than mntns/ },
  { reason: 'MountOther', message: /^Unable to dump a file system for / },
  { reason: 'MountOther', message: /^\S+ isn't empty$/, sourceFile: 'filesystems.c' },
  { reason: 'MountOther', message: /^failed to dump fs .*: always fail/ },
  { reason: 'MountOther', message: /^.* is a fuse mount but not external/, sourceFile: 'filesystems.c' },
  { reason: 'MountOther', message: /^Second binfmt_misc superblock/ },
  { reason: 'MountOther', message: /^(?:binfmt_misc: )?unsupported feature / },
  { reason: 'TmpfsContent', message: /^Can't dump tmpfs content/ },

  // Namespaces, sessions, terminals: criu/namespaces.c, cr-dump.c, pstree.c, tty.c.
  { reason: 'NestedNamespace', message: /^Can't dump nested \S+ namespace for / },
  { reason: 'NestedNamespace', message: /^Nested mount namespaces are not supported / },
  { reason: 'PidNamespace', message: /^Can't dump a pid namespace without the process init/ },
  { reason: 'SessionOutside', message: /^A session leader of .* is outside of its pid namespace/ },
  {
    reason: 'ShellJob',
    message: /^The root process \d+ is not a session leader\. Consider using --shell-job/,
  },
  { reason: 'ShellJob', message: /^Found dangling tty with sid / },
  { reason: 'ShellJob', message: /^ctty inheritance detected sid\/pgrp / },
  { reason: 'SysVShm', message: /^Task \d+ with SysVIPC shmem map @.* doesn't live in IPC ns/ },

  // Tasks: criu/seccomp.c, cr-dump.c, seize.c, compel.
  { reason: 'Seccomp', message: /^Can't (?:fetch|collect) filter on / },
  { reason: 'Seccomp', message: /^Can't fetch seccomp metadata on / },
  { reason: 'Rseq', message: /^\d+ has rseq but kernel lacks get_rseq_conf feature/ },
  { reason: 'Uprobes', message: /^PID \d+ has uprobes vma\. Consider using --allow-uprobes/ },
  { reason: 'FreezeFailed', message: /^Unable to freeze cgroup / },
  { reason: 'FreezeFailed', message: /^Timeout reached\. Try to interrupt: / },
  { reason: 'FreezeFailed', message: /^zombie \d+ \(comm .*\) found while seizing/ },
  { reason: 'FreezeFailed', message: /^Unknown freezer state: / },
  { reason: 'TaskState', message: /^Zombies with threads are not supported/ },
  { reason: 'TaskState', message: /^Zombie thread not supported/ },
  { reason: 'TaskState', message: /^Individually stopped threads not supported/ },
  { reason: 'TaskState', message: /^A root task is dead/ },
  { reason: 'ParasiteFailed', message: /^Can't infect \(pid: \d+\) with parasite/ },
  { reason: 'ParasiteFailed', message: /^\d+ was (?:killed|stopped) by \d+ unexpectedly/ },
  { reason: 'ParasiteFailed', message: /^\d+ exited with \d+ unexpectedly/ },

  // CRIU against its kernel and its rights: criu/kerndat.c, vdso.c, crtools.c, config.c, apparmor.c, cr-check.c.
  { reason: 'KernelTooNew', message: /^Unexpected rt vDSO area bounds/ },
  { reason: 'KernelTooNew', message: /^kerndat_\S+(?: has)? failed when initializing kerndat/ },
  { reason: 'KernelTooNew', message: /^Could not initialize kernel features detection/ },
  { reason: 'KernelTooNew', message: /^Kernel reports more capabilities than this CRIU supports/ },
  { reason: 'MemoryTracking', message: /^Tracking memory is not available\. Consider omitting --track-mem/ },
  // What is left of the option parser comes only through crun, which passes CRIU's stderr on.
  { reason: 'ConfigInvalid', message: /^/, sourceFile: 'config.c' },
  { reason: 'AppArmor', message: /^walking AA namespace .* failed/ },
  { reason: 'AppArmor', message: /^failed to collect AA namespace/ },
  { reason: 'AppArmor', message: /^(?:couldn't|failed to|scandir failed)/, sourceFile: 'apparmor.c' },
  {
    reason: 'Capability',
    message: /^CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE capability/,
  },
];

/** The first row for an error line and the lines before it; null: none matches. */
export function matchDumpFailure({ line, before }: TellingError): DumpFailure | null {
  const message = withoutModulePrefix(line.message);
  return (
    DUMP_FAILURES.find((row) => {
      if (!row.message.test(message)) return false;
      if (row.sourceFile !== undefined && row.sourceFile !== line.sourceFile) return false;
      const { before: context } = row;
      return context === undefined || before.some((earlier) => context.test(earlier.message));
    }) ?? null
  );
}

/** The message without the LOG_PREFIX of CRIU's module ("inet: ") and the tab that some messages go on with. */
export function withoutModulePrefix(message: string): string {
  return message.replace(/^[a-z][a-z0-9_-]*: /, '').trimStart();
}
