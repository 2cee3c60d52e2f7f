// What every CheckpointArchives must do, run against the fake and the real adapter.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type {
  ArchiveFile,
  CheckpointArchiveInfo,
  CheckpointArchives,
} from '../../src/ports/checkpoint-archives.ts';

/** The pod and container that an archive of the world says it is of. */
export interface MadeOf {
  readonly containerId: string;
  readonly containerName: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly podUID: string;
  readonly checkpointedTime: string;
}

export interface CheckpointArchivesWorld {
  readonly archives: CheckpointArchives;
  /** A whole archive, root's and 0600, in place of one that is there; its folders are made. */
  put(path: string, madeOf: MadeOf): Promise<void>;
  /** A file that is no archive. */
  putText(path: string): Promise<void>;
  pin(path: string): Promise<void>;
  /** The directory is moved away, and a symbolic link of root's or of somebody else's leads to where it is. */
  replaceByLink(directory: string, by: 'root' | 'others'): Promise<void>;
  isThere(path: string): Promise<boolean>;
  dispose(): Promise<void>;
}

const MADE_OF: MadeOf = {
  containerId: 'c0ffee',
  containerName: 'app',
  podName: 'checkout-1',
  podNamespace: 'shop',
  podUID: 'uid-1',
  checkpointedTime: '2026-11-23T10:00:00Z',
};
const DIRECTORY = '/var/lib/archives';
const ONE = `${DIRECTORY}/checkpoint-checkout-1_shop-app-2026-11-23T12:00:00+02:00.tar`;

export function checkpointArchivesContract(
  name: string,
  makeWorld: () => Promise<CheckpointArchivesWorld>,
): void {
  describe(`CheckpointArchives: ${name}`, () => {
    let world: CheckpointArchivesWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.dispose());

    const inspected = async (path: string): Promise<CheckpointArchiveInfo> => {
      const info = await world.archives.inspect(path);
      if (info === null) throw new Error(`nothing at ${path}`);
      return info;
    };
    const remove = (file: ArchiveFile, directories = [DIRECTORY]): Promise<string> =>
      world.archives.remove(file, directories);

    describe('looking', () => {
      test('where nothing is', async () => {
        expect(await world.archives.inspect(ONE)).toBeNull();
        expect(await world.archives.list(DIRECTORY)).toEqual([]);
      });

      test('gives what the archive records, not what its name says', async () => {
        await world.put(ONE, { ...MADE_OF, podName: 'another' });
        const info = await inspected(ONE);
        expect(info).toMatchObject({ path: ONE, pinned: false, fault: null });
        expect(info.identity).toEqual({ ...MADE_OF, podName: 'another' });
        expect(info.sizeBytes).toBeGreaterThan(0);
      });

      test('what is no archive is told by its fault, and not listed', async () => {
        await world.putText(`${DIRECTORY}/notes.tar`);
        await world.put(ONE, MADE_OF);
        expect((await inspected(`${DIRECTORY}/notes.tar`)).fault).not.toBeNull();
        expect(await world.archives.list(DIRECTORY)).toEqual([await inspected(ONE)]);
      });

      test('lists what is right inside, not what is further in', async () => {
        await world.put(ONE, MADE_OF);
        await world.put(`${DIRECTORY}/c0ffee/deep.tar`, MADE_OF);
        const paths = async (directory: string): Promise<string[]> =>
          (await world.archives.list(directory)).map(({ path }) => path);
        expect(await paths(DIRECTORY)).toEqual([ONE]);
        expect(await paths(`${DIRECTORY}/c0ffee`)).toEqual([`${DIRECTORY}/c0ffee/deep.tar`]);
      });

      test('the folders right inside, by name', async () => {
        expect(await world.archives.folders(DIRECTORY)).toEqual([]);
        await world.put(ONE, MADE_OF);
        await world.put(`${DIRECTORY}/feed/a.tar`, MADE_OF);
        await world.put(`${DIRECTORY}/c0ffee/a.tar`, MADE_OF);
        await world.put(`${DIRECTORY}/c0ffee/deeper/b.tar`, MADE_OF);
        expect(await world.archives.folders(DIRECTORY)).toEqual([`${DIRECTORY}/c0ffee`, `${DIRECTORY}/feed`]);
      });

      test('a pin stands beside it', async () => {
        await world.put(ONE, MADE_OF);
        await world.pin(ONE);
        expect((await inspected(ONE)).pinned).toBe(true);
        expect(await world.archives.list(DIRECTORY)).toMatchObject([{ path: ONE, pinned: true }]);
      });
    });

    describe('removing', () => {
      test('takes that file and nothing else', async () => {
        await world.put(ONE, MADE_OF);
        await world.put(`${DIRECTORY}/other.tar`, MADE_OF);
        expect(await remove(await inspected(ONE))).toBe('Removed');
        expect(await world.isThere(ONE)).toBe(false);
        expect(await world.isThere(`${DIRECTORY}/other.tar`)).toBe(true);
      });

      test('what is gone is gone', async () => {
        await world.put(ONE, MADE_OF);
        const file = await inspected(ONE);
        expect(await remove(file)).toBe('Removed');
        expect(await remove(file)).toBe('Gone');
      });

      test('where the directory is gone too', async () => {
        expect(await remove({ path: ONE, device: 1, inode: 1 })).toBe('Gone');
      });

      test('another file of the same path stays', async () => {
        await world.put(ONE, MADE_OF);
        const file = await inspected(ONE);
        await world.put(ONE, { ...MADE_OF, podUID: 'uid-2' });
        expect(await remove(file)).toBe('Replaced');
        expect((await inspected(ONE)).identity.podUID).toBe('uid-2');
      });

      test('a file of another file system is another file', async () => {
        await world.put(ONE, MADE_OF);
        const file = await inspected(ONE);
        expect(await remove({ ...file, device: file.device + 1 })).toBe('Replaced');
        expect(await world.isThere(ONE)).toBe(true);
      });

      test('a pinned one stays', async () => {
        await world.put(ONE, MADE_OF);
        await world.pin(ONE);
        expect(await remove(await inspected(ONE))).toBe('Pinned');
        expect(await world.isThere(ONE)).toBe(true);
      });

      test.each([
        ['in no directory', '/var/lib/archives-2'],
        ['above', '/var/lib'],
        ['below', `${DIRECTORY}/c0ffee`],
      ])('refuses what is elsewhere: %s', async (_, directory) => {
        await world.put(`${directory}/a.tar`, MADE_OF);
        const file = await inspected(`${directory}/a.tar`);
        await expect(remove(file)).rejects.toThrow('is not in a directory of archives');
        await expect(remove(file, [])).rejects.toThrow('is not in a directory of archives');
        expect(await world.isThere(file.path)).toBe(true);
      });

      test.each([`${DIRECTORY}/../archives-2/a.tar`, `${DIRECTORY}/./a.tar`, 'a.tar'])(
        'refuses a path that is not plain: %s',
        async (path) => {
          await world.put('/var/lib/archives-2/a.tar', MADE_OF);
          const file = await inspected('/var/lib/archives-2/a.tar');
          await expect(remove({ ...file, path }, [DIRECTORY, '/var/lib/archives-2', '.'])).rejects.toThrow();
          expect(await world.isThere(file.path)).toBe(true);
        },
      );

      test.each([DIRECTORY, '/var/lib', '/var'])("follows nobody's link but root's at %s", async (link) => {
        await world.put(ONE, MADE_OF);
        const file = await inspected(ONE);
        await world.replaceByLink(link, 'others');
        await expect(remove(file)).rejects.toThrow('symbolic link');
        expect(await world.isThere(ONE)).toBe(true);
      });

      test.each([DIRECTORY, '/var/lib', '/var'])("follows root's link at %s", async (link) => {
        await world.put(ONE, MADE_OF);
        const file = await inspected(ONE);
        await world.replaceByLink(link, 'root');
        expect(await remove({ ...file, inode: file.inode + 1 })).toBe('Replaced');
        expect(await remove(file)).toBe('Removed');
        expect(await world.isThere(ONE)).toBe(false);
      });
    });

    test('space is that of the nearest directory that is there', async () => {
      await world.put(ONE, MADE_OF);
      const { freeBytes, totalBytes } = await world.archives.space(DIRECTORY);
      expect(totalBytes).toBeGreaterThan(0);
      expect(freeBytes).toBeGreaterThan(0);
      expect(freeBytes).toBeLessThanOrEqual(totalBytes);
      expect((await world.archives.space(`${DIRECTORY}/not/there`)).totalBytes).toBe(totalBytes);
    });
  });
}
