// What every HostFiles must do, run against the fake and the real adapter.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HostFileError, type HostFiles, type LateWrite } from '../../src/ports/host-files.ts';

/** Another program that has a file open for writing. Resolves when what was asked for is done. */
export interface ForeignWriter {
  readonly pid: number;
  append(text: string): Promise<void>;
  close(): Promise<void>;
}

/** A host to try it on. Paths are as on the host. */
export interface HostFilesWorld {
  readonly files: HostFiles;
  /** The same host seen by a new process of ours; the one before is gone without a word. */
  restarted(): HostFiles;
  /** Another program opens the file for writing. */
  open(path: string): Promise<ForeignWriter>;
  /** Somebody else writes into the file, in place; makes it and its directory where missing. */
  put(path: string, text: string): Promise<void>;
  /** Somebody else puts a new file in its place. */
  putByRename(path: string, text: string): Promise<void>;
  delete(path: string): Promise<void>;
  link(path: string, target: string): Promise<void>;
  makeDirectory(path: string, mode: number): Promise<void>;
  text(path: string): Promise<string | null>;
  mode(path: string): Promise<number | null>;
  setMode(path: string, mode: number): Promise<void>;
  isLink(path: string): Promise<boolean>;
  /** Sorted; null: there is no such directory. */
  names(directory: string): Promise<readonly string[] | null>;
  dispose(): Promise<void>;
}

const PATH = '/etc/criu/runc.conf';
/** Of files that were replaced while somebody had them open. */
const SECOND_NAME = /^\.ghostlimit-runc\.conf\.[0-9a-f-]+(?:gone-[0-9a-f]+)?\.old$/;
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

async function failureOf(promise: Promise<unknown>): Promise<HostFileError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof HostFileError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

/** The world starts with a directory /etc and nothing else. */
export function hostFilesContract(name: string, makeWorld: () => Promise<HostFilesWorld>): void {
  describe(`HostFiles: ${name}`, () => {
    let world: HostFilesWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.dispose());

    describe('read', () => {
      test('a file that is not there', async () => {
        await world.makeDirectory('/etc/criu', 0o755);
        expect(await world.files.read(PATH)).toEqual({
          path: PATH,
          targetPath: PATH,
          content: null,
          identity: null,
          directoryPresent: true,
        });
      });

      test('a directory that is not there', async () => {
        expect(await world.files.read(PATH)).toMatchObject({ content: null, directoryPresent: false });
      });

      test('bytes as they are: NUL, CR, invalid UTF-8, no last newline', async () => {
        await world.put(PATH, 'a\0b\r\nc\xff');
        expect((await world.files.read(PATH)).content).toEqual(bytes('a\0b\r\nc\xff'));
      });

      test('an empty file is not a missing one', async () => {
        await world.put(PATH, '');
        const snapshot = await world.files.read(PATH);
        expect(snapshot.content).toEqual(bytes(''));
        // sha256 of nothing, FIPS 180-4
        expect(snapshot.identity?.sha256).toBe(
          'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        );
      });

      test('1 MiB and not a byte more', async () => {
        await world.put(PATH, 'x'.repeat(1024 * 1024));
        expect((await world.files.read(PATH)).content).toHaveLength(1024 * 1024);
        await world.put(PATH, 'x'.repeat(1024 * 1024 + 1));
        expect(await failureOf(world.files.read(PATH))).toMatchObject({
          reason: 'ReadFailed',
          code: 'EFBIG',
        });
      });

      test('over one symbolic link', async () => {
        await world.put('/etc/other/real.conf', 'x');
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, '../other/real.conf');
        expect(await world.files.read(PATH)).toMatchObject({
          path: PATH,
          targetPath: '/etc/other/real.conf',
          content: bytes('x'),
        });
      });

      test('an absolute link is resolved below the host root', async () => {
        await world.put('/etc/other/real.conf', 'x');
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, '/etc/other/real.conf');
        expect((await world.files.read(PATH)).targetPath).toBe('/etc/other/real.conf');
      });

      test('a link that climbs over the root ends below it', async () => {
        await world.put('/etc/other/real.conf', 'x');
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, '../../../../../../../../etc/other/real.conf');
        expect((await world.files.read(PATH)).content).toEqual(bytes('x'));
      });

      test.each([
        ['a link to a link', ['/etc/a', '/etc/b'], 'link to another link'],
        ['a link to a directory that is not there', ['/gone/away'], 'not reachable'],
        ['a link to a directory', ['/etc'], 'not a regular file'],
      ])('refuses %s', async (_name, targets, why) => {
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, targets[0] ?? '');
        if (targets[1] !== undefined) await world.link(targets[0] ?? '', targets[1]);
        const failure = await failureOf(world.files.read(PATH));
        expect(failure.reason).toBe('UnsupportedHost');
        expect(failure.message).toContain(why);
      });

      test('refuses a directory that is a link', async () => {
        await world.put('/etc/real/runc.conf', 'x');
        await world.link('/etc/criu', '/etc/real');
        const failure = await failureOf(world.files.read(PATH));
        expect(failure).toMatchObject({ reason: 'UnsupportedHost', path: PATH });
        expect(failure.message).toContain('/etc/criu is a symbolic link');
      });

      test.each([0o775, 0o757, 0o777, 0o1777])('refuses a directory of mode %o', async (mode) => {
        await world.makeDirectory('/etc/criu', mode);
        const failure = await failureOf(world.files.read(PATH));
        expect(failure.reason).toBe('UnsupportedHost');
        expect(failure.message).toContain('may be written to by others than root');
      });

      test('refuses a file where a directory should be', async () => {
        await world.put('/etc/criu', 'x');
        expect((await failureOf(world.files.read(PATH))).message).toContain('not a directory');
      });

      test.each(['etc/criu/runc.conf', '/etc/../etc/x', '/etc//x', '/etc/x/', ''])(
        'refuses the path "%s"',
        async (path) => {
          expect((await failureOf(world.files.read(path))).reason).toBe('UnsupportedHost');
        },
      );

      test('refuses a directory two levels missing', async () => {
        expect((await failureOf(world.files.read('/etc/a/b/c.conf'))).reason).toBe('UnsupportedHost');
      });
    });

    describe('replace', () => {
      test('writes a new file, 0644, and its directory, 0755', async () => {
        expect(await world.files.replace(await world.files.read(PATH), bytes('a\xff\n'))).toBe('Replaced');
        expect(await world.text(PATH)).toBe('a\xff\n');
        expect(await world.mode(PATH)).toBe(0o644);
        expect(await world.mode('/etc/criu')).toBe(0o755);
        expect(await world.names('/etc/criu')).toEqual(['runc.conf']);
      });

      test('keeps the mode of the file', async () => {
        await world.put(PATH, 'a');
        await world.setMode(PATH, 0o640);
        await world.files.replace(await world.files.read(PATH), bytes('b'));
        expect(await world.text(PATH)).toBe('b');
        expect(await world.mode(PATH)).toBe(0o640);
      });

      test('does nothing when the bytes are there already', async () => {
        await world.put(PATH, 'a');
        const before = await world.files.read(PATH);
        expect(await world.files.replace(before, bytes('a'))).toBe('Unchanged');
        expect(await world.files.read(PATH)).toEqual(before);
      });

      test('an empty file may be written', async () => {
        expect(await world.files.replace(await world.files.read(PATH), bytes(''))).toBe('Replaced');
        expect(await world.text(PATH)).toBe('');
      });

      test.each<[string, (path: string) => Promise<void>, string | null]>([
        ['written to', (path) => world.put(path, 'theirs'), 'theirs'],
        ['written to with as many bytes', (path) => world.put(path, 'b'), 'b'],
        ['put in its place', (path) => world.putByRename(path, 'a'), 'a'],
        ['deleted', (path) => world.delete(path), null],
      ])('leaves a file alone that was %s meanwhile', async (_name, edit, left) => {
        await world.put(PATH, 'a');
        const snapshot = await world.files.read(PATH);
        await edit(PATH);
        expect(await world.files.replace(snapshot, bytes('ours'))).toBe('Changed');
        expect(await world.text(PATH)).toBe(left);
        expect(await world.names('/etc/criu')).toEqual(left === null ? [] : ['runc.conf']);
      });

      test('leaves a file alone that appeared meanwhile', async () => {
        const snapshot = await world.files.read(PATH);
        await world.put(PATH, 'theirs');
        expect(await world.files.replace(snapshot, bytes('ours'))).toBe('Changed');
        expect(await world.text(PATH)).toBe('theirs');
      });

      test('replaces what a link leads to and keeps the link', async () => {
        await world.put('/etc/other/real.conf', 'a');
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, '../other/real.conf');
        expect(await world.files.replace(await world.files.read(PATH), bytes('b'))).toBe('Replaced');
        expect(await world.text('/etc/other/real.conf')).toBe('b');
        expect(await world.isLink(PATH)).toBe(true);
        expect(await world.names('/etc/other')).toEqual(['real.conf']);
      });

      test('makes what a link leads to when it is not there', async () => {
        await world.makeDirectory('/etc/other', 0o755);
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, '../other/real.conf');
        expect(await world.files.replace(await world.files.read(PATH), bytes('b'))).toBe('Replaced');
        expect(await world.text('/etc/other/real.conf')).toBe('b');
      });

      test('leaves a file alone whose link leads elsewhere now', async () => {
        await world.put('/etc/other/one.conf', 'a');
        await world.put('/etc/other/two.conf', 'a');
        await world.makeDirectory('/etc/criu', 0o755);
        await world.link(PATH, '/etc/other/one.conf');
        const snapshot = await world.files.read(PATH);
        await world.delete(PATH);
        await world.link(PATH, '/etc/other/two.conf');
        expect(await world.files.replace(snapshot, bytes('b'))).toBe('Changed');
        expect(await world.text('/etc/other/two.conf')).toBe('a');
      });

      test('refuses more than 1 MiB', async () => {
        await world.put(PATH, 'a');
        const big = new Uint8Array(1024 * 1024 + 1);
        expect(await failureOf(world.files.replace(await world.files.read(PATH), big))).toMatchObject({
          reason: 'WriteFailed',
          code: 'EFBIG',
        });
        expect(await world.text(PATH)).toBe('a');
      });
    });

    describe('remove', () => {
      test('takes the file away and leaves the directory', async () => {
        await world.put(PATH, 'a');
        expect(await world.files.remove(await world.files.read(PATH), { emptyDirectory: false })).toBe(
          'Removed',
        );
        expect(await world.names('/etc/criu')).toEqual([]);
      });

      test('takes an empty directory away when asked to', async () => {
        await world.put(PATH, 'a');
        expect(await world.files.remove(await world.files.read(PATH), { emptyDirectory: true })).toBe(
          'Removed',
        );
        expect(await world.names('/etc/criu')).toBeNull();
      });

      test('leaves a directory with something else in it', async () => {
        await world.put(PATH, 'a');
        await world.put('/etc/criu/crun.conf', 'b');
        expect(await world.files.remove(await world.files.read(PATH), { emptyDirectory: true })).toBe(
          'Removed',
        );
        expect(await world.names('/etc/criu')).toEqual(['crun.conf']);
      });

      test('leaves a file alone that was written to meanwhile', async () => {
        await world.put(PATH, 'a');
        const snapshot = await world.files.read(PATH);
        await world.put(PATH, 'theirs');
        expect(await world.files.remove(snapshot, { emptyDirectory: true })).toBe('Changed');
        expect(await world.text(PATH)).toBe('theirs');
      });

      test('a file that is gone', async () => {
        await world.put(PATH, 'a');
        const snapshot = await world.files.read(PATH);
        await world.delete(PATH);
        expect(await world.files.remove(snapshot, { emptyDirectory: false })).toBe('Absent');
        expect(await world.names('/etc/criu')).toEqual([]);
      });

      test('a directory that a removal cut short has left', async () => {
        await world.makeDirectory('/etc/criu', 0o755);
        expect(await world.files.remove(await world.files.read(PATH), { emptyDirectory: true })).toBe(
          'Absent',
        );
        expect(await world.names('/etc/criu')).toBeNull();
      });

      test('a directory that is gone', async () => {
        expect(await world.files.remove(await world.files.read(PATH), { emptyDirectory: true })).toBe(
          'Absent',
        );
      });
    });

    describe('a file that another program has open for writing', () => {
      const texts = (lateWrites: readonly LateWrite[]): readonly (readonly string[])[] =>
        lateWrites.map(({ before, content }) => [
          Buffer.from(before ?? bytes('?')).toString('latin1'),
          Buffer.from(content).toString('latin1'),
        ]);
      let writer: ForeignWriter;
      beforeEach(async () => {
        await world.put(PATH, 'a\n');
        writer = await world.open(PATH);
      });
      afterEach(() => writer.close());

      test('the program is named, until it closes the file', async () => {
        expect(await world.files.writers(PATH)).toMatchObject([{ pid: writer.pid }]);
        expect((await world.files.writers(PATH))[0]?.command).toMatch(/^\S+$/);
        await writer.close();
        expect(await world.files.writers(PATH)).toEqual([]);
      });

      test('nobody has a file open that is not there', async () => {
        await world.delete(PATH);
        expect(await world.files.writers(PATH)).toEqual([]);
      });

      test.each<[string, (files: HostFiles) => Promise<string>]>([
        ['replaced', async (files) => files.replace(await files.read(PATH), bytes('b\n'))],
        ['removed', async (files) => files.remove(await files.read(PATH), { emptyDirectory: true })],
      ])('is not %s, and is as it was', async (_name, act) => {
        expect(await act(world.files)).toBe('BeingWritten');
        await writer.append('theirs\n');
        expect(await world.text(PATH)).toBe('a\ntheirs\n');
        expect(await world.names('/etc/criu')).toEqual(['runc.conf']);
        expect(await world.files.lateWrites(PATH)).toEqual([]);
        await writer.close();
        expect(await act(world.files)).toMatch(/^Re/);
      });

      test('a file that has the bytes already needs no replacement', async () => {
        expect(await world.files.replace(await world.files.read(PATH), bytes('a\n'))).toBe('Unchanged');
      });

      test('a file that took its place is not open', async () => {
        await world.putByRename(PATH, 'c\n');
        expect(await world.files.writers(PATH)).toEqual([]);
        expect(await world.files.replace(await world.files.read(PATH), bytes('b\n'))).toBe('Replaced');
      });

      test('replaced despite that: what is written then is a late write until it is settled, and the next one again', async () => {
        const { files } = world;
        const snapshot = await files.read(PATH);
        expect(await files.replace(snapshot, bytes('b\n'), { despiteWriters: true })).toBe('Replaced');
        expect(await files.lateWrites(PATH)).toEqual([]);
        await writer.append('one\n');
        expect(await world.text(PATH)).toBe('b\n');
        const [late] = await files.lateWrites(PATH);
        expect(texts([late as LateWrite])).toEqual([['a\n', 'a\none\n']]);
        expect(late).toMatchObject({
          path: PATH,
          // sha256sum of "a\none\n"
          sha256: '8bebac395d66f118105a6586dda43bdd66fbac23f20eef7385777289ecd3879e',
          writers: [{ pid: writer.pid }],
        });
        expect(texts(await files.lateWrites(PATH))).toEqual([['a\n', 'a\none\n']]);
        files.settle(late as LateWrite);
        expect(await files.lateWrites(PATH)).toEqual([]);
        await writer.append('two\n');
        await writer.close();
        const [more] = await files.lateWrites(PATH);
        expect(more).toMatchObject({ id: late?.id, writers: [] });
        expect(texts([more as LateWrite])).toEqual([['a\none\n', 'a\none\ntwo\n']]);
        files.settle(more as LateWrite);
        expect(await files.lateWrites(PATH)).toEqual([]);
        expect(await world.names('/etc/criu')).toEqual(['runc.conf']);
      });

      test('removed despite that: the same', async () => {
        const { files } = world;
        const change = { emptyDirectory: true, despiteWriters: true };
        expect(await files.remove(await files.read(PATH), change)).toBe('Removed');
        expect(await world.text(PATH)).toBeNull();
        await writer.append('one\n');
        const lateWrites = await files.lateWrites(PATH);
        expect(texts(lateWrites)).toEqual([['a\n', 'a\none\n']]);
        for (const late of lateWrites) files.settle(late);
        await writer.close();
        expect(await files.lateWrites(PATH)).toEqual([]);
        expect(await world.names('/etc/criu')).toEqual([]);
      });

      test('each path has late writes of its own', async () => {
        const { files } = world;
        await files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true });
        await writer.append('one\n');
        expect(await files.lateWrites('/etc/criu/crun.conf')).toEqual([]);
        expect(await files.lateWrites(PATH)).toHaveLength(1);
      });

      test.each<[string, (files: HostFiles) => Promise<unknown>, string, string | null]>([
        [
          'replaced',
          async (files) => files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true }),
          'b\n',
          'b\n',
        ],
        [
          'removed',
          async (files) =>
            files.remove(await files.read(PATH), { emptyDirectory: false, despiteWriters: true }),
          '',
          null,
        ],
      ])(
        '%s, then a kill: the next process finds what is written after',
        async (_name, act, before, left) => {
          await act(world.files);
          const next = world.restarted();
          expect(await next.lateWrites(PATH)).toEqual([]);
          expect(await world.names('/etc/criu')).toContainEqual(expect.stringMatching(SECOND_NAME));
          await writer.append('late\n');
          const lateWrites = await next.lateWrites(PATH);
          expect(texts(lateWrites)).toEqual([[before, 'a\nlate\n']]);
          for (const late of lateWrites) next.settle(late);
          await writer.close();
          expect(await next.lateWrites(PATH)).toEqual([]);
          expect(await world.names('/etc/criu')).toEqual(left === null ? [] : ['runc.conf']);
        },
      );

      test('and what is written before it looks', async () => {
        const { files } = world;
        await files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true });
        await writer.append('late\n');
        await writer.close();
        expect(texts(await world.restarted().lateWrites(PATH))).toEqual([['b\n', 'a\nlate\n']]);
      });

      test('of a path that somebody has changed before the next process looks, nobody knows what was carried over', async () => {
        const { files } = world;
        await files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true });
        await writer.append('late\n');
        await world.putByRename(PATH, 'c\n');
        const [late] = await world.restarted().lateWrites(PATH);
        expect(late).toMatchObject({ before: null, content: bytes('a\nlate\n') });
      });

      test('a new process clears away what nobody wrote into and nobody can', async () => {
        const { files } = world;
        await files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true });
        await writer.close();
        expect(await world.restarted().lateWrites(PATH)).toEqual([]);
        expect(await world.names('/etc/criu')).toEqual(['runc.conf']);
      });

      test('a late write is told to who watches', async () => {
        const { files } = world;
        await files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true });
        await new Promise<void>((resolve) => {
          const watching = new AbortController();
          files.watch(
            PATH,
            () => {
              watching.abort();
              resolve();
            },
            watching.signal,
          );
          void writer.append('late\n');
        });
        expect(await files.lateWrites(PATH)).toHaveLength(1);
      });

      test('once all is closed, no late write is told any more', async () => {
        const { files } = world;
        await files.replace(await files.read(PATH), bytes('b\n'), { despiteWriters: true });
        await files.close();
        await writer.close();
        expect(await files.lateWrites(PATH)).toEqual([]);
        expect(await world.names('/etc/criu')).toEqual(['runc.conf']);
      });
    });

    describe('watch', () => {
      test.each<[string, () => Promise<void>]>([
        ['written to', () => world.put(PATH, 'b')],
        ['put in its place', () => world.putByRename(PATH, 'b')],
        ['deleted', () => world.delete(PATH)],
        ['made beside it', () => world.put('/etc/criu/crun.conf', 'b')],
      ])('tells of a file that is %s', async (_name, edit) => {
        await world.put(PATH, 'a');
        await new Promise<void>((resolve) => {
          const watching = new AbortController();
          world.files.watch(
            PATH,
            () => {
              watching.abort();
              resolve();
            },
            watching.signal,
          );
          void edit();
        });
        expect(await world.names('/etc/criu')).not.toBeNull();
      });

      test('tells no more once it is aborted', async () => {
        await world.put(PATH, 'a');
        const watching = new AbortController();
        let calls = 0;
        world.files.watch(PATH, () => (calls += 1), watching.signal);
        watching.abort();
        await world.put(PATH, 'b');
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect(calls).toBe(0);
      });
    });
  });
}
