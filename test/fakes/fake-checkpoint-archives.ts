// CheckpointArchives in memory: archives that a test puts there, pins and replaces, and faults of the disk.
import * as posix from 'node:path/posix';
import type {
  ArchiveFile,
  ArchiveIdentity,
  ArchiveRemoval,
  CheckpointArchiveInfo,
  CheckpointArchives,
  DiskSpace,
} from '../../src/ports/checkpoint-archives.ts';

export const NO_IDENTITY: ArchiveIdentity = {
  containerId: null,
  containerName: null,
  podName: null,
  podNamespace: null,
  podUID: null,
  checkpointedTime: null,
};

export interface FakeArchive {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly identity: Partial<ArchiveIdentity>;
  readonly fault: string | null;
  /** A file that is no archive: `inspect` tells by its fault, `list` leaves it out. */
  readonly archive: boolean;
}

type Stored = ArchiveFile & FakeArchive;

export class FakeCheckpointArchives implements CheckpointArchives {
  /** Set: every call fails with it. */
  fault: Error | null = null;
  /** By path: calls about it, and listing its directory, fail with it. */
  readonly faults = new Map<string, Error>();
  /** Of the one file system. What is removed becomes free. */
  disk: DiskSpace = { freeBytes: 500_000, totalBytes: 1_000_000 };
  /** Paths in the order in which they were removed. */
  readonly removed: string[] = [];
  device = 64_769;
  readonly #files = new Map<string, Stored>();
  readonly #pins = new Set<string>();
  /** By whom. */
  readonly #links = new Map<string, 'root' | 'others'>();
  #inodes = 100;

  /** A new file, in place of one that is there. Gives which file it is. */
  put(path: string, archive: Partial<FakeArchive> = {}): ArchiveFile {
    this.#inodes += 1;
    const file = { path, device: this.device, inode: this.#inodes };
    const blank = { sizeBytes: 1000, modifiedMs: 0, identity: {}, fault: null, archive: true };
    this.#files.set(path, { ...blank, ...archive, ...file });
    return file;
  }

  /** Somebody else deletes it. */
  drop(path: string): void {
    this.#files.delete(path);
  }

  pin(path: string): void {
    this.#pins.add(path);
  }

  unpin(path: string): void {
    this.#pins.delete(path);
  }

  /** The directory is a symlink from now on. */
  makeLink(directory: string, by: 'root' | 'others' = 'others'): void {
    this.#links.set(directory, by);
  }

  /** After a reboot the same file system may have another number. */
  renumber(device: number): void {
    this.device = device;
    for (const [path, file] of this.#files) this.#files.set(path, { ...file, device });
  }

  /** What is there, sorted. */
  paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  async inspect(path: string): Promise<CheckpointArchiveInfo | null> {
    await this.#check(path);
    const stored = this.#files.get(path);
    return stored === undefined ? null : this.#infoOf(stored);
  }

  async list(directory: string): Promise<readonly CheckpointArchiveInfo[]> {
    const inside = [...this.#files.values()].filter(({ path }) => posix.dirname(path) === directory);
    for (const { path } of inside) await this.#check(path);
    await this.#check(directory);
    return inside.filter(({ archive }) => archive).map((stored) => this.#infoOf(stored));
  }

  async folders(directory: string): Promise<readonly string[]> {
    await this.#check(directory);
    const inside = `${directory === '/' ? '' : directory}/`;
    const names = [...this.#files.keys()]
      .filter((path) => path.startsWith(inside) && path.slice(inside.length).includes('/'))
      .map((path) => path.slice(inside.length).split('/')[0] ?? '');
    return [...new Set(names)].sort().map((name) => `${inside}${name}`);
  }

  async remove(file: ArchiveFile, directories: readonly string[]): Promise<ArchiveRemoval> {
    await this.#check(file.path);
    const directory = posix.dirname(file.path);
    const isPlain = file.path.startsWith('/') && posix.normalize(file.path) === file.path;
    if (!isPlain || !directories.includes(directory))
      throw new Error(`${file.path} is not in a directory of archives`);
    this.#requireOfRoot(directory);
    const stored = this.#files.get(file.path);
    if (stored === undefined) return 'Gone';
    if (stored.device !== file.device || stored.inode !== file.inode) return 'Replaced';
    if (this.#pins.has(file.path)) return 'Pinned';
    this.#files.delete(file.path);
    this.removed.push(file.path);
    this.disk = { ...this.disk, freeBytes: this.disk.freeBytes + stored.sizeBytes };
    return 'Removed';
  }

  async space(directory: string): Promise<DiskSpace> {
    await this.#check(directory);
    return this.disk;
  }

  #requireOfRoot(directory: string): void {
    for (const [link, by] of this.#links)
      if (by === 'others' && `${directory}/`.startsWith(`${link}/`))
        throw new Error(`${link} is a symbolic link that others than root may change`);
  }

  #infoOf({ path, device, inode, sizeBytes, modifiedMs, identity, ...rest }: Stored): CheckpointArchiveInfo {
    const notOne = rest.archive ? null : 'is no checkpoint';
    return {
      path,
      device,
      inode,
      sizeBytes,
      modifiedMs,
      pinned: this.#pins.has(path),
      identity: { ...NO_IDENTITY, ...identity },
      fault: rest.fault ?? notOne,
    };
  }

  #check(path: string): Promise<void> {
    const fault = this.fault ?? this.faults.get(path) ?? null;
    return fault === null ? Promise.resolve() : Promise.reject(fault);
  }
}
