// The texts of /proc: mountinfo, maps, path bytes. Lines recorded from Linux 6.18, odd ones made by hand.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseMemoryMap } from '../../../../src/adapters/proc/memory-map.ts';
import {
  mountAt,
  parseMountTable,
  pathInMount,
  printDevice,
} from '../../../../src/adapters/proc/mount-table.ts';
import { decodePath, encodePath } from '../../../../src/adapters/proc/path-bytes.ts';

const MOUNTINFO = [
  '21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard',
  '22 21 0:5 / /dev rw,relatime shared:2 master:1 - devtmpfs devtmpfs rw,size=12334492k',
  '40 21 0:44 / /tmp rw,relatime - tmpfs tmpfs rw',
  '41 40 0:45 / /tmp rw,relatime - tmpfs tmpfs rw',
  '50 21 0:60 /sub /mnt/a\\040b rw - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/var/up\\134,per,workdir=/w,xino=off',
  '51 21 0:61 / /mnt/\\303\\251 rw - fuse.sshfs host:/ rw',
  'not a mount',
  '',
].join('\n');

describe('parseMountTable', () => {
  const table = parseMountTable(MOUNTINFO);

  test.each([
    ['/', 21],
    ['/etc/passwd', 21],
    ['/dev', 22],
    ['/dev/shm/x', 22],
    ['/device', 21],
    ['/tmp/a', 41],
    ['/mnt/a b/c', 50],
    ['/mnt/\u00e9/c', 51],
  ])('%s is on mount %d', (path, id) => {
    expect(mountAt(table, path)?.id).toBe(id);
  });

  test('an overlay tells its upper directory, a comma in it included', () => {
    const mount = table.byId.get(50);
    expect(mount).toMatchObject({
      root: '/sub',
      fileSystem: 'overlay',
      upperDirectory: '/var/up,per',
      device: '0:60',
    });
    expect(mount && pathInMount(mount, '/mnt/a b/c/d')).toBe('/c/d');
  });

  test('lines of another form are left out', () => {
    expect([...table.byId.keys()]).toEqual([21, 22, 40, 41, 50, 51]);
    expect(table.devices.has('0:45')).toBe(true);
  });
});

test.each([
  [1, '0:1'],
  [0x1b, '0:27'],
  [0xfe00, '254:0'],
  [0x801, '8:1'],
  // minor 0x12345 on major 7: low byte, then the rest above bit 20.
  [0x12300745, '7:74565'],
])('device %d is %s', (device, expected) => {
  expect(printDevice(device)).toBe(expected);
});

describe('parseMemoryMap', () => {
  const MAPS = [
    '00010000-00011000 r-xs 00000000 00:01 10                                 /dev/zero (deleted)',
    '55d0a0000000-55d0a0001000 r--p 00000000 fe:00 1234                       /usr/bin/app',
    '55d0a0001000-55d0a0002000 r-xp 00001000 fe:00 1234                       /usr/bin/app',
    '7f0000000000-7f0000001000 rw-p 00000000 00:00 0                          [heap]',
    '7f0000002000-7f0000003000 rw-p 00000000 00:00 0 ',
    '7f0000004000-7f0000005000 r--p 00000000 00:2c 99                         /tmp/a b\\012c (deleted)',
    '7f0000006000-7f0000007000 --xp 00000000 00:00 0                          [uprobes]',
    'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
    '',
  ].join('\n');

  test('files, mappings of one file together', () => {
    expect(parseMemoryMap(MAPS)).toEqual({
      files: [
        { text: '/dev/zero (deleted)', device: '0:1', inode: '10', entries: ['10000-11000'] },
        {
          text: '/usr/bin/app',
          device: '254:0',
          inode: '1234',
          entries: ['55d0a0000000-55d0a0001000', '55d0a0001000-55d0a0002000'],
        },
        {
          text: '/tmp/a b\\012c (deleted)',
          device: '0:44',
          inode: '99',
          entries: ['7f0000004000-7f0000005000'],
        },
      ],
      firstExecutable: { shared: true, text: '/dev/zero (deleted)' },
      hasUprobes: true,
    });
  });

  test('the map of a process that has ended is empty', () => {
    expect(parseMemoryMap('')).toEqual({ files: [], firstExecutable: undefined, hasUprobes: false });
  });
});

describe('decodePath', () => {
  test.each([
    ['plain', [0x61, 0x2f], 'a/'],
    ['UTF-8', [0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80], '\u00e9\u{1f600}'],
    ['one broken byte', [0x61, 0xff, 0x62], 'a\udcffb'],
    ['a sequence cut short', [0xe2, 0x82, 0x61], '\udce2\udc82a'],
    ['a surrogate in UTF-8', [0xed, 0xa0, 0x80], '\udced\udca0\udc80'],
    ['an overlong slash', [0xc0, 0xaf], '\udcc0\udcaf'],
    ['the replacement character itself, and a broken byte', [0xef, 0xbf, 0xbd, 0xff], '\ufffd\udcff'],
  ])('%s', (_, bytes, expected) => {
    expect(decodePath(Buffer.from(bytes))).toBe(expected);
    expect([...encodePath(expected)]).toEqual(bytes);
  });

  test('loses no bytes, whatever they are', () => {
    const bytes = fc.uint8Array({ maxLength: 24 });
    // Random bytes are seldom near valid sequences: mix the interesting ones in.
    const tricky = fc.array(
      fc.constantFrom(0x61, 0x80, 0xbf, 0xc3, 0xe2, 0x82, 0xed, 0xa0, 0xef, 0xbd, 0xf0, 0x9f, 0xff),
    );
    fc.assert(
      fc.property(fc.oneof(bytes, tricky), (given) => {
        const buffer = Buffer.from(given);
        return encodePath(decodePath(buffer)).equals(buffer);
      }),
      { numRuns: 2000 },
    );
  });
});
