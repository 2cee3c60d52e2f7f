// The size of CRIU's array of words while it reads a file. CRIU counts spaces to decide when to enlarge it, but a tab separates too, so that many
// lines of the form NAME<tab>VALUE write behind its end. Source: parse_config() in CRIU 4.2.1 criu/config.c; boundary measured: test/fixtures/criu-conf.

import { usableBytes } from './heap.ts';

const FIRST_SIZE = 10;
const POINTER_BYTES = 8;

export interface WordArray {
  /** slots in use, the program name included */
  readonly used: number;
  /** slots that CRIU asked for */
  readonly size: number;
}

export const EMPTY_WORD_ARRAY: WordArray = { used: 1, size: FIRST_SIZE };

/** Before a line is parsed: CRIU makes room by the number of spaces in it plus one. */
export function makeRoom(array: WordArray, line: string): WordArray {
  const spaces = line.split(' ').length;
  return array.used + spaces >= array.size - 1 ? { ...array, size: array.size + spaces } : array;
}

/** After a line: `words` slots more are in use. */
export function fillSlots(array: WordArray, words: number): WordArray {
  return { ...array, used: array.used + words };
}

/** True when CRIU wrote behind the block that malloc gave, at the latest with the NULL after the last word; it crashes then. */
export function isOverrun({ used, size }: WordArray, isComplete: boolean): boolean {
  const slots = isComplete ? used + 1 : used;
  return slots * POINTER_BYTES > usableBytes(size * POINTER_BYTES);
}
