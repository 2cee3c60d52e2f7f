// The writing protocol on a disk in memory: what each failing call leads to, and what a crash leaves.
import { describe, expect, test } from '@jest/globals';
import type { FileCalls } from '../../../../src/adapters/host/file-calls.ts';
import { HostFileError, type HostFileFailure } from '../../../../src/ports/host-files.ts';
import { FakeHostFiles } from '../../../fakes/fake-host-files.ts';
import { MemoryDisk } from '../../../fakes/memory-disk.ts';

const PATH = '/etc/criu/runc.conf';
const NEW = new Uint8Array(Buffer.from('new\n'));

async function failureOf(promise: Promise<unknown>): Promise<HostFileError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof HostFileError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

/** A disk that loses in a power cut whatever was not synced. */
const forgetful = (): MemoryDisk => new MemoryDisk(() => 0.99);

const names = (files: FakeHostFiles): readonly string[] | null => files.disk.names('/etc/criu');

describe('a failing call', () => {
  const calls: readonly (keyof FileCalls)[] = [
    ...(['create', 'chown', 'chmod', 'write', 'sync', 'link', 'rename'] as const),
  ];
  const codes: readonly (readonly [code: string, reason: HostFileFailure])[] = [
    ['ENOSPC', 'FileSystemFull'],
    ['EDQUOT', 'FileSystemFull'],
    ['EROFS', 'ReadOnlyFileSystem'],
    ['EBUSY', 'WriteFailed'],
    ['EPERM', 'WriteFailed'],
    ['EACCES', 'WriteFailed'],
    ['EIO', 'WriteFailed'],
  ];
  const special: Readonly<Record<string, HostFileFailure>> = {
    'rename EBUSY': 'FileMountedOver',
    'create EPERM': 'FileImmutable',
    'rename EPERM': 'FileImmutable',
  };
  const table = calls
    .flatMap((call) =>
      codes.map(([code, reason]) => ({ call, code, reason: special[`${call} ${code}`] ?? reason })),
    )
    .filter(({ call, code }) => call !== 'link' || code !== 'EPERM');

  test.each(table)(
    '$call with $code is $reason; the original is untouched',
    async ({ call, code, reason }) => {
      const files = new FakeHostFiles({ [PATH]: 'old\n' });
      files.disk.setOwner(PATH, 0, 12);
      const snapshot = await files.read(PATH);
      files.fail(call, code);
      const failure = await failureOf(files.replace(snapshot, NEW));
      expect(failure).toMatchObject({ reason, code, path: PATH });
      expect(failure.message).toContain(`cannot write ${PATH}: ${code}`);
      expect(files.text(PATH)).toBe('old\n');
      expect(names(files)).toEqual(['runc.conf']);
    },
  );

  test('a file that is a mount of its own: the message says what to do', async () => {
    const files = new FakeHostFiles({ [PATH]: 'old\n' });
    const snapshot = await files.read(PATH);
    files.fail('rename', 'EBUSY');
    expect((await failureOf(files.replace(snapshot, NEW))).message).toContain('mount its directory instead');
  });

  test('when even the temporary file cannot be removed, the first failure is reported and the next write sweeps', async () => {
    const files = new FakeHostFiles({ [PATH]: 'old\n' });
    const snapshot = await files.read(PATH);
    files.fail('write', 'ENOSPC');
    files.fail('unlink', 'EIO');
    expect(await failureOf(files.replace(snapshot, NEW))).toMatchObject({ code: 'ENOSPC' });
    expect(names(files)).toHaveLength(2);
    files.restart();
    expect(await files.replace(await files.read(PATH), NEW)).toBe('Replaced');
    expect(names(files)).toEqual(['runc.conf']);
  });

  test('an fsync of the directory that fails: the write counts only once it was repeated', async () => {
    const files = new FakeHostFiles({ [PATH]: 'old\n' }, forgetful());
    const snapshot = await files.read(PATH);
    files.fail('sync', 'EIO', { after: 1 });
    expect(await failureOf(files.replace(snapshot, NEW))).toMatchObject({
      reason: 'WriteFailed',
      code: 'EIO',
    });
    files.fail('sync', 'EIO');
    expect(await failureOf(files.read(PATH))).toMatchObject({ reason: 'WriteFailed', code: 'EIO' });
    expect((await files.read(PATH)).content).toEqual(NEW);
    files.restart('power cut');
    expect(files.text(PATH)).toBe('new\n');
  });

  test('a new directory whose parent cannot be put on the disk: the write counts only once that was repeated', async () => {
    const files = new FakeHostFiles({}, forgetful());
    const snapshot = await files.read(PATH);
    files.fail('sync', 'EIO');
    expect(await failureOf(files.replace(snapshot, NEW))).toMatchObject({ code: 'EIO' });
    expect(await files.replace(await files.read(PATH), NEW)).toBe('Replaced');
    files.restart('power cut');
    expect(files.text(PATH)).toBe('new\n');
  });

  test.each(['openForRead', 'read', 'fstat', 'lstat'] as const)('reading: %s', async (call) => {
    const files = new FakeHostFiles({ [PATH]: 'old\n' });
    files.fail(call, 'EIO');
    expect(await failureOf(files.read(PATH))).toMatchObject({ reason: 'ReadFailed', code: 'EIO' });
  });

  test.each(['unlink', 'rmdir', 'sync'] as const)('removing: %s', async (call) => {
    const files = new FakeHostFiles({ [PATH]: 'old\n' });
    const snapshot = await files.read(PATH);
    files.fail(call, 'EROFS');
    expect(await failureOf(files.remove(snapshot, { emptyDirectory: true }))).toMatchObject({
      reason: 'ReadOnlyFileSystem',
    });
  });
});

test('writes of a few bytes at a time, and interrupted calls, make the whole file', async () => {
  const files = new FakeHostFiles({ [PATH]: 'old\n' });
  files.disk.longestWrite = 3;
  files.fail('write', 'EINTR', { after: 1 });
  files.fail('read', 'EINTR');
  const content = new Uint8Array(Buffer.from('x'.repeat(1000)));
  expect(await files.replace(await files.read(PATH), content)).toBe('Replaced');
  expect(files.text(PATH)).toBe('x'.repeat(1000));
});

describe('a crash', () => {
  const aFile = (): FakeHostFiles => {
    const files = new FakeHostFiles({ [PATH]: 'old\n' });
    files.disk.setOwner(PATH, 0, 12);
    return files;
  };
  const replacing = async (files: FakeHostFiles): Promise<string> =>
    files.replace(await files.read(PATH), NEW);
  const removing = async (files: FakeHostFiles): Promise<string> =>
    files.remove(await files.read(PATH), { emptyDirectory: false });

  test.each([
    { name: 'replace', act: replacing, done: 'Replaced', wanted: 'new\n', leastCalls: 50 },
    { name: 'remove', act: removing, done: 'Removed', wanted: null, leastCalls: 30 },
  ])(
    'of $name at any call leaves the old file or the new one, and the next start nothing else',
    async ({ act, done, wanted, leastCalls }) => {
      const clean = aFile();
      await act(clean);
      const { callCount } = clean.disk;
      expect(callCount).toBeGreaterThan(leastCalls);
      const points = Array.from({ length: callCount }, (_, index) => index + 1).flatMap((call) =>
        (['before', 'after'] as const).flatMap((when) =>
          (['killed', 'power cut'] as const).map((how) => ({ call, when, how })),
        ),
      );
      for (const { call, when, how } of points) {
        const files = aFile();
        files.disk.stopAt(call, when);
        const outcome = await act(files).catch(() => 'Crashed');
        expect(files.disk.stopped).toBe(true);
        files.restart(how);
        expect(outcome === done ? [wanted] : ['old\n', wanted]).toContain(files.text(PATH));
        await files.recover(PATH);
        expect(names(files)).toEqual(files.text(PATH) === null ? [] : ['runc.conf']);
      }
    },
  );

  test.each([
    ['the rename and its fsync', { [PATH]: 'old\n' }, 'rename'],
    ['making the directory and its fsync', {}, 'mkdir'],
  ] as const)('between %s: recover makes up for it', async (_name, originals, last) => {
    const files = new FakeHostFiles(originals, forgetful());
    files.disk.onCall = (call) => {
      if (call === last) files.disk.stopAt(1, 'before');
    };
    const pass = files.read(PATH).then((snapshot) => files.replace(snapshot, NEW));
    await expect(pass).rejects.toThrow();
    files.disk.onCall = null;
    files.restart('killed');
    await files.recover(PATH);
    await files.replace(await files.read(PATH), NEW);
    files.restart('power cut');
    expect(files.text(PATH)).toBe('new\n');
  });

  test('recover removes our temporary files of that path and nothing else', async () => {
    const others = [
      '.ghostlimit-crun.conf.0123456789abcdef.tmp',
      '.ghostlimit-runc.conf.0123456789abcde.tmp',
      '.runc.conf.swp',
      'runc.conf~',
    ];
    const files = new FakeHostFiles({ [PATH]: 'old\n' });
    for (const name of [...others, '.ghostlimit-runc.conf.0123456789abcdef.tmp'])
      files.put(`/etc/criu/${name}`, 'x');
    expect(await files.recover(PATH)).toBe(1);
    expect(names(files)).toEqual([...others, 'runc.conf'].sort());
  });

  test('recover of a directory that is not there', async () => {
    expect(await new FakeHostFiles().recover(PATH)).toBe(0);
  });
});

test('somebody who writes between our temporary file and its rename wins', async () => {
  const files = new FakeHostFiles({ [PATH]: 'old\n' });
  const snapshot = await files.read(PATH);
  files.disk.onCall = (call, path) => {
    if (call === 'sync' && path.endsWith('.tmp')) files.put(PATH, 'abc\n');
  };
  expect(await files.replace(snapshot, NEW)).toBe('Changed');
  expect(files.text(PATH)).toBe('abc\n');
  expect(names(files)).toEqual(['runc.conf']);
});
