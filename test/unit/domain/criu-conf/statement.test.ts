import { describe, expect, test } from '@jest/globals';
import { parseStatement } from '../../../../src/domain/criu-conf/statement.ts';

/** [what it shows, line, name, value]; values traced by hand through parse_statement() and confirmed by the recorded corpus. */
const WORDS: readonly (readonly [string, string, string, string | null])[] = [
  ['a name', 'tcp-close\n', 'tcp-close', null],
  ['a name without newline', 'tcp-close', 'tcp-close', null],
  ['a blank ends the name', 'ghost-limit 5\n', 'ghost-limit', '5'],
  ['a tab ends the name', 'ghost-limit\t5\n', 'ghost-limit', '5'],
  ['a blank anywhere wins over the tab', 'ghost-limit\t5 \n', 'ghost-limit\t5', ''],
  ['equals is no separator', 'ghost-limit=5\n', 'ghost-limit=5', null],
  ['blanks lead', ' \t\v\f\rghost-limit 5\n', 'ghost-limit', '5'],
  ['a lone carriage return stays', 'tcp-close\r\n', 'tcp-close\r', null],
  ['a comment takes the value', 'ghost-limit # 5\n', 'ghost-limit', null],
  ['a comment behind is cut', 'ghost-limit 5 # 6 7\n', 'ghost-limit', '5'],
  ['a short joined comment is cut', 'ghost-limit 5#x\n', 'ghost-limit', '5'],
  ['the last character is never looked at', 'ghost-limit = 5\n', 'ghost-limit', '='],
  ['an empty value', 'ghost-limit \n', 'ghost-limit', ''],
  ['a tab inside the value stays', 'ghost-limit 5\t6\n', 'ghost-limit', '5\t6'],
  ['quotes go', 'ghost-limit "5"\n', 'ghost-limit', '5'],
  ['quotes keep blanks', 'ghost-limit "5 6"\n', 'ghost-limit', '5 6'],
  ['a hash cuts inside quotes too', 'ghost-limit "5 # 6"\n', 'ghost-limit', '5 '],
  ['an escaped quote', 'ghost-limit "5\\"6"\n', 'ghost-limit', '5"6'],
  ['empty quotes end the line', 'ghost-limit "" and more\n', 'ghost-limit', ''],
  ['text right behind quotes is dropped', 'ghost-limit "5"xyz\n', 'ghost-limit', '5'],
  ['a quote may come first in the value and not count', 'ghost-limit "\\"5"\n', 'ghost-limit', '"5'],
  ['blanks alone without newline', '   ', '', null],
  ['blanks and NUL', '  \0x\n', '', null],
  ['NUL cuts', 'ghost-limit 5\0M\n', 'ghost-limit', '5'],
];

const FAULTS: readonly (readonly [string, string, string])[] = [
  ['blanks round equals', 'ghost-limit = 55\n', 'BlanksAroundEquals'],
  ['a second word', 'ghost-limit 5 66\n', 'TrailingWords'],
  ['a second word of one character and a blank', 'ghost-limit 5 6 \n', 'TrailingWords'],
  ['a second word behind a joined comment', 'ghost-limit 5#6 77\n', 'TrailingWords'],
  ['a comment behind a tab', 'ghost-limit 5\t# 66\n', 'TrailingWords'],
  ['a quote alone', 'ghost-limit "\n', 'LoneQuote'],
  ['an open quote', 'ghost-limit "5\n', 'QuoteNotClosed'],
  ['a word behind quotes', 'ghost-limit "5" 66\n', 'TextAfterQuote'],
  [
    'words in quotes that reach behind the length of the name',
    'skip-mnt "0123456789 12 3"\n',
    'TrailingWords',
  ],
];

describe('one line', () => {
  test.each(WORDS)('%s', (_what, line, name, value) => {
    expect(parseStatement(line)).toEqual({ kind: 'Words', name, value, stray: 'None' });
  });

  test.each([[''], ['\n'], ['  \t\r\n'], ['# x'], ['  # x y\n'], ['\0ghost-limit 5\n']])(
    '%j gives no word',
    (line) => {
      expect(parseStatement(line)).toEqual({ kind: 'Nothing' });
    },
  );

  test.each(FAULTS)('%s is a fault', (_what, line, fault) => {
    expect(parseStatement(line)).toMatchObject({ kind: 'Fault', fault });
  });

  test('many blanks before quotes make CRIU read behind the value', () => {
    expect(parseStatement(`ghost-limit${' '.repeat(10)}"5"\n`)).toMatchObject({ stray: 'None' });
    expect(parseStatement(`ghost-limit${' '.repeat(11)}"5"\n`)).toMatchObject({
      value: '5',
      stray: 'Harmless',
    });
    expect(parseStatement(`ghost-limit${' '.repeat(100_000)}"5"\n`)).toMatchObject({ stray: 'Open' });
  });
});
