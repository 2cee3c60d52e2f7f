import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  ARCHIVE_RECORDS_MAX,
  createArchiveLedger,
  isSameFile,
  type ArchiveLedger,
} from '../../../src/node-engine/archive-ledger.ts';
import { openDocuments, type ArchiveRecord } from '../../../src/node-engine/documents.ts';
import { FakeCheckpointArchives } from '../../fakes/fake-checkpoint-archives.ts';
import { FakeStateStore } from '../../fakes/fake-state-store.ts';

let archives: FakeCheckpointArchives;
let state: FakeStateStore;
let warnings: [string, unknown][];
let ledger: ArchiveLedger;

function open(): ArchiveLedger {
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message: string, fields?: unknown) => void warnings.push([message, fields]),
    error: () => undefined,
  };
  return createArchiveLedger({ document: openDocuments(state, log).archives, archives, log });
}

function record(name: string, changes: Partial<ArchiveRecord> = {}): ArchiveRecord {
  return {
    path: `/archives/${name}`,
    device: 1,
    inode: 7,
    sizeBytes: 100,
    modifiedMs: 1000,
    directory: '/archives',
    requestUID: 'r1',
    policy: null,
    podUID: 'pod-1',
    containerName: 'app',
    ...changes,
  };
}

const namesIn = async (from = ledger): Promise<string[]> =>
  (await from.list()).map(({ path }) => path.slice('/archives/'.length));

beforeEach(() => {
  archives = new FakeCheckpointArchives();
  state = new FakeStateStore();
  warnings = [];
  ledger = open();
});

describe('the ledger of archives', () => {
  test('is empty at first', async () => {
    expect(await ledger.list()).toEqual([]);
    expect(await ledger.ofRequest('r1')).toEqual([]);
    expect(state.text('archives.json')).toBeNull();
  });

  test('outlives the process, from old to new', async () => {
    await ledger.add(record('b', { modifiedMs: 3000 }));
    await ledger.add(record('a', { modifiedMs: 2000, policy: 'shop/p' }));
    expect(await open().list()).toEqual([
      record('a', { modifiedMs: 2000, policy: 'shop/p' }),
      record('b', { modifiedMs: 3000 }),
    ]);
  });

  test('finds what a request made', async () => {
    await ledger.add(record('a'));
    await ledger.add(record('b', { requestUID: 'r2' }));
    await ledger.add(record('c'));
    expect((await ledger.ofRequest('r1')).map(({ path }) => path)).toEqual(['/archives/a', '/archives/c']);
    expect(await ledger.ofRequest('r3')).toEqual([]);
  });

  test('a path has one record: the last', async () => {
    await ledger.add(record('a'));
    await ledger.add(record('a', { inode: 8, requestUID: 'r2' }));
    expect(await ledger.list()).toEqual([record('a', { inode: 8, requestUID: 'r2' })]);
  });

  test('forgets the very file only, and renews by path', async () => {
    for (const name of ['a', 'b', 'c']) await ledger.add(record(name));
    await ledger.update(
      [record('a'), record('b', { inode: 8 }), record('x')],
      [record('c', { device: 2 }), record('unknown')],
    );
    expect(await ledger.list()).toEqual([record('b'), record('c', { device: 2 })]);
    expect(isSameFile(record('a'), record('a', { requestUID: 'r9' }))).toBe(true);
  });

  test('calls at the same time lose nothing', async () => {
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => ledger.add(record(name))));
    await Promise.all([ledger.update([record('a')], []), ledger.add(record('e'))]);
    expect(await namesIn()).toEqual(['b', 'c', 'd', 'e']);
  });

  test.each(['{"half', '{}', '[{"path": 7}]', 'null'])(
    'an unreadable document (%s) counts as empty, and it goes on',
    async (text) => {
      await state.write('archives.json', Buffer.from(text));
      expect(await ledger.list()).toEqual([]);
      expect(warnings.map(([message]) => message)).toEqual(['state document is unreadable, deciding anew']);
      await ledger.add(record('a'));
      expect(await namesIn(open())).toEqual(['a']);
    },
  );

  test('a fault of the state folder is heard, and the next call works', async () => {
    await ledger.add(record('a'));
    state.fault = new Error('EIO');
    await expect(ledger.add(record('b'))).rejects.toThrow('EIO');
    await expect(ledger.list()).rejects.toThrow('EIO');
    state.fault = null;
    expect(await namesIn()).toEqual(['a']);
  });

  test('inodes beyond 2^53 come back', async () => {
    await ledger.add(record('a', { inode: 2 ** 60 }));
    expect((await open().list())[0]?.inode).toBe(2 ** 60);
  });

  describe('when it is full', () => {
    const nameOf = (index: number): string => index.toString().padStart(4, '0');
    beforeEach(async () => {
      const full = Array.from({ length: ARCHIVE_RECORDS_MAX }, (_, index) =>
        record(nameOf(index), { modifiedMs: index }),
      );
      await state.write('archives.json', Buffer.from(JSON.stringify(full)));
      for (const { path } of full) archives.put(path);
    });

    test('the oldest whose file is gone is forgotten', async () => {
      archives.drop('/archives/2000');
      archives.drop('/archives/3000');
      await ledger.add(record('new', { modifiedMs: 1 }));
      const names = await namesIn();
      expect(names).toHaveLength(4096);
      expect(names).toContain('new');
      expect(names).not.toContain('2000');
      expect(names).toContain('3000');
      expect(warnings).toEqual([]);
    });

    test('else the oldest, and it is said; a fault of the disk is no sign that a file is gone', async () => {
      archives.faults.set('/archives/0100', new Error('EIO'));
      await ledger.add(record('new', { modifiedMs: 5000 }));
      const names = await namesIn();
      expect(names).toHaveLength(4096);
      expect(names[0]).toBe('0001');
      expect(names).toContain('0100');
      expect(warnings).toEqual([
        ['ledger of archives is full, an archive stays without a record', { path: '/archives/0000' }],
      ]);
    });
  });
});
