// Folds what /proc showed of a process tree into one GhostScan. Pure.
import type { GhostFile, GhostHold, GhostRemap, GhostScan, ScanRemark } from '../../api/ghost-scan.ts';
import { printable } from '../../api/printable.ts';
import type { FileObservation, FileStat, TreeObservation } from '../../api/process-tree.ts';
import { classifyFile, findInternalDevices } from './classify.ts';
import { withoutDeletedMark } from './kernel-files.ts';
import { findBlockers, findWarnings } from './process-remarks.ts';

/** The strongest first. */
const HOLDS: readonly GhostHold[] = ['Map', 'Fd', 'Exe', 'Cwd', 'Root'];
const REMAPS: readonly GhostRemap[] = ['Ghost', 'LinkRemapThenGhost', 'LinkRemap'];

/**
 * Judges every file and process of the tree. A file counts once whatever number of descriptors, mappings and processes
 * hold it; the limit is the largest file, never a sum (measured: 30 ghosts of 900 KB pass under 1 MiB). Remarks of the
 * same code are folded into one.
 */
export function summarizeScan(tree: TreeObservation): GhostScan {
  const internalDevices = findInternalDevices(tree);
  const files = new Map<string, GhostFile>();
  const remarks = judgeProcesses(tree);
  for (const observation of tree.processes.flatMap((process) => process.files)) {
    const verdict = classifyFile(observation, internalDevices);
    if (verdict.kind === 'Blocker') remarks.blockers.push(verdict.remark);
    if (verdict.kind === 'Warning') remarks.warnings.push(verdict.remark);
    if (verdict.kind !== 'Remap') continue;
    const key = `${verdict.stat.device}:${verdict.stat.inode}`;
    files.set(key, merge(files.get(key), toGhostFile(observation, verdict.stat, verdict.remap)));
  }
  const found = [...files.values()].sort((a, b) => neededBytes(b) - neededBytes(a));
  return {
    pid: tree.pid,
    requiredGhostLimitBytes: found
      .filter(isLimited)
      .reduce((most, file) => Math.max(most, neededBytes(file)), 0),
    linkRemapRequired: found.some((file) => file.remap !== 'Ghost'),
    residentBytes: residentBytesOf(tree),
    files: found,
    blockers: foldByCode(remarks.blockers),
    warnings: foldByCode(remarks.warnings),
  };
}

/** The ghost-limit in bytes that lets this file pass on every CRIU: below 3.18 the size is compared, since then the allocated bytes. */
export function neededBytes(file: GhostFile): number {
  return Math.max(file.sizeBytes, file.allocatedBytes);
}

function residentBytesOf({ processes }: TreeObservation): number {
  const anonymous = processes.reduce((sum, { anonymousBytes }) => sum + anonymousBytes, 0);
  // A database whose hundred processes map one buffer holds it once, and CRIU dumps it once.
  const shared = processes.reduce((most, { sharedMemoryBytes }) => Math.max(most, sharedMemoryBytes), 0);
  return anonymous + shared;
}

function judgeProcesses(tree: TreeObservation): { blockers: ScanRemark[]; warnings: ScanRemark[] } {
  const root = tree.processes[0];
  const blockers = root ? tree.processes.flatMap((process) => findBlockers(process, root)) : [];
  const warnings = tree.processes.flatMap((process) => findWarnings(process));
  if (tree.rootGone)
    warnings.push({ code: 'ProcessGone', message: `process ${tree.pid} ended during the scan` });
  const pending = tree.pendingPaths[0];
  if (pending !== undefined) {
    const message = `${tree.pendingPaths.length} files on file systems that did not answer in time, the first: ${printable(pending, 256)}`;
    warnings.push({ code: 'ScanTruncated', message });
  }
  return { blockers, warnings };
}

function isLimited(file: GhostFile): boolean {
  return file.remap !== 'LinkRemap';
}

function toGhostFile(observation: FileObservation, stat: FileStat, remap: GhostRemap): GhostFile {
  return {
    path: withoutDeletedMark(observation.text),
    kind: observation.hold,
    remap,
    sizeBytes: stat.sizeBytes,
    allocatedBytes: stat.allocatedBytes,
    references: observation.references,
  };
}

function merge(known: GhostFile | undefined, more: GhostFile): GhostFile {
  if (known === undefined) return more;
  const stronger = HOLDS.indexOf(more.kind) < HOLDS.indexOf(known.kind) ? more : known;
  return {
    path: stronger.path,
    kind: stronger.kind,
    remap: REMAPS.indexOf(more.remap) < REMAPS.indexOf(known.remap) ? more.remap : known.remap,
    // The file may have grown between two looks at it.
    sizeBytes: Math.max(known.sizeBytes, more.sizeBytes),
    allocatedBytes: Math.max(known.allocatedBytes, more.allocatedBytes),
    references: known.references + more.references,
  };
}

function foldByCode(remarks: readonly ScanRemark[]): readonly ScanRemark[] {
  const byCode = Map.groupBy(remarks, (remark) => remark.code);
  return [...byCode].map(([code, group]) => {
    const messages = [...new Set(group.map((remark) => remark.message))];
    const rest = messages.length > 1 ? ` (and ${messages.length - 1} more)` : '';
    return { code, message: `${messages[0] ?? ''}${rest}` };
  });
}
