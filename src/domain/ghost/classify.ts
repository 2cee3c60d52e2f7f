// Decides what CRIU would do with one held file: a ghost, a link remap, a failure whatever the limit, or nothing special.
// Never reads /proc: it judges observations.
import type { GhostRemap, ScanRemark } from '../../api/ghost-scan.ts';
import { printable } from '../../api/printable.ts';
import type { FileObservation, FileStat, OverlayEvidence, TreeObservation } from '../../api/process-tree.ts';
import { FILE_SYSTEM, isKernelName, isMarkedDeleted, isSillyRenamed } from './kernel-files.ts';

export type FileVerdict =
  | { readonly kind: 'Nothing' }
  | { readonly kind: 'Remap'; readonly remap: GhostRemap; readonly stat: FileStat }
  | { readonly kind: 'Blocker'; readonly remark: ScanRemark }
  | { readonly kind: 'Warning'; readonly remark: ScanRemark };

/** Devices of the kernel's internal file systems: st_dev of files that only the kernel can have made. */
export type InternalDevices = ReadonlySet<number>;

const NOTHING: FileVerdict = { kind: 'Nothing' };

const TYPE_MASK = 0o170000;
const TYPE_DIRECTORY = 0o040000;
const TYPE_CHARACTER_DEVICE = 0o020000;

interface Subject {
  readonly file: FileObservation;
  readonly stat: FileStat;
  readonly internalDevices: InternalDevices;
}

type Rule = (subject: Subject) => FileVerdict | undefined;

/**
 * Finds the devices of the kernel's internal tmpfs and hugetlbfs from the files of all processes: a kernel name on a
 * device that no mount has. Neither the name alone nor the device alone would do: a user's file may be called
 * `memfd:x (deleted)`, and a lazily unmounted volume has no mount either.
 */
export function findInternalDevices(tree: TreeObservation): InternalDevices {
  const devices = new Set<number>();
  for (const file of tree.processes.flatMap((process) => process.files)) {
    const isMemory =
      file.fileSystemType === FILE_SYSTEM.tmpfs || file.fileSystemType === FILE_SYSTEM.hugetlbfs;
    if (file.stat && isMemory && file.deviceIsMounted === false && isKernelName(file.text)) {
      devices.add(file.stat.device);
    }
  }
  return devices;
}

/**
 * Judges one observation by the first rule that matches, in CRIU's order (CRIU 4.2 criu/files.c dump_one_file,
 * criu/files-reg.c check_path_remap).
 */
export function classifyFile(file: FileObservation, internalDevices: InternalDevices): FileVerdict {
  if (file.stat === undefined) return judgeUnseen(file);
  const subject: Subject = { file, stat: file.stat, internalDevices };
  for (const rule of RULES) {
    const verdict = rule(subject);
    if (verdict) return verdict;
  }
  return NOTHING;
}

const RULES: readonly Rule[] = [
  secretMemory,
  kernelInternal,
  mappedDevice,
  kernelFileSystem,
  mountOutside,
  mountCovered,
  hugePageFile,
  ghost,
  sillyRenamed,
  namedOtherwise,
  nameLost,
];

function judgeUnseen(file: FileObservation): FileVerdict {
  if (!isMarkedDeleted(file.text) || (isKernelName(file.text) && file.deviceIsMounted !== true))
    return NOTHING;
  const message = `${shown(file)} is deleted and held (${file.hold}), but its size could not be read`;
  return { kind: 'Warning', remark: { code: 'SizeUnknown', message } };
}

function secretMemory({ file }: Subject): FileVerdict | undefined {
  if (file.fileSystemType !== FILE_SYSTEM.secretmem) return undefined;
  return blocker('UnsupportedFd', 'memory made by memfd_secret cannot be dumped');
}

function kernelInternal({ file, stat, internalDevices }: Subject): FileVerdict | undefined {
  if (file.deviceIsMounted === true) return undefined;
  return isKernelName(file.text) || internalDevices.has(stat.device) ? NOTHING : undefined;
}

// GPU drivers map their devices too, but CRIU's plugins may handle them, which /proc does not tell.
const GPU_DEVICE = /^\/dev\/(nvidia|kfd|dri\/)/;

function mappedDevice({ file, stat }: Subject): FileVerdict | undefined {
  if (file.hold !== 'Map' || (stat.mode & TYPE_MASK) !== TYPE_CHARACTER_DEVICE) return undefined;
  if (file.text === '/dev/zero' || GPU_DEVICE.test(file.text)) return NOTHING;
  return blocker('UnsupportedDevice', `the device ${shown(file)} is mapped`);
}

function kernelFileSystem({ file }: Subject): FileVerdict | undefined {
  const isKernels = file.fileSystemType === FILE_SYSTEM.procfs || file.fileSystemType === FILE_SYSTEM.devpts;
  return isKernels ? NOTHING : undefined;
}

function mountOutside({ file }: Subject): FileVerdict | undefined {
  if (file.mount !== 'Foreign') return undefined;
  if (file.fileSystemType === FILE_SYSTEM.mqueue) {
    return blocker('MountNotFound', `the message queue ${shown(file)} is open`);
  }
  return blocker('MountNotFound', `${shown(file)} is open on a mount outside of the container`);
}

// CRIU 4.2 dump_one_reg_file asks this before it looks at the links.
function mountCovered({ file }: Subject): FileVerdict | undefined {
  return file.mount === 'Covered' ? overmounted(file) : undefined;
}

function hugePageFile({ file, stat }: Subject): FileVerdict | undefined {
  if (file.fileSystemType !== FILE_SYSTEM.hugetlbfs || stat.linkCount > 0) return undefined;
  return blocker('UnsupportedFd', `${shown(file)} is deleted and lies on hugetlbfs, which cannot be read`);
}

function ghost({ stat }: Subject): FileVerdict | undefined {
  return stat.linkCount === 0 ? { kind: 'Remap', remap: 'Ghost', stat } : undefined;
}

function sillyRenamed({ file, stat }: Subject): FileVerdict | undefined {
  if (file.fileSystemType !== FILE_SYSTEM.nfs || !isSillyRenamed(file.text)) return undefined;
  return { kind: 'Remap', remap: 'LinkRemap', stat };
}

function namedOtherwise({ file }: Subject): FileVerdict | undefined {
  if (file.name === 'SameFile') return NOTHING;
  if (file.name === 'Unknown' && !isMarkedDeleted(file.text)) return NOTHING;
  if (file.mount === 'PathHidden') return overmounted(file);
  if (file.name !== 'OtherFile') return undefined;
  return blocker('PathReused', `${shown(file)} is held, but its path names another file now`);
}

function nameLost({ file, stat }: Subject): FileVerdict {
  const isDirectory = (stat.mode & TYPE_MASK) === TYPE_DIRECTORY;
  if (isDirectory)
    return blocker('LinkRemapFailed', `the directory ${shown(file)} lost its name and cannot be linked`);
  const fromLowerLayer = file.fileSystemType === FILE_SYSTEM.overlay && mayBeFromLowerLayer(file.overlay);
  return { kind: 'Remap', remap: fromLowerLayer ? 'LinkRemapThenGhost' : 'LinkRemap', stat };
}

/**
 * Whether a nameless file of an overlay can come from a lower layer, where linkat(2) fails and CRIU falls back to a
 * ghost. True in every doubt: the limit is then too high rather than too low. A file without a whiteout can still be a
 * lower one, when its directory was removed and made anew (opaque); then it is older than the upper layer.
 */
export function mayBeFromLowerLayer(evidence: OverlayEvidence | undefined): boolean {
  if (evidence === undefined) return true;
  const isUpperOnly =
    evidence.upperEntry === 'Missing' &&
    evidence.upperParentIsDirectory &&
    evidence.bornBeforeUpper === false;
  return !isUpperOnly;
}

function overmounted(file: FileObservation): FileVerdict {
  return blocker('Overmounted', `${shown(file)} is hidden under a later mount`);
}

function blocker(code: string, message: string): FileVerdict {
  return { kind: 'Blocker', remark: { code, message } };
}

function shown(file: FileObservation): string {
  return printable(file.text, 256);
}
