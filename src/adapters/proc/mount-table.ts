// Reads one mountinfo text into a table that answers which mount a path or an id belongs to. Reads no files.
import { decodePath } from './path-bytes.ts';

export interface Mount {
  readonly id: number;
  /** `MAJOR:MINOR` as mountinfo writes it. */
  readonly device: string;
  /** Directory of the mounted file system that is visible at `point`. */
  readonly root: string;
  readonly point: string;
  readonly fileSystem: string;
  /** Of an overlay: the upper directory as the one who mounted it named it. */
  readonly upperDirectory: string | undefined;
}

export interface MountTable {
  readonly byId: ReadonlyMap<number, Mount>;
  readonly devices: ReadonlySet<string>;
  /** The longest mount point first; of stacked mounts the upper one first. */
  readonly deepestFirst: readonly Mount[];
}

/** Parses /proc/PID/mountinfo, given with one character for each byte. Lines of another form are left out. */
export function parseMountTable(text: string): MountTable {
  const mounts = text.split('\n').flatMap((line) => parseMount(line) ?? []);
  return {
    byId: new Map(mounts.map((mount) => [mount.id, mount])),
    devices: new Set(mounts.map((mount) => mount.device)),
    // mountinfo lists a mount after the one that it covers; the sort is stable.
    deepestFirst: mounts.toReversed().sort((a, b) => b.point.length - a.point.length),
  };
}

/** The mount on which `path`, absolute and without symlinks, is looked up. */
export function mountAt(table: MountTable, path: string): Mount | undefined {
  return table.deepestFirst.find(({ point }) => isUnder(path, point));
}

/** `path` below the mount point, with a leading slash; '' for the mount point itself. */
export function pathInMount(mount: Mount, path: string): string {
  return mount.point === '/' ? path : path.slice(mount.point.length);
}

/** st_dev of user space as mountinfo writes devices. */
export function printDevice(device: number): string {
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}

function isUnder(path: string, point: string): boolean {
  if (point === '/') return path.startsWith('/');
  return path.startsWith(point) && (path.length === point.length || path[point.length] === '/');
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue (proc_pid_mountinfo(5)).
const LINE = /^(\d+) \d+ (\d+:\d+) (\S+) (\S+) .*? - (\S+) \S+ (\S*)$/;

function parseMount(line: string): Mount | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, id = '', device = '', root = '', point = '', fileSystem = '', options = ''] = match;
  const upperDirectory = fileSystem === 'overlay' ? findUpperDirectory(options) : undefined;
  return { id: Number(id), device, root: unescape(root), point: unescape(point), fileSystem, upperDirectory };
}

// The kernel writes a comma or a backslash inside a directory name with a backslash before it.
function findUpperDirectory(options: string): string | undefined {
  const match = /(?:^|,)upperdir=((?:[^,\\]|\\.)*)/.exec(unescapeOctal(options));
  return match?.[1] === undefined ? undefined : decodeLatin1(match[1].replace(/\\(.)/g, '$1'));
}

function unescape(field: string): string {
  return decodeLatin1(unescapeOctal(field));
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

function decodeLatin1(text: string): string {
  return decodePath(Buffer.from(text, 'latin1'));
}
