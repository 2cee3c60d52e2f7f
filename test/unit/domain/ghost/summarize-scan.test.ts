import { describe, expect, test } from '@jest/globals';
import type {
  FileObservation,
  ProcessObservation,
  TreeObservation,
} from '../../../../src/api/process-tree.ts';
import { summarizeScan } from '../../../../src/domain/ghost/summarize-scan.ts';

const EXT4 = 0xef53;

function aFile(
  inode: string,
  changes: Partial<FileObservation> & { size?: number; allocated?: number; links?: number } = {},
): FileObservation {
  const { size = 4096, allocated = size, links = 0, ...rest } = changes;
  const stat = {
    device: 8,
    inode,
    mode: 0o100644,
    linkCount: links,
    sizeBytes: size,
    allocatedBytes: allocated,
  };
  return {
    hold: 'Fd',
    text: `/tmp/${inode} (deleted)`,
    references: 1,
    stat,
    fileSystemType: EXT4,
    name: 'Missing',
    deviceIsMounted: true,
    ...rest,
  };
}

function aProcess(pid: number, changes: Partial<ProcessObservation> = {}): ProcessObservation {
  return {
    pid,
    state: 'S',
    threadCount: 1,
    tracerPid: 0,
    anonymousBytes: 0,
    sharedMemoryBytes: 0,
    namespaces: { pid: 'pid:[1]', ipc: 'ipc:[2]', mnt: 'mnt:[3]' },
    files: [],
    anonymousInodes: [],
    firstExecutableMapping: { shared: false, text: '/bin/app' },
    hasUprobes: false,
    threadsApart: [],
    unreadable: [],
    ...changes,
  };
}

function aTree(
  processes: readonly ProcessObservation[],
  changes: Partial<TreeObservation> = {},
): TreeObservation {
  return { pid: processes[0]?.pid ?? 1, processes, rootGone: false, pendingPaths: [], ...changes };
}

const withFiles = (...files: FileObservation[]): TreeObservation => aTree([aProcess(10, { files })]);

describe('the limit', () => {
  const cases: [string, TreeObservation, number, boolean][] = [
    ['no file', withFiles(), 0, false],
    [
      'the largest, never the sum',
      withFiles(aFile('1', { size: 900 }), aFile('2', { size: 1000 })),
      1000,
      false,
    ],
    [
      'the size, where less is allocated (sparse)',
      withFiles(aFile('1', { size: 52_428_800, allocated: 0 })),
      52_428_800,
      false,
    ],
    [
      'the allocated bytes, where they are more',
      withFiles(aFile('1', { size: 10, allocated: 4_194_304 })),
      4_194_304,
      false,
    ],
    ['nothing for a link remap', withFiles(aFile('1', { size: 5000, links: 1 })), 0, true],
    [
      'both for the lower layer of an overlay',
      withFiles(aFile('1', { size: 5000, links: 1, fileSystemType: 0x794c7630 })),
      5000,
      true,
    ],
    ['nothing for a file that blocks', withFiles(aFile('1', { size: 5000, mount: 'Foreign' })), 0, false],
    [
      'over all processes',
      aTree([aProcess(10, { files: [aFile('1')] }), aProcess(11, { files: [aFile('2', { size: 8192 })] })]),
      8192,
      false,
    ],
  ];
  test.each(cases)('%s', (_, tree, requiredGhostLimitBytes, linkRemapRequired) => {
    expect(summarizeScan(tree)).toMatchObject({ requiredGhostLimitBytes, linkRemapRequired });
  });
});

test.each([
  ['no process', [], 0],
  [
    'memory of its own adds up',
    [
      [100, 0],
      [20, 0],
      [3, 0],
    ],
    123,
  ],
  [
    'shared memory counts once: CRIU dumps it once',
    [
      [100, 4000],
      [100, 4096],
      [100, 16],
    ],
    4396,
  ],
])('the memory: %s', (_sentence, processes, residentBytes) => {
  const tree = aTree(
    processes.map(([anonymousBytes = 0, sharedMemoryBytes = 0], index) =>
      aProcess(10 + index, { anonymousBytes, sharedMemoryBytes }),
    ),
  );
  expect(summarizeScan(tree).residentBytes).toBe(residentBytes);
});

describe('the files', () => {
  test('one inode is one file: references add up, the strongest hold names it, the largest sizes count', () => {
    const tree = aTree([
      aProcess(10, {
        files: [
          aFile('1', { hold: 'Exe', text: '/old (deleted)', size: 100 }),
          aFile('1', { references: 2, size: 120 }),
        ],
      }),
      aProcess(11, {
        files: [aFile('1', { hold: 'Map', text: '/mapped (deleted)', references: 4, size: 110 })],
      }),
    ]);
    expect(summarizeScan(tree).files).toEqual([
      { path: '/mapped', kind: 'Map', remap: 'Ghost', sizeBytes: 120, allocatedBytes: 120, references: 7 },
    ]);
  });

  test('the same inode number on another device is another file; the largest comes first', () => {
    const other = aFile('1', { size: 9000 });
    const tree = withFiles(aFile('1'), {
      ...other,
      ...(other.stat && { stat: { ...other.stat, device: 9 } }),
    });
    expect(summarizeScan(tree).files.map((file) => file.sizeBytes)).toEqual([9000, 4096]);
  });

  test('only the last mark is taken off', () => {
    expect(summarizeScan(withFiles(aFile('1', { text: '/x (deleted) (deleted)' }))).files[0]?.path).toBe(
      '/x (deleted)',
    );
  });
});

describe('blockers', () => {
  const cases: [string, Partial<ProcessObservation>, string][] = [
    [
      'io_uring',
      { anonymousInodes: ['anon_inode:[io_uring]'] },
      'IoUring: process 11 has anon_inode:[io_uring] open',
    ],
    [
      'another unknown inode',
      { anonymousInodes: ['anon_inode:[userfaultfd]'] },
      'UnsupportedFd: process 11 has anon_inode:[userfaultfd] open',
    ],
    ['traced', { tracerPid: 77 }, 'TaskState: process 11 is traced by process 77'],
    [
      'dead first thread',
      { state: 'Z', threadCount: 3 },
      'TaskState: the first thread of process 11 has ended, others go on',
    ],
    [
      'shared code first',
      { firstExecutableMapping: { shared: true, text: '/dev/zero (deleted)' } },
      'ParasiteFailed: the first executable mapping of process 11 is shared (/dev/zero (deleted))',
    ],
    ['uprobes', { hasUprobes: true }, 'Uprobes: a tracer placed uprobes in process 11'],
    [
      'nested pid namespace',
      { namespaces: { pid: 'pid:[9]', ipc: 'ipc:[2]' } },
      'NestedNamespace: process 11 has its own pid namespace',
    ],
    [
      'nested mount namespace',
      { namespaces: { mnt: 'mnt:[9]' } },
      'MountNoRoot: process 11 has its own mnt namespace',
    ],
  ];
  test.each(cases)('%s', (_, changes, expected) => {
    const { blockers } = summarizeScan(aTree([aProcess(10), aProcess(11, changes)]));
    expect(blockers.map(({ code, message }) => `${code}: ${message}`)).toEqual([expected]);
  });

  test('a dead root, but not a dead child', () => {
    const dead = { state: 'Z', threadCount: 1 };
    expect(summarizeScan(aTree([aProcess(10, dead)])).blockers).toEqual([
      { code: 'TaskState', message: 'the root process 10 has ended' },
    ]);
    expect(summarizeScan(aTree([aProcess(10), aProcess(11, dead)])).blockers).toEqual([]);
  });

  test('what CRIU knows is no blocker', () => {
    const anonymousInodes = [
      'anon_inode:[eventpoll]',
      'anon_inode:[eventfd]',
      'anon_inode:inotify',
      'anon_inode:[timerfd]',
      'anon_inode:[signalfd]',
      'anon_inode:[pidfd]',
      'anon_inode:[fanotify]',
    ];
    expect(summarizeScan(aTree([aProcess(10, { anonymousInodes })])).blockers).toEqual([]);
  });

  test('many of one kind are one remark', () => {
    const uring = { anonymousInodes: ['anon_inode:[io_uring]'] };
    expect(
      summarizeScan(aTree([aProcess(10, uring), aProcess(11, uring), aProcess(12, uring)])).blockers,
    ).toEqual([{ code: 'IoUring', message: 'process 10 has anon_inode:[io_uring] open (and 2 more)' }]);
  });
});

describe('warnings', () => {
  const cases: [string, TreeObservation, string][] = [
    [
      'size unknown',
      withFiles({ ...aFile('1'), stat: undefined }),
      'SizeUnknown: /tmp/1 (deleted) is deleted and held (Fd), but its size could not be read',
    ],
    ['root gone', aTree([aProcess(10)], { rootGone: true }), 'ProcessGone: process 10 ended during the scan'],
    [
      'no answer',
      aTree([aProcess(10)], { pendingPaths: ['/nfs/a', '/nfs/b'] }),
      'ScanTruncated: 2 files on file systems that did not answer in time, the first: /nfs/a',
    ],
    [
      'unreadable',
      aTree([aProcess(10, { unreadable: ['fd', 'maps'] })]),
      'ProcessUnreadable: /proc/10: no permission to read fd, maps',
    ],
    [
      'thread apart',
      aTree([aProcess(10, { threadsApart: [{ threadId: 12, deletedPaths: ['/t/a', '/t/b'] }] })]),
      'ThreadFilesApart: thread 12 of process 10 has its own descriptors, which CRIU does not dump; among them 2 deleted: /t/a',
    ],
    [
      'thread apart, nothing deleted',
      aTree([aProcess(10, { threadsApart: [{ threadId: 12, deletedPaths: [] }] })]),
      'ThreadFilesApart: thread 12 of process 10 has its own descriptors, which CRIU does not dump',
    ],
  ];
  test.each(cases)('%s', (_, tree, expected) => {
    const scan = summarizeScan(tree);
    expect(scan.warnings.map(({ code, message }) => `${code}: ${message}`)).toEqual([expected]);
    expect(scan.requiredGhostLimitBytes).toBe(0);
  });
});
