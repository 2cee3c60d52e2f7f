import { describe, expect, test } from '@jest/globals';
import type { FileObservation, FileStat, OverlayEvidence } from '../../../../src/api/process-tree.ts';
import {
  classifyFile,
  findInternalDevices,
  mayBeFromLowerLayer,
} from '../../../../src/domain/ghost/classify.ts';

// linux/magic.h
const TMPFS = 0x01021994;
const OVERLAY = 0x794c7630;
const NFS = 0x6969;
const EXT4 = 0xef53;

const aStat = (changes: Partial<FileStat> = {}): FileStat => ({
  device: 0x1b,
  inode: '42',
  mode: 0o100644,
  linkCount: 0,
  sizeBytes: 100,
  allocatedBytes: 4096,
  ...changes,
});

const aFile = (changes: Partial<FileObservation> = {}): FileObservation => ({
  hold: 'Fd',
  text: '/tmp/a (deleted)',
  references: 1,
  stat: aStat(),
  fileSystemType: EXT4,
  name: 'Missing',
  deviceIsMounted: true,
  mount: 'Visible',
  ...changes,
});

const linked = aStat({ linkCount: 1 });
const kernelMemory = { stat: aStat({ device: 1 }), fileSystemType: TMPFS, deviceIsMounted: false } as const;
const silly = '/data/.nfs00000000123456780000abcd';

const table: [string, Partial<FileObservation>, string][] = [
  ['unlinked', {}, 'Ghost'],
  ['unlinked, mapped', { hold: 'Map' }, 'Ghost'],
  [
    'without links though its name is not marked (removed below an overlay)',
    { text: '/tmp/a', name: 'Missing' },
    'Ghost',
  ],
  ['an unlinked directory', { stat: aStat({ mode: 0o040755 }), hold: 'Cwd' }, 'Ghost'],
  ['an unlinked device node', { stat: aStat({ mode: 0o020666 }), name: 'Unknown' }, 'Ghost'],
  ['on the memory file system of a user', { fileSystemType: TMPFS, text: '/dev/shm/a (deleted)' }, 'Ghost'],
  ["a user's file with the name of a memfd", { fileSystemType: TMPFS, text: '/memfd:x (deleted)' }, 'Ghost'],
  [
    "a user's file with the name of System V memory",
    { text: '/SYSV00000000 (deleted)', hold: 'Map' },
    'Ghost',
  ],
  ['memfd', { ...kernelMemory, text: '/memfd:jit (deleted)', mount: 'Foreign' }, 'Nothing'],
  [
    'memfd whose name has more in it',
    { ...kernelMemory, text: '/memfd:/tmp/a b (deleted)', mount: 'Foreign' },
    'Nothing',
  ],
  [
    'shared anonymous memory',
    { ...kernelMemory, text: '/dev/zero (deleted)', hold: 'Map', mount: undefined },
    'Nothing',
  ],
  [
    'System V memory',
    { ...kernelMemory, text: '/SYSV0000a1b2 (deleted)', hold: 'Map', mount: undefined },
    'Nothing',
  ],
  [
    'huge pages',
    { ...kernelMemory, text: '/anon_hugepage (deleted)', hold: 'Map', fileSystemType: 0x958458f6 },
    'Nothing',
  ],
  [
    'AIO ring',
    { stat: aStat(), deviceIsMounted: false, text: '/[aio] (deleted)', hold: 'Map', mount: undefined },
    'Nothing',
  ],
  [
    'a name that is only like the kernel\u2019s',
    { ...kernelMemory, stat: aStat({ device: 9 }), text: '/dev/zero2 (deleted)', mount: undefined },
    'Ghost',
  ],
  [
    'any name on the device of kernel memory',
    { ...kernelMemory, text: '/driver object (deleted)', mount: undefined },
    'Nothing',
  ],
  [
    'secret memory',
    { text: '/secretmem (deleted)', fileSystemType: 0x5345434d, deviceIsMounted: false },
    'UnsupportedFd',
  ],
  [
    'a terminal that is gone',
    { text: '/dev/pts/3 (deleted)', fileSystemType: 0x1cd1, stat: aStat({ mode: 0o020620 }) },
    'Nothing',
  ],
  ['a process that is gone', { text: '/proc/77 (deleted)', fileSystemType: 0x9fa0 }, 'Nothing'],
  [
    'message queue',
    { text: '/queue', fileSystemType: 0x19800202, stat: linked, mount: 'Foreign', deviceIsMounted: false },
    'MountNotFound',
  ],
  [
    'on a mount that was lazily unmounted',
    { text: '/f (deleted)', mount: 'Foreign', deviceIsMounted: false },
    'MountNotFound',
  ],
  [
    'on a mount of the host, not deleted',
    { text: '/var/log/out', mount: 'Foreign', stat: linked },
    'MountNotFound',
  ],
  ['deleted on hugetlbfs', { fileSystemType: 0x958458f6 }, 'UnsupportedFd'],
  [
    'a mapped device',
    { hold: 'Map', text: '/dev/mem0', stat: aStat({ mode: 0o020600, linkCount: 1 }), name: 'Unknown' },
    'UnsupportedDevice',
  ],
  [
    'a mapped GPU',
    { hold: 'Map', text: '/dev/nvidia0', stat: aStat({ mode: 0o020600, linkCount: 1 }), name: 'Unknown' },
    'Nothing',
  ],
  [
    'renamed by an NFS client',
    { text: silly, fileSystemType: NFS, stat: linked, name: 'SameFile' },
    'LinkRemap',
  ],
  ['such a name on another file system', { text: silly, stat: linked, name: 'SameFile' }, 'Nothing'],
  [
    'such a name, too short',
    { text: '/data/.nfs1234', fileSystemType: NFS, stat: linked, name: 'SameFile' },
    'Nothing',
  ],
  ['another hard link left', { stat: linked }, 'LinkRemap'],
  ['name not checked (chroot), marked', { stat: linked, name: 'Unknown' }, 'LinkRemap'],
  ['name not checked, not marked', { stat: linked, name: 'Unknown', text: '/tmp/a' }, 'Nothing'],
  ['a real file whose name ends in the mark', { stat: linked, name: 'SameFile' }, 'Nothing'],
  ['the path names another file', { stat: linked, name: 'OtherFile', text: '/tmp/a' }, 'PathReused'],
  [
    'hidden under a mount, another file there',
    { stat: linked, name: 'OtherFile', text: '/tmp/a', mount: 'PathHidden' },
    'Overmounted',
  ],
  [
    'hidden under a mount, no file there',
    { stat: linked, name: 'Missing', text: '/tmp/a', mount: 'PathHidden' },
    'Overmounted',
  ],
  ['hidden under a mount and unlinked', { mount: 'PathHidden' }, 'Ghost'],
  ['unlinked on a mount that is covered', { mount: 'Covered' }, 'Overmounted'],
  ['a bind mount shows the same file', { stat: linked, name: 'SameFile', mount: 'PathHidden' }, 'Nothing'],
  [
    'a directory that lost its name but not its links',
    { stat: aStat({ linkCount: 1, mode: 0o040755 }), fileSystemType: OVERLAY, hold: 'Cwd' },
    'LinkRemapFailed',
  ],
  [
    'overlay, whiteout found',
    {
      stat: linked,
      fileSystemType: OVERLAY,
      overlay: { upperEntry: 'Whiteout', upperParentIsDirectory: true },
    },
    'LinkRemapThenGhost',
  ],
  ['overlay, nothing known', { stat: linked, fileSystemType: OVERLAY }, 'LinkRemapThenGhost'],
  [
    'overlay, of the container',
    {
      stat: linked,
      fileSystemType: OVERLAY,
      overlay: { upperEntry: 'Missing', upperParentIsDirectory: true, bornBeforeUpper: false },
    },
    'LinkRemap',
  ],
  ['size refused, deleted', { stat: undefined, name: 'Unknown', hold: 'Map' }, 'SizeUnknown'],
  ['size refused, not deleted', { stat: undefined, name: 'Unknown', text: '/lib/libc.so' }, 'Nothing'],
  [
    'size refused, kernel memory',
    { stat: undefined, name: 'Unknown', text: '/memfd:x (deleted)', deviceIsMounted: false },
    'Nothing',
  ],
  [
    'size refused, a user\u2019s file with a kernel name',
    { stat: undefined, name: 'Unknown', text: '/memfd:x (deleted)' },
    'SizeUnknown',
  ],
];

describe('classifyFile', () => {
  test.each(table)('%s', (_, changes, expected) => {
    const verdict = classifyFile(aFile(changes), new Set([1]));
    const said =
      verdict.kind === 'Remap' ? verdict.remap : 'remark' in verdict ? verdict.remark.code : verdict.kind;
    expect(said).toBe(expected);
  });

  test('names in remarks are safe to show', () => {
    const verdict = classifyFile(
      aFile({ text: '/tmp/\u001b[2Ja\nb', stat: linked, name: 'OtherFile' }),
      new Set(),
    );
    expect(verdict).toEqual({
      kind: 'Blocker',
      remark: {
        code: 'PathReused',
        message: '/tmp/\\x1b[2Ja\\nb is held, but its path names another file now',
      },
    });
  });
});

describe('findInternalDevices', () => {
  const treeOf = (...files: FileObservation[]) => ({
    pid: 1,
    processes: [
      {
        pid: 1,
        state: 'S',
        threadCount: 1,
        tracerPid: 0,
        anonymousBytes: 0,
        sharedMemoryBytes: 0,
        namespaces: {},
        files,
        anonymousInodes: [],
        hasUprobes: false,
        threadsApart: [],
        unreadable: [],
      },
    ],
    rootGone: false,
    pendingPaths: [],
  });

  test('takes the device of memory with a kernel name on no mount', () => {
    const tree = treeOf(
      aFile({ ...kernelMemory, text: '/memfd:x (deleted)' }),
      // A user's tmpfs, mounted and lazily unmounted, and another kind of file system.
      aFile({ text: '/memfd:x (deleted)', fileSystemType: TMPFS, stat: aStat({ device: 2 }) }),
      aFile({
        text: '/f (deleted)',
        fileSystemType: TMPFS,
        stat: aStat({ device: 3 }),
        deviceIsMounted: false,
      }),
      aFile({
        text: '/[aio] (deleted)',
        fileSystemType: 0x47504c52,
        stat: aStat({ device: 4 }),
        deviceIsMounted: false,
      }),
    );
    expect([...findInternalDevices(tree)]).toEqual([1]);
  });
});

describe('mayBeFromLowerLayer', () => {
  const cases: [string, OverlayEvidence | undefined, boolean][] = [
    ['nothing known', undefined, true],
    ['a whiteout', { upperEntry: 'Whiteout', upperParentIsDirectory: true, bornBeforeUpper: false }, true],
    [
      'no entry, younger than the upper layer',
      { upperEntry: 'Missing', upperParentIsDirectory: true, bornBeforeUpper: false },
      false,
    ],
    [
      'no entry, older than the upper layer (opaque directory)',
      { upperEntry: 'Missing', upperParentIsDirectory: true, bornBeforeUpper: true },
      true,
    ],
    ['no entry, age unknown', { upperEntry: 'Missing', upperParentIsDirectory: true }, true],
    [
      'no directory (whiteout above)',
      { upperEntry: 'Missing', upperParentIsDirectory: false, bornBeforeUpper: false },
      true,
    ],
    [
      'the name was given again',
      { upperEntry: 'Other', upperParentIsDirectory: true, bornBeforeUpper: false },
      true,
    ],
    ['upper layer not in view', { upperEntry: 'Unknown', upperParentIsDirectory: false }, true],
  ];
  test.each(cases)('%s', (_, evidence, expected) => {
    expect(mayBeFromLowerLayer(evidence)).toBe(expected);
  });
});
