// The one block of lines that is ours in a CRIU configuration file: how it is rendered, found again and taken out. Never changes a foreign byte.
//
// Rules
// - BEGIN names every line of the block and carries a checksum over itself. A BEGIN line that is not exactly as we would print it is not ours,
//   so a text that only looks like our markers stays. Blanks round a line and a CR at its end (editors add them) do not make it foreign.
// - Ours are BEGIN and, up to END, each line that BEGIN names, once. All else in there is foreign and stays. With END missing, only the named lines
//   that follow BEGIN without a gap are ours, and a cut-off beginning of one at the end of the file.
// - `newline=added-<hash>` says that the foreign text before the block ended without a newline, and that the one before BEGIN is ours. It goes with the
//   block, unless the foreign line before it (the hash) has changed or foreign lines have come after it: then it is a part of their text.
// - Foreign lines that stand between or after our statements stay before or after them.
import { CRIU_OPTION_LINES, CRIU_OPTION_NAMES, type CriuOptionName } from '../../api/criu-option.ts';
import { toByteString } from './bytes.ts';

/** What a block says. ghostLimitBytes: 1..2^40; null: no ghost-limit line. At least one line in all. */
export interface BlockContent {
  readonly ghostLimitBytes: bigint | number | null;
  readonly options: readonly CriuOptionName[];
}

export interface ManagedBlock {
  readonly ghostLimitBytes: bigint | null;
  /** In the order of CRIU_OPTION_NAMES. */
  readonly options: readonly CriuOptionName[];
  /** FNV-1a (32 bits, hexadecimal) of the block's header: tells edits, not attackers. */
  readonly hash: string;
  /** Every byte from BEGIN to END is as we print it. */
  readonly intact: boolean;
  /** Lines of the whole file, counted from 1: BEGIN, and the last line that is ours. */
  readonly startLine: number;
  readonly endLine: number;
}

export interface SplitFile {
  /** Exactly what would be there had we never come. */
  readonly foreign: Uint8Array;
  /** The last block in the file, or null. A file has two only when somebody copied ours. */
  readonly block: ManagedBlock | null;
  /** Where in `foreign` the block stood, always at the start of a line or at the end; `foreign.length` without one. */
  readonly at: number;
  /** The lines of the whole file that are ours, counted from 1, rising. */
  readonly ownLines: readonly number[];
}

const NEWLINE = 0x0a;
const LIMIT_MAXIMUM = 2n ** 40n;
const LIMIT_LINE = /^ghost-limit [1-9][0-9]{0,12}$/;
const BEGIN = '# BEGIN ghostlimit v1 ';
const NOTE =
  '# ghostlimit keeps the lines from BEGIN to END. To remove them by hand, stop ghostlimit and delete BEGIN to END.';
const END = '# END ghostlimit';
/** No line of ours is longer, blanks of an editor included. */
const LONGEST_LINE = 1024;

/** The bytes of the lines as checked: only a plain integer in range and names of the list get past. */
function statements(content: BlockContent): readonly string[] {
  const limit = limitOf(content.ghostLimitBytes);
  const wanted = optionsOf(content.options);
  const lines = CRIU_OPTION_NAMES.filter((name) => wanted.has(name)).map((name) => CRIU_OPTION_LINES[name]);
  const all = limit === null ? lines : [`ghost-limit ${limit.toString()}`, ...lines];
  if (all.length === 0) throw new RangeError('a block without lines is not written');
  if (limit !== null && !LIMIT_LINE.test(all[0] ?? '')) throw new TypeError('ghost-limit line is malformed');
  return all;
}

function limitOf(value: unknown): bigint | null {
  if (value === null) return null;
  if (typeof value !== 'bigint' && typeof value !== 'number')
    throw new TypeError('ghost-limit: not a number');
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new RangeError('ghost-limit: not an integer');
  const limit = BigInt(value);
  if (limit < 1n || limit > LIMIT_MAXIMUM) throw new RangeError('ghost-limit: not in 1..2^40');
  return limit;
}

function optionsOf(value: unknown): ReadonlySet<CriuOptionName> {
  if (!Array.isArray(value) || value.length > 64) throw new TypeError('options: not a short list');
  const given: readonly unknown[] = value;
  const wanted = new Set<CriuOptionName>();
  for (let index = 0; index < given.length; index += 1) {
    const item = given[index];
    const known = typeof item === 'string' ? CRIU_OPTION_NAMES.find((name) => name === item) : undefined;
    if (known === undefined) throw new TypeError('options: not a listed CRIU option');
    wanted.add(known);
  }
  return wanted;
}

function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

/** All lines of a block. `newline`: `kept`, or `added-<hash>` when the newline before BEGIN is ours. */
function printBlock(lines: readonly string[], newline: string): readonly string[] {
  const header = `newline=${newline}: ${lines.join('; ')}`;
  return [`${BEGIN}sum=${fnv1a(header)} ${header}`, NOTE, ...lines, END];
}

function toBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The mark of a newline that we add after the last line of `before`, which has none. */
function addedAfter(before: Uint8Array): string {
  return `added-${fnv1a(toByteString(before.subarray(before.lastIndexOf(NEWLINE) + 1)))}`;
}

function endsInsideLine(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE;
}

/**
 * `foreign` with our block in it: at the end, or at the offset `at` that splitManagedBlock gave. Taking the block out again gives `foreign` back, for all bytes.
 * Throws TypeError or RangeError for anything but an integer of 1..2^40 and listed options, for a block without lines, and for an `at` inside a line.
 */
export function withManagedBlock(
  foreign: Uint8Array,
  content: BlockContent,
  at: number = foreign.length,
): Uint8Array {
  const lines = statements(content);
  const before = foreign.subarray(0, at);
  if (at < 0 || at > foreign.length || (at < foreign.length && endsInsideLine(before)))
    throw new RangeError('a block stands at the start of a line');
  const added = endsInsideLine(before);
  const block = printBlock(lines, added ? addedAfter(before) : 'kept').join('\n');
  return concat([before, toBytes(`${added ? '\n' : ''}${block}\n`), foreign.subarray(at)]);
}

interface Line {
  readonly start: number;
  /** After its newline, where it has one. */
  readonly end: number;
  readonly number: number;
}

function linesOf(bytes: Uint8Array): readonly Line[] {
  const lines: Line[] = [];
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    lines.push({ start, end, number: lines.length + 1 });
    start = end;
  }
  return lines;
}

/** The line without newline, blanks round it and CR; empty for a line too long to be ours. */
function textOf(bytes: Uint8Array, line: Line): string {
  if (line.end - line.start > LONGEST_LINE) return '';
  return toByteString(bytes.subarray(line.start, line.end)).replace(/^[ \t]+|[ \t\r\n]+$/g, '');
}

/** Cheap: most lines of a large file are not. */
function isComment(bytes: Uint8Array, line: Line): boolean {
  let at = line.start;
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at += 1;
  return bytes[at] === 0x23;
}

interface Header {
  /** `kept`, or `added-<hash>`. */
  readonly newline: string;
  readonly ghostLimitBytes: bigint | null;
  readonly options: readonly CriuOptionName[];
  readonly hash: string;
  /** All lines of the block as we print them, BEGIN first. */
  readonly printed: readonly string[];
}

const HEADER =
  /^# BEGIN ghostlimit v1 sum=(?<hash>[0-9a-f]{8}) newline=(?<newline>added-[0-9a-f]{8}|kept): (?<list>[a-z0-9; -]+)$/;

/** Reads a BEGIN line; null unless it is, but for blanks round it, exactly what we would print. */
function parseHeader(text: string): Header | null {
  const { hash, newline, list } = HEADER.exec(text)?.groups ?? {};
  if (hash === undefined || newline === undefined || list === undefined) return null;
  const content = parseStatements(list.split('; '));
  if (content === null) return null;
  const printed = printBlock(statements(content), newline);
  return printed[0] === text ? { ...content, newline, hash, printed } : null;
}

/** What the words say that are ours; whether they are all ours is seen when they are printed again. */
function parseStatements(words: readonly string[]): Pick<Header, 'ghostLimitBytes' | 'options'> | null {
  const limitWord = words.find((word) => LIMIT_LINE.test(word));
  const ghostLimitBytes = limitWord === undefined ? null : BigInt(limitWord.slice('ghost-limit '.length));
  if (ghostLimitBytes !== null && ghostLimitBytes > LIMIT_MAXIMUM) return null;
  const options = CRIU_OPTION_NAMES.filter((name) => words.includes(CRIU_OPTION_LINES[name]));
  return ghostLimitBytes === null && options.length === 0 ? null : { ghostLimitBytes, options };
}

interface Found {
  readonly header: Header;
  readonly begin: Line;
  /** The lines that are ours, rising, BEGIN first. */
  readonly own: readonly Line[];
  readonly last: Line;
  /** END is there. */
  readonly closed: boolean;
}

function findLastBlock(bytes: Uint8Array, lines: readonly Line[]): Found | null {
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    const begin = lines[index];
    const header = begin === undefined || !isComment(bytes, begin) ? null : parseHeader(textOf(bytes, begin));
    if (begin === undefined || header === null) continue;
    const rest = lines.slice(index + 1);
    const closed = closedBlock(bytes, rest, header);
    const own = closed ?? openBlock(bytes, rest, header);
    return { header, begin, own: [begin, ...own], last: own.at(-1) ?? begin, closed: closed !== null };
  }
  return null;
}

/** The lines that are ours up to END; null when there is no END. */
function closedBlock(bytes: Uint8Array, rest: readonly Line[], header: Header): readonly Line[] | null {
  const expected = new Set(header.printed);
  const own: Line[] = [];
  for (const line of rest) {
    const text = textOf(bytes, line);
    if (expected.delete(text)) own.push(line);
    if (text === END) return own;
  }
  return null;
}

/** The lines that are ours after a BEGIN without END: named ones without a gap, and a piece of one at the end of the file. */
function openBlock(bytes: Uint8Array, rest: readonly Line[], header: Header): readonly Line[] {
  const expected = new Set(header.printed.slice(1));
  const own: Line[] = [];
  for (const line of rest) {
    const text = textOf(bytes, line);
    const cutOff = text !== '' && bytes[line.end - 1] !== NEWLINE;
    const ours = expected.delete(text) || (cutOff && [...expected].some((whole) => whole.startsWith(text)));
    if (!ours) break;
    own.push(line);
  }
  return own;
}

/** Takes our last block out of `bytes`. Accepts any bytes; what it cannot prove to be ours it leaves. */
export function splitManagedBlock(bytes: Uint8Array): SplitFile {
  const lines = linesOf(bytes);
  const found = findLastBlock(bytes, lines);
  if (found === null) return { foreign: bytes, block: null, at: bytes.length, ownLines: [] };
  const own = new Set(found.own);
  const foreignLines = lines.filter((line) => !own.has(line));
  const mark = lastStatement(bytes, found);
  const below = join(
    bytes,
    foreignLines.filter((line) => line.start > mark.start),
  );
  const withNewline = join(
    bytes,
    foreignLines.filter((line) => line.start < mark.start),
  );
  const newlineIsOurs = below.length === 0 && addedNewline(bytes, withNewline, found);
  const above = newlineIsOurs ? withNewline.subarray(0, -1) : withNewline;
  return {
    foreign: concat([above, below]),
    block: describe(bytes, found),
    at: above.length,
    ownLines: found.own.map((line) => line.number),
  };
}

/** Our last statement that is still there, else the last line of ours: what foreign lines stand before or after. */
function lastStatement(bytes: Uint8Array, found: Found): Line {
  return found.own.findLast((line) => !textOf(bytes, line).startsWith('#')) ?? found.last;
}

/** Whether the newline at the end of `above` is the one that we added. */
function addedNewline(bytes: Uint8Array, above: Uint8Array, found: Found): boolean {
  const { begin, header } = found;
  if (above.length !== begin.start || begin.start === 0) return false;
  return header.newline === addedAfter(above.subarray(0, -1)) && isExact(bytes, begin, header);
}

function describe(bytes: Uint8Array, found: Found): ManagedBlock {
  const { header, begin, last, closed } = found;
  const text = toByteString(bytes.subarray(begin.start, last.end));
  return {
    ghostLimitBytes: header.ghostLimitBytes,
    options: header.options,
    hash: header.hash,
    intact: closed && text === `${header.printed.join('\n')}\n`,
    startLine: begin.number,
    endLine: last.number,
  };
}

function join(bytes: Uint8Array, lines: readonly Line[]): Uint8Array {
  return concat(lines.map((line) => bytes.subarray(line.start, line.end)));
}

function isExact(bytes: Uint8Array, begin: Line, header: Header): boolean {
  return toByteString(bytes.subarray(begin.start, begin.end)) === `${header.printed[0] ?? ''}\n`;
}

/** `content` without any block of ours: what others have in it. */
export function foreignOf(content: Uint8Array): Uint8Array {
  const { block, foreign } = splitManagedBlock(content);
  return block === null ? foreign : foreignOf(foreign);
}
