// Looks at one held file through its magic link: its state, whether its name still leads to it, on which mount it lies.
// Keeps only what can matter to a dump; never judges, never opens the file.
import type { BigIntStats } from 'node:fs';
import type { GhostHold } from '../../api/ghost-scan.ts';
import type { FileObservation, FileStat, NameCheck, OverlayEvidence } from '../../api/process-tree.ts';
import { mountAt, pathInMount, printDevice, type Mount, type MountTable } from './mount-table.ts';
import { encodePath } from './path-bytes.ts';
import {
  type Absence,
  fileSystemTypeOf,
  GONE,
  isAbsence,
  readProcText,
  REFUSED,
  statName,
  statThroughLink,
  toFileStat,
} from './proc-entry.ts';

/** One process as its files are looked up. */
export interface ProcessView {
  /** `/proc/PID` */
  readonly directory: string;
  /** Absent: mountinfo could not be read. */
  readonly mounts?: MountTable | undefined;
  /** A magic link to the root of the process's mount namespace; absent for processes in a chroot. */
  readonly nameRoot?: string | undefined;
  /** Where paths of the host begin: '' or the root of the host's init. */
  readonly hostRoot: string;
}

export interface HeldFile {
  readonly hold: GhostHold;
  readonly text: string;
  /** Magic links to the same file; the first that still exists is used. */
  readonly links: readonly string[];
  readonly references: number;
  /** `MAJOR:MINOR` as maps tells it without following the link. */
  readonly device?: string;
  /** Number of the descriptor. */
  readonly descriptor?: string;
}

const DELETED_MARK = ' (deleted)';
const TYPE_MASK = 0o170000;
const NAMED_TYPES: ReadonlySet<number> = new Set([0o100000, 0o040000, 0o120000, 0o010000]);
const TYPE_CHARACTER_DEVICE = 0o020000;
const OVERLAY_MAGIC = 0x794c7630;

const REMOTE_FILE_SYSTEM = /^(fuse|nfs|cifs|smb|9p|ceph|virtiofs|lustre|gluster|afs|autofs|gfs2|ocfs2)/;

/** Whether asking for the state of this file can wait for a daemon or a server that may not answer. */
export function mayNotAnswer(view: ProcessView, text: string): boolean {
  const mount = view.mounts && mountAt(view.mounts, text);
  return mount !== undefined && REMOTE_FILE_SYSTEM.test(mount.fileSystem);
}

/** Returns what is to be judged of one held file, undefined when it stands under its own name or is gone. */
export function observeFile(view: ProcessView, held: HeldFile): FileObservation | undefined {
  const followed = follow(held.links);
  if (followed === GONE) return undefined;
  if (followed === REFUSED) return observeUnseen(view, held);
  const stat = toFileStat(followed.stats);
  const name = NAMED_TYPES.has(stat.mode & TYPE_MASK)
    ? checkName(view, held.text, followed.stats)
    : 'Unknown';
  if (!isSuspect(held, stat, name)) return undefined;
  const fileSystemType = fileSystemTypeOf(followed.path);
  const lostItsName = name === 'Missing' && stat.linkCount > 0;
  return {
    hold: held.hold,
    text: held.text,
    references: held.references,
    stat,
    name,
    fileSystemType,
    deviceIsMounted: view.mounts?.devices.has(printDevice(stat.device)),
    mount: checkMount(view, held),
    overlay:
      lostItsName && fileSystemType === OVERLAY_MAGIC
        ? gatherOverlayEvidence(view, held, followed.stats)
        : undefined,
  };
}

function observeUnseen(view: ProcessView, held: HeldFile): FileObservation | undefined {
  if (!held.text.endsWith(DELETED_MARK)) return undefined;
  const { hold, text, references, device } = held;
  const deviceIsMounted = device === undefined ? undefined : view.mounts?.devices.has(device);
  return { hold, text, references, name: 'Unknown', deviceIsMounted };
}

type Followed = { readonly stats: BigIntStats; readonly path: string } | Absence;

// A mapping may be split or merged between the listing and the look; another one of the same file will do.
function follow(links: readonly string[]): Followed {
  for (const link of links) {
    const stats = statThroughLink(link);
    if (stats === REFUSED) return REFUSED;
    if (!isAbsence(stats)) return { stats, path: link };
  }
  return GONE;
}

function isSuspect(held: HeldFile, stat: FileStat, name: NameCheck): boolean {
  if (stat.linkCount === 0 || held.text.endsWith(DELETED_MARK)) return true;
  if (held.text.includes('/.nfs')) return true;
  const type = stat.mode & TYPE_MASK;
  if (held.hold === 'Map' && type === TYPE_CHARACTER_DEVICE) return held.text !== '/dev/zero';
  return name === 'Missing' || name === 'OtherFile';
}

function checkName(view: ProcessView, text: string, held: BigIntStats): NameCheck {
  if (view.nameRoot === undefined) return 'Unknown';
  if (text === '/') return 'SameFile';
  const found = statName(underRoot(view.nameRoot, text));
  if (found === GONE) return 'Missing';
  if (found === REFUSED) return 'Unknown';
  return found.ino === held.ino && found.dev === held.dev ? 'SameFile' : 'OtherFile';
}

function checkMount(view: ProcessView, held: HeldFile): FileObservation['mount'] {
  const mount = findMount(view, held);
  if (mount === undefined || view.mounts === undefined) return undefined;
  if (mount === 'Foreign') return 'Foreign';
  if (mountAt(view.mounts, mount.point)?.id !== mount.id) return 'Covered';
  return mountAt(view.mounts, withoutMark(held.text))?.id === mount.id ? 'Visible' : 'PathHidden';
}

/** The mount of an open descriptor, from fdinfo; undefined when it cannot be told. */
function findMount(view: ProcessView, held: HeldFile): Mount | 'Foreign' | undefined {
  // Without the whole namespace in view (chroot) a missing id proves nothing.
  if (held.descriptor === undefined || view.mounts === undefined || view.nameRoot === undefined)
    return undefined;
  const info = readProcText(`${view.directory}/fdinfo/${held.descriptor}`);
  const id = isAbsence(info) ? undefined : /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
  return id === undefined ? undefined : (view.mounts.byId.get(Number(id)) ?? 'Foreign');
}

function gatherOverlayEvidence(view: ProcessView, held: HeldFile, file: BigIntStats): OverlayEvidence {
  const unknown: OverlayEvidence = { upperEntry: 'Unknown', upperParentIsDirectory: false };
  const name = withoutMark(held.text);
  const mount = view.mounts && mountAt(view.mounts, name);
  if (mount?.upperDirectory === undefined) return unknown;
  const upperDirectory = view.hostRoot + mount.upperDirectory;
  const upper = statName(encodePath(upperDirectory));
  if (isAbsence(upper)) return unknown;
  const root = mount.root === '/' ? '' : mount.root;
  const path = upperDirectory + root + pathInMount(mount, name);
  const parent = statName(encodePath(path.slice(0, path.lastIndexOf('/'))));
  // 0: the file system keeps no birth time.
  const isBirthKnown = upper.birthtimeNs > 0n && file.birthtimeNs > 0n;
  return {
    upperEntry: toUpperEntry(statName(encodePath(path))),
    upperParentIsDirectory: !isAbsence(parent) && parent.isDirectory(),
    bornBeforeUpper: isBirthKnown ? file.birthtimeNs < upper.birthtimeNs : undefined,
  };
}

function toUpperEntry(entry: BigIntStats | Absence): OverlayEvidence['upperEntry'] {
  if (entry === GONE) return 'Missing';
  if (entry === REFUSED) return 'Unknown';
  return entry.isCharacterDevice() && entry.rdev === 0n ? 'Whiteout' : 'Other';
}

function withoutMark(text: string): string {
  return text.endsWith(DELETED_MARK) ? text.slice(0, -DELETED_MARK.length) : text;
}

function underRoot(root: string, path: string): string | Buffer {
  return path.isWellFormed() ? root + path : Buffer.concat([Buffer.from(root), encodePath(path)]);
}
