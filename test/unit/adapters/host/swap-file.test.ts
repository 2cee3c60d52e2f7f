// Another program that opens the file at any moment of a replacement or removal, and writes into it later: its text is in the file, or comes as a late write, also when we are killed in between.
import { describe, expect, test } from '@jest/globals';
import { FakeHostFiles } from '../../../fakes/fake-host-files.ts';
import type { OpenWriter } from '../../../fakes/memory-disk.ts';

const PATH = '/etc/criu/runc.conf';

type Act = (files: FakeHostFiles) => Promise<string>;

/** What was in the file when it was read is carried over. */
const replace: Act = async (files) => {
  const snapshot = await files.read(PATH);
  const text = `${Buffer.from(snapshot.content ?? []).toString()}new\n`;
  return files.replace(snapshot, new Uint8Array(Buffer.from(text)));
};
const remove: Act = async (files) => files.remove(await files.read(PATH), { emptyDirectory: true });
const ACTS: readonly [string, Act][] = [
  ['replacement', replace],
  ['removal', remove],
];

/** The calls of the first read: three directories, the file itself, and open, stat, read, read, close. */
const FIRST_READ = 9;

const aFile = (): FakeHostFiles => new FakeHostFiles({ [PATH]: 'old\n' });

async function countCalls(act: Act): Promise<number> {
  const files = aFile();
  await act(files);
  return files.disk.callCount;
}

/** Before the call number `call` (1: the first) something happens. */
function beforeCall(files: FakeHostFiles, events: ReadonlyMap<number, () => void>): void {
  files.disk.onCall = () => {
    const { onCall } = files.disk;
    files.disk.onCall = null;
    events.get(files.disk.callCount)?.();
    files.disk.onCall = onCall;
  };
}

function openAt(files: FakeHostFiles, opened: OpenWriter[]): () => void {
  return () => {
    if (files.text(PATH) !== null) opened.push(files.open(PATH));
  };
}

/** All that is in the file, and in what comes as late writes. */
async function everything(files: FakeHostFiles): Promise<string> {
  const lateWrites = await files.lateWrites(PATH);
  const texts = lateWrites.map(({ content }) => Buffer.from(content).toString());
  return [files.text(PATH) ?? '', ...texts].join('|');
}

describe.each(ACTS)('a %s', (_name, act) => {
  test('and one program that opens the file at any call, and writes when all is over', async () => {
    const outcomes = new Map<string, number>();
    for (let call = 1; call <= (await countCalls(act)); call += 1) {
      const files = aFile();
      const opened: OpenWriter[] = [];
      beforeCall(files, new Map([[call, openAt(files, opened)]]));
      const outcome = await act(files);
      files.disk.onCall = null;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      for (const writer of opened) {
        writer.append('theirs\n');
        expect(await everything(files)).toContain('theirs\n');
        writer.close();
      }
      if (outcome === 'BeingWritten') {
        expect(files.text(PATH)).toBe('old\ntheirs\n');
        expect(files.disk.names('/etc/criu')).toEqual(['runc.conf']);
      }
    }
    // Until the file is out of its place it is left in peace; who comes later has what took its place, or nothing.
    expect(outcomes.get('BeingWritten')).toBeGreaterThan(15);
    expect([...outcomes.keys()].sort()).toEqual(
      act === replace ? ['BeingWritten', 'Replaced'] : ['BeingWritten', 'Removed'],
    );
  });

  test('and one that opens it, writes and closes it, all at once', async () => {
    let writes = 0;
    for (let call = FIRST_READ; call <= (await countCalls(act)); call += 1) {
      const files = aFile();
      const before = writes;
      const write = (): void => {
        if (files.text(PATH) === null) return;
        const writer = files.open(PATH);
        writer.append('theirs\n');
        writer.close();
        writes += 1;
      };
      beforeCall(files, new Map([[call, write]]));
      await act(files);
      files.disk.onCall = null;
      if (writes > before) expect(await everything(files)).toContain('theirs\n');
    }
    expect(writes).toBeGreaterThan(15);
  });

  test('and two programs that open it at any two calls', async () => {
    const calls = await countCalls(act);
    for (let first = 1; first <= calls; first += 1) {
      for (let second = first + 1; second <= calls + 12; second += 1) {
        const files = aFile();
        const opened: OpenWriter[] = [];
        beforeCall(
          files,
          new Map([
            [first, openAt(files, opened)],
            [second, openAt(files, opened)],
          ]),
        );
        await act(files);
        files.disk.onCall = null;
        opened.forEach((writer, index) => {
          writer.append(`theirs ${index.toString()}\n`);
        });
        const all = await everything(files);
        opened.forEach((_writer, index) => {
          expect(all).toContain(`theirs ${index.toString()}\n`);
        });
      }
    }
  });

  test('and one that opens it at any call, a kill at any later one, and a text that comes after', async () => {
    const calls = await countCalls(act);
    let kills = 0;
    for (let call = 1; call <= calls; call += 1) {
      for (let later = 1; later <= calls + 12 - call; later += 1) {
        const files = aFile();
        const opened: OpenWriter[] = [];
        const open = openAt(files, opened);
        const event = (): void => {
          open();
          files.disk.stopAt(later, 'before');
        };
        beforeCall(files, new Map([[call, event]]));
        await act(files).catch(() => 'Killed');
        files.disk.onCall = null;
        if (files.disk.stopped) kills += 1;
        files.restart('killed');
        await files.recover(PATH);
        for (const writer of opened) {
          writer.append('theirs\n');
          expect(await everything(files)).toContain('theirs\n');
          writer.close();
        }
      }
    }
    expect(kills).toBeGreaterThan(calls * 8);
  });
});

test.each(ACTS)('a %s in which a call fails leaves nothing open', async (_name, act) => {
  const calls = ['lstat', 'openForRead', 'fstat', 'read', 'create', 'write', 'sync', 'link', 'rename', 'unlink', 'writersOf'] as const; // prettier-ignore
  for (const call of calls) {
    for (let after = 0; after < 12; after += 1) {
      const files = aFile();
      const opened: OpenWriter[] = [];
      // Somebody slips in, so that the step is taken back too.
      files.disk.onCall = (now) => {
        if (now === 'rename' && opened.length === 0) openAt(files, opened)();
      };
      files.fail(call, 'EIO', { after });
      await act(files).catch(() => 'Failed');
      files.disk.onCall = null;
      await files.lateWrites(PATH).catch(() => 'Failed');
      await files.close();
      expect(files.disk.openCount).toBe(0);
    }
  }
});

test('a file that somebody makes just before ours gets its name stays', async () => {
  const files = new FakeHostFiles();
  files.disk.mkdir('/etc/criu');
  files.disk.onCall = (call) => {
    if (call !== 'link') return;
    files.disk.onCall = null;
    files.put(PATH, 'theirs\n');
  };
  expect(await replace(files)).toBe('Changed');
  expect(files.text(PATH)).toBe('theirs\n');
  expect(files.disk.names('/etc/criu')).toEqual(['runc.conf']);
});

describe('on a file system without hard links', () => {
  const aFileThere = (): FakeHostFiles => {
    const files = aFile();
    files.fail('link', 'ENOTSUP', { always: true });
    return files;
  };

  test.each([
    ['replaced', replace, 'Replaced', 'old\nnew\n'],
    ['removed', remove, 'Removed', null],
  ] as const)('a file can be %s', async (_name, act, outcome, left) => {
    const files = aFileThere();
    expect(await act(files)).toBe(outcome);
    expect(files.text(PATH)).toBe(left);
    expect(await files.lateWrites(PATH)).toEqual([]);
  });

  test('a new file can be made', async () => {
    const files = new FakeHostFiles();
    files.fail('link', 'EPERM', { always: true });
    expect(await replace(files)).toBe('Replaced');
    expect(files.disk.names('/etc/criu')).toEqual(['runc.conf']);
  });

  test.each(ACTS)('a %s into which a program slips loses nothing', async (_name, act) => {
    for (let call = 1; call <= (await countCalls(act)); call += 1) {
      const files = aFileThere();
      const opened: OpenWriter[] = [];
      beforeCall(files, new Map([[call, openAt(files, opened)]]));
      await act(files);
      files.disk.onCall = null;
      for (const writer of opened) {
        writer.append('theirs\n');
        expect(await everything(files)).toContain('theirs\n');
      }
    }
  });
});

describe('what is kept of replaced files', () => {
  const TEN_MINUTES_MS = 600_000;
  const change = async (files: FakeHostFiles, text: string): Promise<string> =>
    files.replace(await files.read(PATH), new Uint8Array(Buffer.from(text)), { despiteWriters: true });

  test('a file that nobody had open is looked after for ten minutes', async () => {
    const files = aFile();
    const hidden = files.open(PATH);
    hidden.close(); // as a descriptor is that no process has: it is under way between two
    await change(files, 'new\n');
    files.wait(TEN_MINUTES_MS - 1);
    hidden.append('late\n');
    expect(await files.lateWrites(PATH)).toHaveLength(1);
    for (const late of await files.lateWrites(PATH)) files.settle(late);
    files.wait(1);
    expect(await files.lateWrites(PATH)).toEqual([]);
    hidden.append('too late\n');
    expect(await files.lateWrites(PATH)).toEqual([]);
  });

  test('one that somebody has open, as long as that', async () => {
    const files = aFile();
    const writer = files.open(PATH);
    await change(files, 'new\n');
    for (let hour = 0; hour < 5; hour += 1) {
      files.wait(6 * TEN_MINUTES_MS);
      expect(await files.lateWrites(PATH)).toEqual([]);
    }
    writer.append('late\n');
    writer.close();
    expect(await files.lateWrites(PATH)).toHaveLength(1);
    for (const late of await files.lateWrites(PATH)) files.settle(late);
    expect(await files.lateWrites(PATH)).toEqual([]);
    expect(files.disk.names('/etc/criu')).toEqual(['runc.conf']);
  });

  test('no more than sixteen are open, and none that holds something new is let go for that', async () => {
    const files = aFile();
    const hidden = files.open(PATH);
    hidden.close();
    const writers: OpenWriter[] = [];
    for (let count = 0; count < 60; count += 1) {
      if (count === 10) writers.push(files.open(PATH));
      await change(files, `${count.toString()}\n`);
      if (count === 5) hidden.append('late\n');
    }
    expect(files.disk.openCount).toBe(16);
    writers[0]?.append('and this\n');
    const texts = (await files.lateWrites(PATH)).map(({ content }) => Buffer.from(content).toString());
    expect(texts).toEqual(['old\nlate\n', '9\nand this\n']);
    await files.close();
    expect(files.disk.openCount).toBe(0);
  });

  test('what could not be cleared away is, by the next look that can', async () => {
    const files = aFile();
    for (let count = 0; count < 20; count += 1) await change(files, `${count.toString()}\n`);
    files.fail('rename', 'EPERM');
    files.fail('unlink', 'EPERM');
    files.fail('unlink', 'EPERM');
    await expect(change(files, 'new\n')).rejects.toMatchObject({ reason: 'FileImmutable' });
    expect(files.disk.names('/etc/criu')).toHaveLength(3);
    files.fail('unlink', 'EPERM');
    await expect(files.lateWrites(PATH)).rejects.toMatchObject({ reason: 'FileImmutable' });
    expect(await files.lateWrites(PATH)).toEqual([]);
    files.fail('unlink', 'EPERM');
    await expect(change(files, 'new\n')).rejects.toMatchObject({ reason: 'FileImmutable' });
    expect(files.disk.names('/etc/criu')).toHaveLength(2);
    await change(files, 'new\n');
    expect(files.disk.names('/etc/criu')).toEqual(['runc.conf']);
  });

  test('text larger than a CRIU file comes too', async () => {
    const files = aFile();
    const writer = files.open(PATH);
    await change(files, 'new\n');
    writer.append('x'.repeat(3_000_000));
    expect((await files.lateWrites(PATH))[0]?.content).toHaveLength(3_000_004);
  });

  test('a descriptor that cannot be read any more is no reason to fail a watch', async () => {
    const files = aFile();
    const writer = files.open(PATH);
    writer.close();
    await change(files, 'new\n');
    let told = 0;
    files.watch(PATH, () => (told += 1), new AbortController().signal);
    files.fail('fstat', 'EIO');
    writer.append('late\n');
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBe(0);
    writer.append('more\n');
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBe(1);
  });
});
