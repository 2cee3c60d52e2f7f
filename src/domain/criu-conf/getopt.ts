// glibc's getopt_long() over the words of a CRIU file: which words become options with which values. Does not know what an option means.

import { matchLongName, optionForLetter } from './options.ts';
import type { CriuOption } from './options.ts';

/** A word of the argument vector that CRIU builds from the file. */
export interface Word {
  readonly text: string;
  /** 1-based line of the statement it comes from */
  readonly line: number;
  /** the option name of a statement, or what follows it */
  readonly role: 'Name' | 'Value';
}

export interface FoundOption {
  readonly kind: 'Option';
  readonly option: CriuOption;
  /** null: none given */
  readonly value: string | null;
  readonly line: number;
  /** the word as written, for remarks about abbreviations and values that turned into options */
  readonly word: Word;
  /** true: the value is the next statement's word, not part of this line */
  readonly tookNextLine: boolean;
}

export type GetoptRefusal =
  | {
      readonly kind: 'UnknownOption' | 'ArgumentNotAllowed' | 'ArgumentMissing';
      readonly name: string;
      readonly word: Word;
    }
  | {
      readonly kind: 'AmbiguousOption';
      readonly name: string;
      readonly candidates: readonly string[];
      readonly word: Word;
    };

export type GetoptEvent =
  | FoundOption
  | GetoptRefusal
  | { readonly kind: 'IgnoredWord'; readonly word: Word }
  | { readonly kind: 'OptionsEnd'; readonly word: Word; readonly ignoredWords: number };

interface Step {
  readonly events: readonly GetoptEvent[];
  /** index of the next word to look at */
  readonly next: number;
}

interface Taken {
  readonly value: string | null;
  readonly next: number;
  readonly tookNextLine: boolean;
}

/** A required value that is not in the word itself is the next word, whatever it looks like. Null: there is none. */
function takeRequired(words: readonly Word[], at: number, attached: string | null): Taken | null {
  if (attached !== null) return { value: attached, next: at + 1, tookNextLine: false };
  const following = words[at + 1];
  if (!following) return null;
  return { value: following.text, next: at + 2, tookNextLine: following.role === 'Name' };
}

function longStep(words: readonly Word[], at: number, word: Word): Step {
  const equals = word.text.indexOf('=', 2);
  const name = equals === -1 ? word.text.slice(2) : word.text.slice(2, equals);
  const attached = equals === -1 ? null : word.text.slice(equals + 1);
  const match = matchLongName(name);
  if (match.kind === 'Unknown') return { events: [{ kind: 'UnknownOption', name, word }], next: at + 1 };
  if (match.kind === 'Ambiguous') {
    return { events: [{ kind: 'AmbiguousOption', name, candidates: match.candidates, word }], next: at + 1 };
  }
  const { option } = match;
  if (option.kind === 'boolean' && attached !== null) {
    return { events: [{ kind: 'ArgumentNotAllowed', name: option.name, word }], next: at + 1 };
  }
  const taken: Taken | null =
    option.kind === 'required'
      ? takeRequired(words, at, attached)
      : { value: attached, next: at + 1, tookNextLine: false };
  if (!taken) return { events: [{ kind: 'ArgumentMissing', name: option.name, word }], next: at + 1 };
  const { value, next, tookNextLine } = taken;
  return { events: [{ kind: 'Option', option, value, line: word.line, word, tookNextLine }], next };
}

/** A word such as `-Rs` or `-v4`: letters until one takes the rest (or the next word) as its value. */
function shortStep(words: readonly Word[], at: number, word: Word): Step {
  const events: GetoptEvent[] = [];
  for (let index = 1; index < word.text.length; index += 1) {
    const option = optionForLetter(word.text.charAt(index));
    if (!option) {
      events.push({ kind: 'UnknownOption', name: `-${word.text.charAt(index)}`, word });
      break;
    }
    const rest = index + 1 < word.text.length ? word.text.slice(index + 1) : null;
    if (option.kind === 'boolean') {
      events.push({ kind: 'Option', option, value: null, line: word.line, word, tookNextLine: false });
      continue;
    }
    const taken =
      option.kind === 'required'
        ? takeRequired(words, at, rest)
        : { value: rest, next: at + 1, tookNextLine: false };
    if (!taken) {
      events.push({ kind: 'ArgumentMissing', name: option.name, word });
      break;
    }
    events.push({
      kind: 'Option',
      option,
      value: taken.value,
      line: word.line,
      word,
      tookNextLine: taken.tookNextLine,
    });
    return { events, next: taken.next };
  }
  return { events, next: at + 1 };
}

function step(words: readonly Word[], at: number, word: Word): Step {
  if (word.text === '--') {
    const ignoredWords = words.length - at - 1;
    return { events: [{ kind: 'OptionsEnd', word, ignoredWords }], next: words.length };
  }
  // "-" alone and everything that does not start with "-" is an operand; getopt moves it to the end and CRIU never looks there.
  if (!word.text.startsWith('-') || word.text === '-')
    return { events: [{ kind: 'IgnoredWord', word }], next: at + 1 };
  return word.text.startsWith('--') ? longStep(words, at, word) : shortStep(words, at, word);
}

/**
 * All events in order. CRIU stops at the first refusal; the caller does too, so that what follows one here means nothing.
 * Source: glibc posix/getopt.c (permuting order), CRIU 4.2.1 criu/config.c; measured: test/fixtures/criu-conf.
 */
export function* readOptions(words: readonly Word[]): Generator<GetoptEvent, void, void> {
  let at = 0;
  for (let word = words[at]; word; word = words[at]) {
    const { events, next } = step(words, at, word);
    yield* events;
    at = next;
  }
}
