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
  WriteFailed: {
    subject: 'Node',
    severity: 'Error',
    sentence: 'A file on the node could not be written; the original is untouched.',
    remedy: 'See the message for the cause: permissions, an immutable file, a failing disk.',
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
