// Reasons for which CRIU refuses to dump a container, one for each class of its failure messages. Entries only; matching is in domain/checkpoint.
import type { Reason } from './reason.ts';

export const DUMP_REASONS = {
  GhostLimitExceeded: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A deleted file that is still open or mapped is larger than the ghost-limit of CRIU.',
    remedy: 'Set ghostLimit of a matching CheckpointPolicy to at least the size of the file.',
  },
  LinkRemapRequired: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A file that is in use lost the name it was opened by but still exists under another name.',
    remedy: 'Allow the option LinkRemap (CRIU: link-remap).',
  },
  LinkRemapFailed: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU may not make the temporary hard link that it needs for a deleted file.',
    remedy: 'Restart the workload, or keep that file on a writable volume that allows hard links.',
  },
  PathReused: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The path of a file that is in use now names another file.',
    remedy: 'Restart the workload, then take the checkpoint again.',
  },
  TcpEstablished: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds a connected TCP socket.',
    remedy:
      'Allow the option TcpEstablished (keep the connection) or TcpClose (drop it at restore); the restore needs the same option.',
  },
  TcpInFlight: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A TCP connection that is not accepted yet waits on a listening socket.',
    remedy: 'Try again, or allow the option TcpSkipInFlight (CRIU: skip-in-flight).',
  },
  UnsupportedProtocol: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds a socket of a kind that CRIU does not know, such as MPTCP or SCTP.',
    remedy: 'Do not use that protocol; for programs in Go set GODEBUG=multipathtcp=0.',
  },
  SocketCorked: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A socket is corked: it holds data that was not sent yet.',
    remedy: 'Try again.',
  },
  NetworkLockFailed: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU could not lock the network of the container.',
    remedy:
      'Install iptables on the node and load xt_mark, or set "network-lock nftables" in the CRIU file of the node.',
  },
  ExternalUnixSocket: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container is connected to a unix datagram socket outside of it.',
    remedy: 'Allow the option ExtUnixSockets (CRIU: ext-unix-sk); it helps for datagram sockets only.',
  },
  ExternalUnixStream: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds one end of a unix stream connection whose other end is outside of it.',
    remedy:
      'Close the connection to the socket of the host (engine, dbus, log agent) before the checkpoint. No option helps.',
  },
  UnixSocketState: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A unix socket is in the middle of being connected or closed.',
    remedy: 'Try again.',
  },
  FileLocks: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds file locks.',
    remedy: 'Allow the option FileLocks (CRIU: file-locks); the restore needs the same option.',
  },
  FileLockUnresolved: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A file lock is shared with a process outside of the container.',
    remedy: 'Release the lock, or end the process that shares it.',
  },
  IoUring: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container uses io_uring, which CRIU cannot dump.',
    remedy:
      'Deny io_uring_setup by seccomp (the default profile of the container engine does it), so that the program falls back.',
  },
  GpuDevice: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container uses a GPU and no working plugin of CRIU saves its state.',
    remedy:
      'NVIDIA: CRIU 4.0 or newer with the cuda plugin and cuda-checkpoint. AMD: the amdgpu plugin. Set libdir in the CRIU file of the node.',
  },
  UnsupportedDevice: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds a device open that CRIU cannot dump.',
    remedy: 'Close the device before the checkpoint.',
  },
  UnsupportedFd: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds a file descriptor of a kind that CRIU cannot dump.',
    remedy: 'Close it before the checkpoint (perf_event, userfaultfd, bpf, landlock and the like).',
  },
  BpfMap: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds a BPF map of a type that CRIU cannot dump.',
    remedy: 'Close the map before the checkpoint.',
  },
  Pidfd: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container holds a pidfd of a thread or of a process outside of it.',
    remedy: 'Close the pidfd before the checkpoint.',
  },
  Inotify: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container watches a file by inotify that CRIU cannot find again.',
    remedy:
      'Watch files on a volume instead of the image. For other file systems than overlay "force-irmap" in the CRIU file may help.',
  },
  EpollEscaped: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'An epoll descriptor watches a file descriptor that was closed or passed away.',
    remedy: 'Remove descriptors from epoll before they are closed; try again.',
  },
  MountNotFound: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'An open file lies on a mount that is not in the mount namespace of the container.',
    remedy:
      'Give the container no file of the host as stdin, stdout or stderr, end sessions started by exec, or update the kernel.',
  },
  Overmounted: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'An open file is hidden under a later mount.',
    remedy: 'Close the file, or remove the mount over it.',
  },
  MountNoRoot: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A bind mount of the container is not known to the container runtime.',
    remedy:
      'Make the mount through the runtime, or declare it by "external mnt[]" in the CRIU file of the node.',
  },
  MountSharing: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A mount of the container shares its events with a mount outside of it.',
    remedy: 'Set "enable-external-masters" in the CRIU file of the node, or mount it private.',
  },
  MountUnsupportedFs: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A file system is mounted in the container that CRIU does not know.',
    remedy: 'Make it a bind mount from the host, or remove it from the container.',
  },
  MountOther: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU cannot dump one of the mounts of the container.',
    remedy: 'Remove that mount from the container.',
  },
  TmpfsContent: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU could not save the content of a tmpfs.',
    remedy: 'Install tar on the node where CRIU finds it, and check the free space.',
  },
  NestedNamespace: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A process of the container lives in a namespace of its own.',
    remedy: 'Turn off sandboxes inside the container (browser, bubblewrap, systemd).',
  },
  PidNamespace: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The init process of the pid namespace is not in the container.',
    remedy: 'Do not share the process namespace between the containers of the pod.',
  },
  SessionOutside: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A process of the container belongs to a session outside of it.',
    remedy: 'End the sessions started by exec, then try again.',
  },
  ShellJob: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container uses a terminal of a session outside of it.',
    remedy: 'Allow the option ShellJob (CRIU: shell-job); the restore needs the same option.',
  },
  SysVShm: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container uses System V shared memory of the host.',
    remedy: 'Run it without hostIPC.',
  },
  Seccomp: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU could not read the seccomp filters of the container.',
    remedy:
      'The kernel needs CONFIG_CHECKPOINT_RESTORE, and CRIU CAP_SYS_ADMIN and no seccomp filter itself.',
  },
  Rseq: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The program uses restartable sequences and the kernel cannot tell where.',
    remedy: 'Use kernel 5.13 or newer, or set GLIBC_TUNABLES=glibc.pthread.rseq=0 in the container.',
  },
  Uprobes: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A tracer placed uprobes in a process of the container.',
    remedy: 'Detach the tracer, or set "allow-uprobes" (CRIU 4.2) in the CRIU file of the node.',
  },
  FreezeFailed: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The processes of the container could not be frozen in time.',
    remedy:
      'Look for processes in uninterruptible sleep (state D); try again, or set "timeout 60" in the CRIU file.',
  },
  TaskState: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'A process of the container is stopped, traced or half dead.',
    remedy: 'Detach the debugger or let the process end, then try again.',
  },
  ParasiteFailed: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU could not run its code in a process of the container.',
    remedy:
      'Check the memory limit of the container and denials by AppArmor, SELinux or seccomp; the log has more in the line before.',
  },
  KernelTooNew: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The CRIU of the node is too old for its kernel.',
    remedy: 'Install a newer CRIU on the node.',
  },
  MemoryTracking: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The kernel cannot track changed memory.',
    remedy: 'Do not set "track-mem" in the CRIU file of the node.',
  },
  AppArmor: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU could not read the AppArmor profiles of the container.',
    remedy: 'Mount securityfs on the node where CRIU can read it.',
  },
  Capability: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU runs without the capabilities that it needs.',
    remedy: 'Run the container engine as root.',
  },
} as const satisfies Record<string, Reason>;
