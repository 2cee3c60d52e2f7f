// Reasons said of a node: its CRIU files, its agent, its host. Entries only.
import type { Reason } from './reason.ts';

export const NODE_REASONS = {
  InSync: {
    subject: 'Node',
    severity: 'Info',
    sentence: 'The CRIU files of the node say what the policies ask for.',
    remedy: 'Nothing to do.',
  },
  ForeignLimitSuffices: {
    subject: 'Node',
    severity: 'Info',
    sentence: 'A line that is not ours already sets a ghost-limit that is high enough.',
    remedy: 'Nothing to do.',
  },
  OverriddenByForeignLine: {
    subject: 'Node',
    severity: 'Warning',
    sentence:
      'A line that is not ours, below our lines or in a file that CRIU reads later, gives another value.',
    remedy: 'Remove or change the line that the message names.',
  },
  ForeignLineInvalid: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'CRIU refuses the file because of a line that is not ours; nothing was written.',
    remedy: 'Correct the line that the message names; "ghostlimit lint" prints the right one.',
  },
  HiddenByAnnotation: {
    subject: 'Node',
    severity: 'Warning',
    sentence:
      'A container names another CRIU file by the OCI annotation org.criu.config, so that runc.conf does not count for it.',
    remedy: 'Create the container without the annotation, or set the limit in the file that it names.',
  },
  HiddenByCrunConf: {
    subject: 'Node',
    severity: 'Warning',
    sentence: 'The runtime crun reads /etc/criu/crun.conf and therefore not /etc/criu/runc.conf.',
    remedy: 'Let ghostlimit keep crun.conf too (setting "files"), or remove that file.',
  },
  FileNotKept: {
    subject: 'Node',
    severity: 'Warning',
    sentence: 'A runtime of the node reads a CRIU file that ghostlimit does not keep.',
    remedy: 'Set "files" to auto, or add the file that the message names.',
  },
  OptionOverruled: {
    subject: 'Node',
    severity: 'Warning',
    sentence:
      'A runtime sets an option itself in each dump, and reads no CRIU file that could say otherwise.',
    remedy: 'Install crun 1.26 or newer with libcriu 4.2 or newer, so that it reads /etc/criu/runc.conf.',
  },
  Contended: {
    subject: 'Node',
    severity: 'Warning',
    sentence: 'Another program writes the same file again and again.',
    remedy: 'Let only one program manage the CRIU file: find the other one and take our lines out of it.',
  },
  FileBeingWritten: {
    subject: 'Node',
    severity: 'Warning',
    sentence: 'Another program has the CRIU file open for writing; our lines come when it has closed it.',
    remedy:
      'Wait: the agent goes ahead by itself after half a minute. If it was a command that said this, close the file in the program that the message names, and run it again.',
  },
  LateWriteKept: {
    subject: 'Node',
    severity: 'Warning',
    sentence:
      'A program wrote into the CRIU file after it had been replaced, and meanwhile somebody else had changed it: that text is not in the file.',
    remedy:
      'Put what is still wanted of it into the CRIU file; then remove the document that the message names from the state folder.',
  },
  FileImmutable: {
    subject: 'Node',
    severity: 'Error',
    sentence:
      'The kernel forbids to replace the CRIU file, as it or its directory is immutable or append-only.',
    remedy:
      'Take the flag away with "chattr -i" or "chattr -a" from what the message names, or set the limit in the file by hand.',
  },
  FileMountedOver: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'The CRIU file is a mount of its own, so that no other file can take its place.',
    remedy: 'Mount the directory /etc/criu in place of the single file, or unmount the file.',
  },
  FileSystemFull: {
    subject: 'Node',
    severity: 'Error',
    sentence:
      'The file system or quota of a file on the node has no room for a new one; the original is untouched.',
    remedy: 'Free space or inodes on the file system that the message speaks of.',
  },
  WriteFailed: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'A file on the node could not be written; the original is untouched.',
    remedy: 'See the message for the cause: permissions, a security module, a failing disk.',
  },
  ReadFailed: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'A file on the node could not be read.',
    remedy: 'See the message for the cause: permissions, a directory in place of the file, a failing disk.',
  },
  ReadOnlyFileSystem: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'The CRIU file lies on a read-only file system.',
    remedy:
      'Make /etc/criu writable on the node (an overlay or a bind mount), or set the limit in the node image.',
  },
  UnsupportedHost: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'The host has an arrangement of files that ghostlimit does not touch for safety.',
    remedy:
      'See the message: directories above the CRIU files must belong to root and be writable by root only; one symbolic link is followed.',
  },
  AgentMissing: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'No agent answers on the node.',
    remedy: 'Check the pods of the DaemonSet ghostlimit-agent on that node.',
  },
  ScanFailed: {
    subject: 'Node',
    severity: 'Warning',
    sentence: 'The processes of a container could not be looked through for ghost files.',
    remedy: 'Run ghostlimit as root on the host, and see the message.',
  },
} as const satisfies Record<string, Reason>;
