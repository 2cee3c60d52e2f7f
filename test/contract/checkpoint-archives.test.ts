// The CheckpointArchives contract on the fake and on a real temporary directory, and what only real files can show. Needs root: archives belong to it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { createHostCheckpointArchives } from '../../src/adapters/archives/host-checkpoint-archives.ts';
import type { CheckpointArchives } from '../../src/ports/checkpoint-archives.ts';
import { FakeCheckpointArchives } from '../fakes/fake-checkpoint-archives.ts';
import {
  checkpointArchivesContract,
  type CheckpointArchivesWorld,
  type MadeOf,
} from './checkpoint-archives.contract.ts';

const run = promisify(execFile);

function fakeWorld(): Promise<CheckpointArchivesWorld> {
  const archives = new FakeCheckpointArchives();
  const put = (path: string, identity: MadeOf | null): Promise<void> => {
    archives.put(path, identity === null ? { archive: false } : { identity });
    return Promise.resolve();
  };
  return Promise.resolve({
    archives,
    put,
    putText: (path) => put(path, null),
    pin: (path) => {
      archives.pin(path);
      return Promise.resolve();
    },
    replaceByLink: (directory, by) => {
      archives.makeLink(directory, by);
      return Promise.resolve();
    },
    isThere: (path) => Promise.resolve(archives.paths().includes(path)),
    dispose: () => Promise.resolve(),
  });
}

const SPEC_OF = (madeOf: MadeOf): unknown => ({
  ociVersion: '1.2.1',
  annotations: {
    'io.kubernetes.cri.container-name': madeOf.containerName,
    'io.kubernetes.cri.sandbox-name': madeOf.podName,
    'io.kubernetes.cri.sandbox-namespace': madeOf.podNamespace,
    'io.kubernetes.cri.sandbox-uid': madeOf.podUID,
  },
});
const CONFIG_OF = ({ containerId, checkpointedTime }: MadeOf): unknown => ({
  id: containerId,
  name: 'k8s_it',
  checkpointedTime,
});

/** What an archive holds, by name; links have their target as `{ link }`. */
type Files = Readonly<Record<string, string | Buffer | { readonly link: string }>>;

const filesOf = (madeOf: MadeOf): Files => ({
  'checkpoint/inventory.img': 'inventory',
  'checkpoint/pages-1.img': Buffer.alloc(20_000, 'p'),
  'config.dump': JSON.stringify(CONFIG_OF(madeOf)),
  'spec.dump': JSON.stringify(SPEC_OF(madeOf)),
  'dump.log': 'Dumping finished successfully',
});

/** Writes the files below `folder`, and tars them with the system's own tar. */
async function makeTar(path: string, files: Files, options: readonly string[] = []): Promise<void> {
  const folder = await fs.mkdtemp(posix.join(os.tmpdir(), 'tar-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      await fs.mkdir(posix.dirname(posix.join(folder, name)), { recursive: true });
      const isLink = typeof content === 'object' && 'link' in content;
      if (isLink) await fs.symlink(content.link, posix.join(folder, name));
      else await fs.writeFile(posix.join(folder, name), content);
    }
    await fs.mkdir(posix.dirname(path), { recursive: true, mode: 0o700 });
    await fs.rm(`${path}.new`, { force: true });
    // A name with a colon is a machine elsewhere to tar unless it is told otherwise.
    await run('tar', ['--force-local', ...options, '-C', folder, '-cf', `${path}.new`, '.']);
    await fs.chmod(`${path}.new`, 0o600);
    await fs.rename(`${path}.new`, path);
  } finally {
    await fs.rm(folder, { recursive: true });
  }
}

async function realWorld(): Promise<CheckpointArchivesWorld> {
  const root = await fs.mkdtemp(posix.join(os.tmpdir(), 'archives-'));
  const at = (path: string): string => posix.join(root, path);
  return {
    archives: createHostCheckpointArchives({ hostRoot: root }),
    put: (path, madeOf) => makeTar(at(path), filesOf(madeOf)),
    putText: async (path) => {
      await fs.mkdir(posix.dirname(at(path)), { recursive: true });
      await fs.writeFile(at(path), 'no tar at all '.repeat(100), { mode: 0o600 });
    },
    pin: (path) => fs.writeFile(`${at(path)}.keep`, ''),
    replaceByLink: async (directory, by) => {
      await fs.rename(at(directory), at('/elsewhere'));
      await fs.symlink(posix.relative(posix.dirname(at(directory)), at('/elsewhere')), at(directory));
      if (by === 'others') await fs.lchown(at(directory), 1000, 1000);
    },
    isThere: async (path) =>
      await fs.lstat(at(path)).then(
        () => true,
        () => false,
      ),
    dispose: () => fs.rm(root, { recursive: true }),
  };
}

checkpointArchivesContract('in memory', fakeWorld);
checkpointArchivesContract('on this machine', realWorld);

describe('the archives of a host', () => {
  const MADE_OF: MadeOf = {
    containerId: 'c0ffee',
    containerName: 'app',
    podName: 'checkout-1',
    podNamespace: 'shop',
    podUID: 'uid-1',
    checkpointedTime: '2026-11-23T10:00:00.5Z',
  };
  const WHOLE = filesOf(MADE_OF);
  const PATH = '/archives/a.tar';
  let root: string;
  let archives: CheckpointArchives;
  const at = (path: string): string => posix.join(root, path);
  const faultOf = async (path = PATH): Promise<string | null | undefined> =>
    (await archives.inspect(path))?.fault;
  const without = (...names: readonly string[]): Files =>
    Object.fromEntries(Object.entries(WHOLE).filter(([name]) => !names.includes(name)));
  const listed = async (directory = '/archives'): Promise<string[]> =>
    (await archives.list(directory)).map(({ path }) => path);

  beforeEach(async () => {
    root = await fs.mkdtemp(posix.join(os.tmpdir(), 'archives-'));
    archives = createHostCheckpointArchives({ hostRoot: root });
  });
  afterEach(() => fs.rm(root, { recursive: true }));

  test.each(['gnu', 'posix', 'ustar', 'v7'])('the form %s of tar, with a long name', async (format) => {
    const long = format === 'v7' ? 'n'.repeat(80) : `checkpoint/${'d'.repeat(90)}/${'n'.repeat(60)}`;
    await makeTar(at(PATH), { ...WHOLE, [long]: 'x' }, [`--format=${format}`]);
    expect(await archives.inspect(PATH)).toMatchObject({
      fault: null,
      identity: MADE_OF,
      sizeBytes: (await fs.stat(at(PATH))).size,
      modifiedMs: Math.trunc((await fs.stat(at(PATH))).mtimeMs),
    });
  });

  test('pages of 20 GiB are stepped over', async () => {
    // The header alone, then a hole, then the rest: as long as an archive of 20 GiB, and no blocks on the disk.
    const size = 20 * 2 ** 30;
    const header = Buffer.alloc(512);
    header.write('checkpoint/pages-1.img', 0);
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
    header.write('0', 156);
    header.write('ustar  \0', 257, 'latin1');
    header.write('        ', 148, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    await makeTar(at('/archives/rest.tar'), without('checkpoint/pages-1.img'));
    const big = await fs.open(at('/archives/big.tar'), 'w', 0o600);
    await big.write(header, 0, 512, 0);
    const rest = await fs.readFile(at('/archives/rest.tar'));
    await big.write(rest, 0, rest.length, 512 + size);
    await big.close();
    expect(await archives.inspect('/archives/big.tar')).toMatchObject({ fault: null, identity: MADE_OF });
  });

  test.each([
    [0o644, 'has mode 0644, not 0600'],
    [0o660, 'has mode 0660, not 0600'],
    [0o4600, 'has mode 04600, not 0600'],
    [0o400, 'has mode 0400, not 0600'],
    [0o600, null],
  ])('mode %o', async (mode, fault) => {
    await makeTar(at(PATH), WHOLE);
    await fs.chmod(at(PATH), mode);
    expect(await faultOf()).toBe(fault);
  });

  test("somebody else's, and what else is wrong with it", async () => {
    await makeTar(at(PATH), without('config.dump'));
    await fs.chown(at(PATH), 1000, 0);
    expect(await faultOf()).toBe('belongs to user 1000, not to root; has no config.dump');
  });

  test.each([
    ['the inventory', without('checkpoint/inventory.img'), 'has no checkpoint/inventory.img'],
    ['config.dump', without('config.dump'), 'has no config.dump'],
    ['spec.dump', without('spec.dump'), 'has no spec.dump'],
    [
      'an inventory that is a file',
      { ...without('checkpoint/inventory.img'), 'checkpoint/inventory.img': { link: '/etc/shadow' } },
      'has no checkpoint/inventory.img',
    ],
    [
      'an inventory in its place',
      { ...without('checkpoint/inventory.img'), 'other/checkpoint/inventory.img': 'x' },
      'has no checkpoint/inventory.img',
    ],
    ['JSON', { ...WHOLE, 'config.dump': '{"id": ' }, 'has a config.dump that is no JSON object'],
    [
      'measure',
      { ...WHOLE, 'spec.dump': Buffer.alloc(2 ** 20 + 1, ' ') },
      'has a spec.dump of more than 1 MiB',
    ],
  ])('without %s', async (_, files: Files, fault) => {
    await makeTar(at(PATH), files);
    expect(await faultOf()).toBe(fault);
    expect(await listed()).toEqual([PATH]);
  });

  test('cut short anywhere: never whole, and still told for a checkpoint once it has a part of one', async () => {
    await makeTar(at(PATH), WHOLE);
    const bytes = await fs.readFile(at(PATH));
    // Tar fills up with empty blocks after the two that end an archive.
    const end = bytes.length - 512 * Math.floor(lastZeros(bytes) / 512);
    for (let length = 512; length < end + 1024; length += 1536) {
      await fs.writeFile(at(PATH), bytes.subarray(0, length));
      expect(await faultOf()).toContain(`is cut short at ${length} bytes`);
    }
    await fs.writeFile(at(PATH), bytes.subarray(0, end + 1024));
    expect(await faultOf()).toBeNull();
    await fs.writeFile(at(PATH), bytes.subarray(0, end));
    expect(await listed()).toEqual([PATH]);
  });

  test('an archive that was written over a longer one is whole', async () => {
    await makeTar(at(PATH), WHOLE);
    await fs.appendFile(at(PATH), Buffer.alloc(5000, 'rests of the longer one'));
    expect(await faultOf()).toBeNull();
  });

  test.each([
    ['gzip', gzipSync(Buffer.alloc(5000))],
    ['zstd', zstdCompressSync(Buffer.alloc(5000))],
  ])('one compressed by %s is not read', async (name, bytes) => {
    await fs.mkdir(at('/archives'));
    await fs.writeFile(at(PATH), bytes, { mode: 0o600 });
    expect(await faultOf()).toBe(`is compressed (${name}): not read`);
    expect(await listed()).toEqual([]);
  });

  test('other tars, pipes, links and empty files are not listed', async () => {
    await makeTar(at('/archives/other.tar'), { 'etc/passwd': 'x', 'checkpoint/notes.txt': 'y' });
    await run('mkfifo', [at('/archives/pipe')]);
    await makeTar(at('/real.tar'), WHOLE);
    await fs.symlink('../real.tar', at('/archives/link.tar'));
    await fs.writeFile(at('/archives/empty.tar'), '');
    expect(await listed()).toEqual([]);
    expect(await faultOf('/archives/pipe')).toContain('is neither a file nor a directory');
    expect(await faultOf('/archives/link.tar')).toContain('is neither a file nor a directory');
    expect(await faultOf('/archives/empty.tar')).toContain('is no tar archive');
    const link = await fs.lstat(at('/archives/link.tar'));
    const file = { path: '/archives/link.tar', device: link.dev, inode: link.ino };
    await expect(archives.remove(file, ['/archives'])).rejects.toThrow('neither a file nor a directory');
  });

  test('links of the host lead to where the host would go, below its root', async () => {
    await makeTar(at('/data/kubelet/checkpoints/a.tar'), WHOLE);
    await fs.mkdir(at('/var/lib'), { recursive: true });
    await fs.symlink('/data/kubelet', at('/var/lib/kubelet'));
    expect(await archives.inspect('/var/lib/kubelet/checkpoints/a.tar')).toMatchObject({
      path: '/var/lib/kubelet/checkpoints/a.tar',
      fault: null,
    });
    expect(await listed('/var/lib/kubelet/checkpoints')).toEqual(['/var/lib/kubelet/checkpoints/a.tar']);
    await fs.symlink('loop', at('/loop'));
    await expect(archives.inspect('/loop/a.tar')).rejects.toThrow('too many symbolic links');
  });

  describe('removing by way of a link of root', () => {
    const BY_LINK = '/var/lib/kubelet/checkpoints/a.tar';
    const remove = async (): Promise<string> => {
      const file = await archives.inspect(BY_LINK);
      return file === null ? 'nothing there' : await archives.remove(file, [posix.dirname(BY_LINK)]);
    };
    beforeEach(async () => {
      await makeTar(at('/data/kubelet/checkpoints/a.tar'), WHOLE);
      await fs.mkdir(at('/var/lib'), { recursive: true });
    });

    test.each([
      ['absolute', '/data/kubelet'],
      ['relative', '../../data/kubelet'],
      ['above the root of the host', '../../../../../data/kubelet'],
    ])('%s', async (_, target) => {
      await fs.symlink(target, at('/var/lib/kubelet'));
      expect(await remove()).toBe('Removed');
      expect(await fs.readdir(at('/data/kubelet/checkpoints'))).toEqual([]);
    });

    test('over another link of root', async () => {
      await fs.symlink('/mnt/disk', at('/var/lib/kubelet'));
      await fs.mkdir(at('/mnt'));
      await fs.symlink('../data/./kubelet/../kubelet', at('/mnt/disk'));
      expect(await remove()).toBe('Removed');
    });

    test.each([
      ['others may write to', () => fs.chmod(at('/var/lib'), 0o777)],
      ['the group may write to', () => fs.chmod(at('/var/lib'), 0o775)],
      ['others may write to, but for what others made', () => fs.chmod(at('/var/lib'), 0o1777)],
      ["is another user's", () => fs.chown(at('/var/lib'), 1000, 0)],
      ["is below another user's", () => fs.chown(at('/var'), 1000, 0)],
    ])('not in a directory that %s', async (_, change: () => Promise<void>) => {
      await fs.symlink('/data/kubelet', at('/var/lib/kubelet'));
      await change();
      await expect(remove()).rejects.toThrow('/var/lib/kubelet is a symbolic link');
      expect(await fs.readdir(at('/data/kubelet/checkpoints'))).toEqual(['a.tar']);
    });

    test("not to another user's link behind it, nor in a circle", async () => {
      await fs.symlink('/mnt/disk', at('/var/lib/kubelet'));
      await fs.mkdir(at('/mnt'));
      await fs.symlink('/data/kubelet', at('/mnt/disk'));
      await fs.lchown(at('/mnt/disk'), 1000, 1000);
      await expect(remove()).rejects.toThrow('/mnt/disk is a symbolic link');
      await fs.rm(at('/mnt/disk'));
      await fs.symlink('/var/lib/kubelet', at('/mnt/disk'));
      const file = { path: BY_LINK, device: 1, inode: 1 };
      await expect(archives.remove(file, [posix.dirname(BY_LINK)])).rejects.toThrow(
        'too many symbolic links',
      );
    });

    test('never where the last part is a link', async () => {
      await fs.symlink('/data/kubelet', at('/var/lib/kubelet'));
      await fs.symlink('a.tar', at('/data/kubelet/checkpoints/b.tar'));
      const { dev, ino } = await fs.lstat(at('/data/kubelet/checkpoints/b.tar'));
      const file = { path: posix.join(posix.dirname(BY_LINK), 'b.tar'), device: dev, inode: ino };
      await expect(archives.remove(file, [posix.dirname(BY_LINK)])).rejects.toThrow('neither a file');
    });
  });

  test('a checkpoint that is a directory is no folder of archives, nor is a link', async () => {
    await makeTar(at('/archives/c0ffee/a.tar'), WHOLE);
    await fs.mkdir(at('/archives/one'));
    await fs.writeFile(at('/archives/one/inventory.img'), 'x');
    await fs.symlink('c0ffee', at('/archives/link'));
    expect(await archives.folders('/archives')).toEqual(['/archives/c0ffee']);
  });

  test('a file where a directory should be: nothing is there', async () => {
    await fs.writeFile(at('/archives'), '');
    expect(await archives.inspect(PATH)).toBeNull();
    expect(await listed()).toEqual([]);
    expect((await archives.space(PATH)).totalBytes).toBeGreaterThan(0);
  });

  test('an archive that changes is read again', async () => {
    await makeTar(at(PATH), WHOLE);
    expect(await faultOf()).toBeNull();
    await fs.truncate(at(PATH), 2048);
    expect(await faultOf()).toContain('is cut short at 2048 bytes');
  });

  describe('a checkpoint that is a directory', () => {
    const FOLDER = '/archives/c0ffee/one';
    const makeFolder = async (path = FOLDER): Promise<void> => {
      await fs.mkdir(posix.join(at(path), 'criu.work'), { recursive: true });
      await fs.chmod(at(path), 0o700);
      await fs.writeFile(posix.join(at(path), 'inventory.img'), 'x'.repeat(100));
      await fs.writeFile(posix.join(at(path), 'pages-1.img'), 'x'.repeat(4000));
      await fs.writeFile(posix.join(at(path), 'criu.work/dump.log'), 'x'.repeat(30));
    };

    test('is told by its inventory, and measured', async () => {
      await makeFolder();
      expect(await archives.list('/archives')).toEqual([]);
      expect(await archives.list('/archives/c0ffee')).toMatchObject([
        { path: FOLDER, sizeBytes: 4130, fault: null, identity: { containerId: null, podUID: null } },
      ]);
      await fs.chmod(at(FOLDER), 0o755);
      expect(await faultOf(FOLDER)).toBe('has mode 0755, not 0700');
      await fs.rm(posix.join(at(FOLDER), 'inventory.img'));
      expect(await faultOf(FOLDER)).toBe('has mode 0755, not 0700; has no inventory.img');
    });

    test('is removed as a whole, but for what links in it lead to', async () => {
      await makeFolder();
      await fs.mkdir(at('/precious'));
      await fs.writeFile(at('/precious/file'), 'x');
      await fs.symlink(at('/precious'), posix.join(at(FOLDER), 'link'));
      const file = await archives.inspect(FOLDER);
      if (file === null) throw new Error('the folder is not found');
      expect(await archives.remove(file, ['/archives/c0ffee'])).toBe('Removed');
      expect(await fs.readdir(at('/archives/c0ffee'))).toEqual([]);
      expect(await fs.readdir(at('/precious'))).toEqual(['file']);
    });

    test('a pin holds it, and another directory of its path stays', async () => {
      await makeFolder();
      const file = await archives.inspect(FOLDER);
      if (file === null) throw new Error('the folder is not found');
      await fs.writeFile(`${at(FOLDER)}.keep`, '');
      expect(await archives.remove(file, ['/archives/c0ffee'])).toBe('Pinned');
      await fs.rename(at(FOLDER), at('/archives/c0ffee/moved'));
      await makeFolder();
      expect(await archives.remove(file, ['/archives/c0ffee'])).toBe('Replaced');
      expect((await fs.readdir(at(FOLDER))).sort()).toEqual(['criu.work', 'inventory.img', 'pages-1.img']);
    });
  });

  test('the empty folder of a container goes with its last archive, where its parent is given too', async () => {
    const one = '/archives/c0ffee/one.tar';
    const two = '/archives/c0ffee/two.tar';
    const removed = async (path: string, directories: readonly string[]): Promise<string> => {
      const file = await archives.inspect(path);
      return file === null ? 'nothing there' : await archives.remove(file, directories);
    };
    const both = ['/archives/c0ffee', '/archives'];
    for (const path of [one, two]) await makeTar(at(path), WHOLE);
    expect(await removed(one, both)).toBe('Removed');
    expect(await fs.readdir(at('/archives'))).toEqual(['c0ffee']);
    expect(await removed(two, both)).toBe('Removed');
    expect(await fs.readdir(at('/archives'))).toEqual([]);
    await makeTar(at(one), WHOLE);
    expect(await removed(one, ['/archives/c0ffee'])).toBe('Removed');
    expect(await fs.readdir(at('/archives'))).toEqual(['c0ffee']);
  });
});

function lastZeros(bytes: Buffer): number {
  let zeros = 0;
  while (bytes[bytes.length - 1 - zeros] === 0) zeros += 1;
  return zeros;
}
