import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  tarEntries,
  TarFault,
  type ByteSource,
  type TarBounds,
  type TarEntry,
} from '../../../../src/adapters/archives/tar-entries.ts';

const END = Buffer.alloc(1024);

/** A header as POSIX has it, with a right checksum unless `spoil` changes it afterwards. */
function header(
  name: string,
  {
    type = '0',
    size = '00000000000',
    prefix = '',
    magic = 'ustar\x0000',
    spoil = (_: Buffer): void => undefined,
  } = {},
): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write('0000600\0', 100, 'latin1');
  block.write(size, 124, 12, 'latin1');
  block.write(type, 156, 'latin1');
  block.write(magic, 257, 'latin1');
  block.write(prefix, 345, 155);
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  spoil(block);
  return block;
}

function padded(data: string | Buffer): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

const octal = (size: number): string => size.toString(8).padStart(11, '0');

function file(name: string, data: string, type = '0'): Buffer {
  return Buffer.concat([header(name, { type, size: octal(Buffer.byteLength(data)) }), padded(data)]);
}

function pax(records: readonly string[]): Buffer {
  return file('PaxHeaders/x', records.join(''), 'x');
}

/** One with a length that counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  const length = rest + String(rest + String(rest).length).length;
  return `${length} ${key}=${value}\n`;
}

/** Bytes, and how many of them were read. `holes` are zeros after the bytes that are not really there. */
function sourceOf(bytes: Buffer, holes = 0): ByteSource & { readBytes: number } {
  const source = {
    sizeBytes: bytes.length + holes,
    readBytes: 0,
    read: (offset: number, length: number): Promise<Buffer> => {
      const end = Math.min(offset + length, source.sizeBytes);
      const part = Buffer.alloc(Math.max(0, end - offset));
      bytes.subarray(offset, end).copy(part);
      source.readBytes += part.length;
      return Promise.resolve(part);
    },
  };
  return source;
}

async function all(source: ByteSource, bounds?: TarBounds): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  for await (const entry of tarEntries(source, bounds)) entries.push(entry);
  return entries;
}

const entriesOf = (...parts: readonly Buffer[]): Promise<TarEntry[]> => all(sourceOf(Buffer.concat(parts)));
const namesOf = async (...parts: readonly Buffer[]): Promise<string[]> =>
  (await entriesOf(...parts)).map(({ name }) => name);

describe('the entries of a tar archive', () => {
  test('are given with where their bytes are', async () => {
    const entries = await entriesOf(
      header('checkpoint/', { type: '5' }),
      file('checkpoint/inventory.img', 'x'.repeat(513)),
      file('config.dump', '{}'),
      END,
    );
    expect(entries).toEqual([
      { name: 'checkpoint', kind: 'directory', sizeBytes: 0, dataOffset: 512 },
      { name: 'checkpoint/inventory.img', kind: 'file', sizeBytes: 513, dataOffset: 1024 },
      { name: 'config.dump', kind: 'file', sizeBytes: 2, dataOffset: 2560 },
    ]);
  });

  test.each([
    ['a name behind ./', './config.dump', 'config.dump'],
    [
      'a name with a colon and a plus',
      'checkpoint-a_b-c-2026-01-02T03:04:05+02:00',
      'checkpoint-a_b-c-2026-01-02T03:04:05+02:00',
    ],
    ['a name that leads out is told as it is', '../../etc/shadow', '../../etc/shadow'],
    ['an absolute one too', '/etc/shadow', '/etc/shadow'],
    ['a name of 100 bytes', 'n'.repeat(100), 'n'.repeat(100)],
  ])('%s', async (_, written, read) => {
    expect(await namesOf(file(written, 'x'), END)).toEqual([read]);
  });

  test('a prefix of ustar comes before the name, GNU has other things there', async () => {
    expect(await namesOf(header('b', { prefix: 'a' }), END)).toEqual(['a/b']);
    expect(await namesOf(header('b', { prefix: 'a', magic: 'ustar  \0' }), END)).toEqual(['b']);
  });

  test('a GNU long name and a PAX path name the next entry only', async () => {
    const long = 'd/'.repeat(200);
    expect(
      await namesOf(
        file('././@LongLink', `${long}one\0`, 'L'),
        file('short', 'x'),
        pax([paxRecord('path', `${long}zwei-ü`), paxRecord('mtime', '1.5')]),
        file('short', 'x'),
        file('three', 'x'),
        END,
      ),
    ).toEqual([`${long}one`, `${long}zwei-ü`, 'three']);
  });

  test('a long target of a link and records for all entries are passed over', async () => {
    const entries = await entriesOf(
      file('././@LongLink', 'target\0', 'K'),
      file('pax_global_header', paxRecord('path', 'never'), 'g'),
      header('link', { type: '2', size: octal(4096) }),
      file('a', ''),
      END,
    );
    expect(entries.map(({ name, kind, sizeBytes }) => [name, kind, sizeBytes])).toEqual([
      ['link', 'other', 0],
      ['a', 'file', 0],
    ]);
  });

  test('sizes to the base of 256 and of PAX: files of 9 GiB and 10 GiB are stepped over', async () => {
    const nine = 9 * 2 ** 30;
    const base256 = Buffer.alloc(12);
    base256[0] = 0x80;
    base256.writeBigUInt64BE(BigInt(nine), 4);
    const first = header('checkpoint/pages-1.img', { size: base256.toString('latin1') });
    const entries = all(sourceOf(first, nine + 1024));
    expect(await entries).toEqual([
      { name: 'checkpoint/pages-1.img', kind: 'file', sizeBytes: 9_663_676_416, dataOffset: 512 },
    ]);
    const ten = 10 * 2 ** 30;
    const start = Buffer.concat([pax([paxRecord('size', ten.toString())]), header('pages')]);
    const source = sourceOf(start, ten + 1024);
    expect(await all(source)).toEqual([
      { name: 'pages', kind: 'file', sizeBytes: 10_737_418_240, dataOffset: 1536 },
    ]);
    expect(source.readBytes).toBeLessThan(8192);
  });

  test('what comes after the end is not read: an archive may have been written over a longer one', async () => {
    expect(await namesOf(file('a', 'x'), END, Buffer.from('rests of another'))).toEqual(['a']);
  });

  test('a sum of signed bytes counts as well', async () => {
    const signed = header('ü', {
      spoil: (block) => {
        block.write('        ', 148, 'latin1');
        const sum = block.reduce((total, byte) => total + (byte < 128 ? byte : byte - 256), 0);
        block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      },
    });
    expect(await namesOf(signed, END)).toEqual(['ü']);
  });
});

describe('an archive that is not right', () => {
  const two = Buffer.concat([file('a', 'x'), file('b', 'y'.repeat(600)), END]);

  test.each([
    ['in a header', 1024 + 100, 'is cut short at 1124 bytes'],
    ['right after an entry', 1024, 'is cut short at 1024 bytes'],
    ['in the bytes of a file', 1024 + 512 + 10, 'is cut short at 1546 bytes'],
    ['in the padding of a file', 1024 + 512 + 700, 'is cut short at 2236 bytes'],
    ['between the two last blocks', two.length - 512, 'is cut short at 3072 bytes'],
  ])('cut %s', async (_, at, message) => {
    await expect(all(sourceOf(two.subarray(0, at)))).rejects.toEqual(new TarFault(message));
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a few bytes', Buffer.from('hello')],
    ['zeros', Buffer.alloc(4096)],
    ['text', Buffer.alloc(4096, 'no tar at all ')],
  ])('%s is no tar archive', async (_, bytes) => {
    await expect(all(sourceOf(bytes))).rejects.toMatchObject({ message: 'is no tar archive', notTar: true });
  });

  const spoiled = (block: Buffer): void => {
    block[0] = 0x41;
  };
  test.each<[string, Buffer[], string]>([
    [
      'a header with a wrong sum',
      [file('a', 'x'), header('b', { spoil: spoiled }), END],
      'is damaged: no header at byte 1024',
    ],
    [
      'one empty block amid',
      [file('a', 'x'), Buffer.alloc(512), file('b', 'x'), END],
      'is damaged: no header at byte 1024',
    ],
    ['a size that is no number', [header('a', { size: 'many' }), END], 'is damaged: a file without a size'],
    [
      'a negative size',
      [header('a', { size: `\xff${'\xff'.repeat(11)}` }), END],
      'is damaged: a file without a size',
    ],
    [
      'a size that no file has',
      [header('a', { size: `\x80${'\x7f'.repeat(11)}` }), END],
      'is damaged: a file without a size',
    ],
    ['a size beyond the end', [header('a', { size: octal(2 ** 32) }), END], 'is cut short at 1536 bytes'],
    [
      'a PAX size that is no number',
      [pax([paxRecord('size', '-1')]), header('a'), END],
      'is damaged: a file without a size',
    ],
    [
      'a PAX record beyond its end',
      [pax(['99 path=a\n']), header('a'), END],
      'is damaged: a PAX record that is none',
    ],
    [
      'a PAX record of no length',
      [pax(['0 path=a\n']), header('a'), END],
      'is damaged: a PAX record that is none',
    ],
    [
      'a PAX record without a key',
      [pax(['6 =ab\n']), header('a'), END],
      'is damaged: a PAX record that is none',
    ],
    [
      'an old sparse file',
      [header('a', { type: 'S' }), END],
      'has a sparse file, in a form that is not read',
    ],
  ])('%s', async (_, parts, message) => {
    await expect(all(sourceOf(Buffer.concat(parts)))).rejects.toEqual(new TarFault(message));
  });

  test('more entries, or longer names, than the bounds', async () => {
    const many = sourceOf(Buffer.concat([...Array.from({ length: 5 }, () => file('a', '')), END]));
    await expect(all(many, { entries: 4, nameBytes: 100 })).rejects.toEqual(
      new TarFault('has more than 4 entries'),
    );
    expect(await all(many, { entries: 6, nameBytes: 100 })).toHaveLength(5);
    const long = sourceOf(
      Buffer.concat([
        file('x', 'n'.repeat(60), 'L'),
        header('a'),
        file('x', 'n'.repeat(60), 'L'),
        header('a'),
        END,
      ]),
    );
    await expect(all(long, { entries: 9, nameBytes: 100 })).rejects.toEqual(
      new TarFault('has too long names'),
    );
    expect(await all(long, { entries: 9, nameBytes: 120 })).toHaveLength(2);
  });

  test('a name that claims gigabytes is not read', async () => {
    const source = sourceOf(header('x', { type: 'L', size: octal(4 * 2 ** 30) }), 5 * 2 ** 30);
    await expect(all(source)).rejects.toEqual(new TarFault('has too long names'));
    expect(source.readBytes).toBe(512);
  });

  test('whatever the bytes are: entries lie one after the other inside the archive, or it is a TarFault', async () => {
    const part = fc.oneof(
      fc.uint8Array({ minLength: 512, maxLength: 512 }).map((bytes) => Buffer.from(bytes)),
      fc
        .record({
          name: fc.string({ maxLength: 30 }),
          type: fc.constantFrom('0', '5', 'L', 'x', 'g', 'K', 'S', '1', '\0'),
          data: fc.string({ maxLength: 600 }),
        })
        .map(({ name, type, data }) => file(name, data, type)),
    );
    const cut = fc.record({ parts: fc.array(part, { maxLength: 6 }), drop: fc.nat({ max: 1200 }) });
    await fc.assert(
      fc.asyncProperty(cut, async ({ parts, drop }) => {
        const bytes = Buffer.concat([...parts, END]);
        const source = sourceOf(bytes.subarray(0, Math.max(0, bytes.length - drop)));
        let end = 0;
        try {
          for await (const { dataOffset, sizeBytes } of tarEntries(source)) {
            expect(dataOffset).toBeGreaterThanOrEqual(end + 512);
            end = dataOffset + sizeBytes;
            expect(end).toBeLessThanOrEqual(source.sizeBytes);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(TarFault);
        }
      }),
      { numRuns: 300 },
    );
  });
});
