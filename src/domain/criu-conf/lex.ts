// A CRIU file → the words that CRIU hands to getopt_long(), or the line at which it gives up. Source: parse_config() in CRIU 4.2.1 criu/config.c.

import { cString } from './bytes.ts';
import type { Word } from './getopt.ts';
import { parseStatement } from './statement.ts';
import type { Statement } from './statement.ts';
import { EMPTY_WORD_ARRAY, fillSlots, isOverrun, makeRoom } from './word-array.ts';

type FormatFaultStatement = Extract<Statement, { kind: 'Fault' }>;
type WordsStatement = Extract<Statement, { kind: 'Words' }>;

export type LexStop =
  | { readonly kind: 'Fault'; readonly line: number; readonly statement: FormatFaultStatement }
  | { readonly kind: 'ArrayOverrun' | 'HeapRead'; readonly line: number };

export interface Lexed {
  readonly words: readonly Word[];
  /** lines at which CRIU read memory that is not the value's, without harm */
  readonly strayLines: readonly number[];
  /** where CRIU stops reading; null: it read the whole file */
  readonly stop: LexStop | null;
}

/** The lines of a file's text as getline(3) gives them: each with its newline, the last perhaps without. */
export function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function toWords(statement: WordsStatement, line: number): Word[] {
  const name: Word = { text: `--${statement.name}`, line, role: 'Name' };
  return statement.value === null ? [name] : [name, { text: statement.value, line, role: 'Value' }];
}

function stopAt(statement: Statement, line: number): LexStop | null {
  if (statement.kind === 'Fault') return { kind: 'Fault', line, statement };
  return statement.kind === 'Words' && statement.stray === 'Open' ? { kind: 'HeapRead', line } : null;
}

/** All words up to the first line that CRIU cannot take; `lines` as splitLines() gives them. */
export function lexCriuConf(lines: readonly string[]): Lexed {
  const words: Word[] = [];
  const strayLines: number[] = [];
  let array = EMPTY_WORD_ARRAY;
  let line = 0;
  for (const rawLine of lines) {
    line += 1;
    array = makeRoom(array, cString(rawLine));
    const statement = parseStatement(rawLine);
    const stop = stopAt(statement, line);
    if (stop) return { words, strayLines, stop };
    if (statement.kind !== 'Words') continue;
    if (statement.stray === 'Harmless') strayLines.push(line);
    const added = toWords(statement, line);
    array = fillSlots(array, added.length);
    if (isOverrun(array, false)) return { words, strayLines, stop: { kind: 'ArrayOverrun', line } };
    words.push(...added);
  }
  return { words, strayLines, stop: isOverrun(array, true) ? { kind: 'ArrayOverrun', line } : null };
}
