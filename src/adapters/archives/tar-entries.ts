// Walks the headers of a tar archive by position, however big its files are: reads 512 bytes of each and what names it. Extracts nothing and trusts no number in it.

/** Bytes by position. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** `length` bytes from `offset` on; fewer only where the source ends. */
  read(offset: number, length: number): Promise<Buffer>;
}

export interface TarEntry {
  /** Without a leading `./` and a trailing `/`; anything else that the archive says, `..` too. */
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
  readonly sizeBytes: number;
  /** Where its bytes are in the archive; all of them are there. */
  readonly dataOffset: number;
}

/** What is wrong with the archive, in words that go on after its name: "is cut short ...". */
export class TarFault extends Error {
  override readonly name = 'TarFault';
  /** Nothing before the fault was a tar header. */
  readonly notTar: boolean;
  constructor(message: string, notTar = false) {
    super(message);
    this.notTar = notTar;
  }
}

export interface TarBounds {
  readonly entries: number;
  /** Of all long names and PAX records together. */
  readonly nameBytes: number;
}

/** A CRIU image has ten files a process and one a thread: room for a hundred thousand threads. */
export const TAR_BOUNDS: TarBounds = { entries: 200_000, nameBytes: 16 * 2 ** 20 };

const BLOCK = 512;
const CHECKSUM = { start: 148, end: 156 };

/** What headers before an entry say about it. */
interface Announced {
  name: string | null;
  sizeBytes: number | null;
}

/** One header, and where the bytes of its file are. */
interface Header {
  readonly block: Buffer;
  readonly type: string;
  readonly sizeBytes: number;
  readonly dataOffset: number;
}

/**
 * Gives the entries in their order. Knows ustar, base-256 sizes, GNU long names and PAX paths and sizes. Throws TarFault when the archive does not end with two
 * empty blocks, when a header is none, and over the bounds; rejects as `source` does.
 */
export async function* tarEntries(
  source: ByteSource,
  bounds: TarBounds = TAR_BOUNDS,
): AsyncGenerator<TarEntry> {
  let announced: Announced = { name: null, sizeBytes: null };
  let nameBytes = 0;
  let offset = 0;
  for (let headers = 1; ; headers += 1) {
    const header = await headerAt(source, offset, announced);
    if (header === null) return;
    if (headers > bounds.entries) throw new TarFault(`has more than ${bounds.entries} entries`);
    const { type, sizeBytes, dataOffset } = header;
    offset = dataOffset + Math.ceil(sizeBytes / BLOCK) * BLOCK;
    if (offset > source.sizeBytes) throw cutShort(source.sizeBytes);
    if (SPEAKS_OF_THE_NEXT.has(type)) {
      nameBytes += sizeBytes;
      if (nameBytes > bounds.nameBytes) throw new TarFault('has too long names');
      announce(announced, type, await source.read(dataOffset, sizeBytes));
    } else if (!ABOUT_OTHERS.has(type)) {
      yield entryOf(header, announced);
      announced = { name: null, sizeBytes: null };
    }
  }
}

function entryOf({ block, type, sizeBytes, dataOffset }: Header, { name }: Announced): TarEntry {
  if (type === OLD_SPARSE) throw new TarFault('has a sparse file, in a form that is not read');
  return { name: plainName(name ?? nameIn(block)), kind: kindOf(type), sizeBytes, dataOffset };
}

const LONG_NAME = 'L';
const PAX = 'x';
const SPEAKS_OF_THE_NEXT = new Set([LONG_NAME, PAX]);
/** A long target of a link, PAX records for the whole archive: nothing that is asked here. */
const ABOUT_OTHERS = new Set(['K', 'g']);
const OLD_SPARSE = 'S';
/** Links, devices and folders have no bytes, whatever their size field says. */
const WITHOUT_BYTES = new Set(['1', '2', '3', '4', '5', '6']);

function cutShort(sizeBytes: number): TarFault {
  return new TarFault(`is cut short at ${sizeBytes} bytes`);
}

/** null: the end of the archive. */
async function headerAt(source: ByteSource, offset: number, announced: Announced): Promise<Header | null> {
  const block = await source.read(offset, BLOCK);
  if (block.length < BLOCK) throw offset === 0 ? noHeader(offset) : cutShort(source.sizeBytes);
  if (isEmpty(block)) {
    const next = await source.read(offset + BLOCK, BLOCK);
    if (offset === 0 || (next.length === BLOCK && !isEmpty(next))) throw noHeader(offset);
    if (next.length < BLOCK) throw cutShort(source.sizeBytes);
    return null;
  }
  if (!hasItsChecksum(block)) throw noHeader(offset);
  const type = block.toString('latin1', 156, 157);
  return { block, type, sizeBytes: sizeOf(block, type, announced), dataOffset: offset + BLOCK };
}

function noHeader(offset: number): TarFault {
  return offset === 0
    ? new TarFault('is no tar archive', true)
    : new TarFault(`is damaged: no header at byte ${offset}`);
}

function isEmpty(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** The sum of the bytes with blanks for the sum itself; some old programs summed signed bytes. */
function hasItsChecksum(block: Buffer): boolean {
  const wanted = octal(block.subarray(CHECKSUM.start, CHECKSUM.end));
  let unsigned = 0;
  let signed = 0;
  for (const [index, byte] of block.entries()) {
    const counted = index >= CHECKSUM.start && index < CHECKSUM.end ? 0x20 : byte;
    unsigned += counted;
    signed += counted < 0x80 ? counted : counted - 0x100;
  }
  return wanted === unsigned || wanted === signed;
}

/** null: no octal number. */
function octal(field: Buffer): number | null {
  const text = field.toString('latin1').replace(/^[ \0]+|[ \0]+$/g, '');
  return /^[0-7]{1,12}$/.test(text) ? Number.parseInt(text, 8) : null;
}

function sizeOf(header: Buffer, type: string, { sizeBytes }: Announced): number {
  if (WITHOUT_BYTES.has(type)) return 0;
  const said = SPEAKS_OF_THE_NEXT.has(type) || ABOUT_OTHERS.has(type) ? null : sizeBytes;
  const size = said ?? numberIn(header.subarray(124, 136));
  if (size === null || !Number.isSafeInteger(size)) throw new TarFault('is damaged: a file without a size');
  return size;
}

/** Octal, or with the first bit set a number to the base of 256 (GNU, for 8 GiB and more). Empty is 0, as old programs wrote it. */
function numberIn(field: Buffer): number | null {
  if (field[0] === 0x80) return field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
  return isEmpty(field) ? 0 : octal(field);
}

function announce(announced: Announced, type: string, data: Buffer): void {
  if (type === LONG_NAME) {
    announced.name = textUntilZero(data);
    return;
  }
  for (const [key, value] of paxRecords(data)) {
    if (key === 'path') announced.name = value;
    if (key === 'size') announced.sizeBytes = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  }
}

function* paxRecords(data: Buffer): Generator<readonly [string, string]> {
  let offset = 0;
  while (offset < data.length && data[offset] !== 0) {
    const { length, key, value } = paxRecordAt(data, offset);
    yield [key, value];
    offset += length;
  }
}

/** A record has the form "LENGTH KEY=VALUE\n", where LENGTH counts the bytes of all of it. */
function paxRecordAt(
  data: Buffer,
  offset: number,
): { readonly length: number; readonly key: string; readonly value: string } {
  const digits = /^\d{1,8}(?= )/.exec(data.toString('latin1', offset, offset + 9))?.[0] ?? '';
  const length = Number(digits);
  const record = data.toString('utf8', offset + digits.length + 1, offset + length - 1);
  const equals = record.indexOf('=');
  if (length < digits.length + 4 || offset + length > data.length || equals < 1)
    throw new TarFault('is damaged: a PAX record that is none');
  return { length, key: record.slice(0, equals), value: record.slice(equals + 1) };
}

function nameIn(header: Buffer): string {
  const name = textUntilZero(header.subarray(0, 100));
  // GNU's own form has other things where ustar has the prefix, and its magic ends with blanks.
  const hasPrefix = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = hasPrefix ? textUntilZero(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textUntilZero(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

function plainName(name: string): string {
  return name.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '');
}

function kindOf(type: string): TarEntry['kind'] {
  if (type === '0' || type === '\0' || type === '7') return 'file';
  return type === '5' ? 'directory' : 'other';
}
