// One line of a CRIU file → at most two words, as parse_statement() in CRIU 4.2.1 criu/config.c does it, its slips included.
// Works on what C sees: the buffers, the offsets into them, and what stands behind a NUL that was written into them.

import { cString, isSpace, skipSpace } from './bytes.ts';
import { isHarmlessRead, usableBytes } from './heap.ts';

/** Whether CRIU looked for further words in memory that is not the value's. Harmless: it found none there whenever that was tried. */
export type StrayRead = 'None' | 'Harmless' | 'Open';

/** Why CRIU calls a line "Unsupported configuration file format" and exits. */
export type FormatFault =
  'BlanksAroundEquals' | 'TrailingWords' | 'LoneQuote' | 'QuoteNotClosed' | 'TextAfterQuote';

export type Statement =
  | { readonly kind: 'Nothing' }
  | {
      readonly kind: 'Words';
      readonly name: string;
      readonly value: string | null;
      readonly stray: StrayRead;
    }
  | { readonly kind: 'Fault'; readonly fault: FormatFault; readonly name: string; readonly value: string };

/** A value in its heap buffer, and the offset from which CRIU looks for further words in it. */
interface Cell {
  readonly buffer: string;
  readonly offset: number;
  /** calloc clears the whole block, also the bytes behind those asked for */
  readonly isCleared: boolean;
}

const NOTHING: Statement = { kind: 'Nothing' };

/** True when CRIU finds another word: everything but the last character must be blank. */
function hasTrailingWord(text: string): boolean {
  if (!text.includes(' ')) return false;
  return skipSpace(text, 0) < text.length - 1;
}

/** CRIU drops each backslash before a quote, in place: bytes behind the shortened text stay, and its offset moves the wrong way. */
function unescapeQuotes(cell: Cell): Cell {
  const text = cString(cell.buffer);
  const shortened = text.replaceAll('\\"', '"');
  if (shortened === text) return cell;
  const skipped = text.length - shortened.length;
  return {
    ...cell,
    buffer: `${shortened}\0${cell.buffer.slice(shortened.length + 1)}`,
    offset: cell.offset + skipped + 1,
  };
}

function strayRead({ buffer, offset, isCleared }: Cell): StrayRead {
  const ownBytes = isCleared ? usableBytes(buffer.length) : buffer.length;
  if (offset < ownBytes) return 'None';
  return isHarmlessRead(buffer.length, offset) ? 'Harmless' : 'Open';
}

/** Cuts the comment, then looks for further words from `offset` on, even behind the cut: the buffer does not end there. */
function finishValue(name: string, cell: Cell): Statement {
  let { buffer } = cell;
  const hash = cString(buffer).indexOf('#');
  if (hash !== -1) buffer = `${buffer.slice(0, hash)}\0${buffer.slice(hash + 1)}`;
  const stray = strayRead(cell);
  const rest = cString(buffer, Math.min(cell.offset, buffer.length));
  if (hasTrailingWord(rest)) {
    const value = cString(buffer);
    return {
      kind: 'Fault',
      fault: value.startsWith('=') ? 'BlanksAroundEquals' : 'TrailingWords',
      name,
      value,
    };
  }
  const blank = rest.indexOf(' ');
  if (blank !== -1) buffer = `${buffer.slice(0, cell.offset + blank)}\0`;
  return { kind: 'Words', name, value: cString(buffer), stray };
}

/** The index of the quote that closes the value: the first from the second character on that has no backslash before it; -1: none. */
function closingQuote(input: string, start: number): number {
  let at = input.indexOf('"', start + 1);
  while (at !== -1 && input.charAt(at - 1) === '\\') at = input.indexOf('"', at + 1);
  return at;
}

/** The text after the closing quote matters only when it holds a space; its last character is never looked at. */
function hasTextAfterQuote(text: string): boolean {
  return hasTrailingWord(text) && !/^[ \t\n\v\f\r]*#/.test(text.slice(0, -1));
}

function quotedValue(name: string, input: string, start: number): Statement {
  const fault = (kind: FormatFault): Statement => ({
    kind: 'Fault',
    fault: kind,
    name,
    value: input.slice(start - 1),
  });
  if (start === input.length) return fault('LoneQuote');
  if (input.charAt(start) === '"') return { kind: 'Words', name, value: '', stray: 'None' };
  const end = closingQuote(input, start);
  if (end === -1) return fault('QuoteNotClosed');
  if (hasTextAfterQuote(input.slice(end + 1))) return fault('TextAfterQuote');
  const value = `${input.slice(start, end)}\0`;
  // The offset is one into `input`, yet CRIU uses it on the value: long names and many blanks make it read behind the value.
  const cell: Cell = { buffer: value, offset: start + 1, isCleared: true };
  return finishValue(name, unescapeQuotes(cell));
}

function plainValue(name: string, text: string): Statement {
  const offset = Math.max(0, text.indexOf(' '));
  return finishValue(name, unescapeQuotes({ buffer: `${text}\0`, offset, isCleared: false }));
}

/**
 * What CRIU makes of one line as getline(3) gives it, with its newline if it has one. `name` comes without the `--` that CRIU puts before it.
 */
export function parseStatement(line: string): Statement {
  const text = cString(line);
  if (text === '') return NOTHING;
  let start = 0;
  while (isSpace(text.charAt(start)) && text.charAt(start) !== '\n') start += 1;
  if (text.charAt(start) === '\n' || text.charAt(start) === '#') return NOTHING;
  const input = text.slice(start).replace(/\n$/, '');
  const space = input.indexOf(' ');
  // A tab ends the name only when there is no space anywhere in the line.
  const nameEnd = space === -1 ? input.indexOf('\t') : space;
  if (nameEnd === -1) return { kind: 'Words', name: input, value: null, stray: 'None' };
  const name = input.slice(0, nameEnd);
  const valueStart = skipSpace(input, nameEnd + 1);
  if (input.charAt(valueStart) === '#') return { kind: 'Words', name, value: null, stray: 'None' };
  if (input.charAt(valueStart) === '"') return quotedValue(name, input, valueStart + 1);
  return plainValue(name, input.slice(valueStart));
}
