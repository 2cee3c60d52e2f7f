// The one sentence that tells why CRIU refuses a file, with the offending text escaped and the right line where it is known.

import { escapeBytes } from './bytes.ts';
import type { RefusalCode } from './finding-codes.ts';
import type { GetoptRefusal } from './getopt.ts';
import type { LexStop } from './lex.ts';
import type { FormatFault } from './statement.ts';
import { suggestLine } from './suggest-line.ts';

export interface Refusal {
  readonly line: number;
  readonly code: RefusalCode;
  readonly message: string;
}

const EXITS = 'CRIU exits with "Unsupported configuration file format" and answers no dump or restore';

function quote(text: string): string {
  return `"${escapeBytes(text)}"`;
}

function hint(rawLine: string): string {
  const right = suggestLine(rawLine);
  return right === null ? '' : `; the right line is: ${escapeBytes(right)}`;
}

const FAULT_REASONS: Readonly<Record<FormatFault, string>> = {
  BlanksAroundEquals:
    'CRIU splits the line at its first blank, so "=" counts as the value and the rest as one word too many',
  TrailingWords: 'after the value comes another word',
  LoneQuote: 'the value is a single quote',
  QuoteNotClosed: 'the quote that opens the value is never closed',
  TextAfterQuote: 'text follows the closing quote',
};

const STOP_MESSAGES = {
  ArrayOverrun: {
    code: 'WordArrayOverrun',
    message:
      'up to this line the file has so many lines with a tab between option and value that CRIU writes behind its memory and crashes; use blanks instead of tabs',
  },
  HeapRead: {
    code: 'UndefinedMemory',
    message:
      'CRIU looks for further words in memory behind this value, which holds anything, and can refuse the file; leave one blank before the value and no needless quotes',
  },
} as const;

/** For a file that CRIU stops reading. `rawLine` is the line as it stands in the file. */
export function lexRefusal(stop: LexStop, rawLine: string): Refusal {
  if (stop.kind !== 'Fault') return { line: stop.line, ...STOP_MESSAGES[stop.kind] };
  const { fault, name, value } = stop.statement;
  const shown = quote(`${name} ${value}`);
  return {
    line: stop.line,
    code: fault,
    message: `${EXITS} because of ${shown}: ${FAULT_REASONS[fault]}${hint(rawLine)}`,
  };
}

type NameShape = {
  readonly code: RefusalCode;
  readonly fits: (name: string) => boolean;
  readonly reason: string;
};

/** Well-known ways to write a name that CRIU does not know; the first that fits tells the reason. */
const NAME_SHAPES: readonly NameShape[] = [
  {
    code: 'ByteOrderMark',
    fits: (name) => name.startsWith('\xef\xbb\xbf'),
    reason: 'the file begins with a byte order mark, which becomes part of the first name',
  },
  {
    code: 'IniComment',
    fits: (name) => name.startsWith(';'),
    reason: 'comments begin with "#", not with ";"',
  },
  { code: 'IniSection', fits: (name) => name.startsWith('['), reason: 'CRIU has no sections' },
  {
    code: 'LeadingDashes',
    fits: (name) => name.startsWith('-'),
    reason: 'CRIU puts "--" before the name itself',
  },
  {
    code: 'CarriageReturn',
    fits: (name) => name.includes('\r'),
    reason: 'a carriage return (Windows line end) became part of the name',
  },
  {
    code: 'TabBeforeBlank',
    fits: (name) => name.includes('\t'),
    reason: 'the line holds a blank further on, so that the tab became part of the name',
  },
];

function unknownName(refusal: GetoptRefusal, rawLine: string): Refusal {
  const shape = refusal.word.role === 'Name' ? NAME_SHAPES.find(({ fits }) => fits(refusal.name)) : undefined;
  const reason = shape ? `: ${shape.reason}` : '';
  return {
    line: refusal.word.line,
    code: shape?.code ?? 'UnknownOption',
    message: `CRIU knows no option ${quote(refusal.name)}${reason}; it rejects the whole file${hint(rawLine)}`,
  };
}

/** For words that getopt_long() does not take. */
export function getoptRefusal(refusal: GetoptRefusal, rawLine: string): Refusal {
  const { line } = refusal.word;
  const name = quote(refusal.name);
  switch (refusal.kind) {
    case 'UnknownOption':
      return unknownName(refusal, rawLine);
    case 'AmbiguousOption': {
      const candidates = refusal.candidates.slice(0, 4).join(', ');
      const message =
        refusal.name === ''
          ? `there is no option name before "="; CRIU rejects the whole file`
          : `${name} can mean ${candidates}${refusal.candidates.length > 4 ? ' or others' : ''}; CRIU rejects the whole file`;
      return { line, code: 'AmbiguousOption', message };
    }
    case 'ArgumentNotAllowed':
      return {
        line,
        code: 'ArgumentNotAllowed',
        message: `the switch ${name} takes no value after "="; CRIU rejects the whole file${hint(rawLine)}`,
      };
    case 'ArgumentMissing':
      return {
        line,
        code: 'ArgumentMissing',
        message: `the option ${name} needs a value and nothing follows it; CRIU rejects the whole file`,
      };
  }
}

/** For a value that CRIU's own check of the option does not pass. */
export function valueRefusal(line: number, name: string, value: string, reason: string): Refusal {
  return {
    line,
    code: 'InvalidValue',
    message: `CRIU refuses the value ${quote(value)} of ${quote(name)}: ${reason}; it rejects the whole file`,
  };
}
