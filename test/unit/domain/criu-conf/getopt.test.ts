import { describe, expect, test } from '@jest/globals';
import { readOptions } from '../../../../src/domain/criu-conf/getopt.ts';
import type { GetoptEvent, Word } from '../../../../src/domain/criu-conf/getopt.ts';
import { matchLongName } from '../../../../src/domain/criu-conf/options.ts';

/** Each word on a line of its own; "Name" when it begins with two dashes. */
function toWords(texts: readonly string[]): Word[] {
  return texts.map((text, index) => ({
    text,
    line: index + 1,
    role: text.startsWith('--') ? 'Name' : 'Value',
  }));
}

function brief(event: GetoptEvent): string {
  switch (event.kind) {
    case 'Option':
      return event.value === null ? event.option.name : `${event.option.name}(${event.value})`;
    case 'IgnoredWord':
    case 'OptionsEnd':
      return `${event.kind} ${event.word.text}`;
    default:
      return `${event.kind} ${event.name}`;
  }
}

const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['a required value is the next word', ['--ghost-limit', '5'], ['ghost-limit(5)']],
  ['... whatever it is', ['--ghost-limit', '--tcp-close'], ['ghost-limit(--tcp-close)']],
  ['... even the end of options', ['--ghost-limit', '--', '--tcp-close'], ['ghost-limit(--)', 'tcp-close']],
  ['... or what follows "="', ['--ghost-limit=5'], ['ghost-limit(5)']],
  ['... which may be empty', ['--ghost-limit='], ['ghost-limit()']],
  ['... but must be there', ['--ghost-limit'], ['ArgumentMissing ghost-limit']],
  [
    'an optional value needs "="',
    ['--verbosity', '4', '--verbosity=4'],
    ['verbosity', 'IgnoredWord 4', 'verbosity(4)'],
  ],
  ['a switch takes no value', ['--tcp-close=1'], ['ArgumentNotAllowed tcp-close']],
  [
    'words are passed over',
    ['--tcp-close', 'x', '-', '', '--file-locks'],
    ['tcp-close', 'IgnoredWord x', 'IgnoredWord -', 'IgnoredWord ', 'file-locks'],
  ],
  ['two dashes end it all', ['--tcp-close', '--', '--no-such'], ['tcp-close', 'OptionsEnd --']],
  ['letters in a bundle', ['-Rj'], ['leave-running', 'shell-job']],
  ['a letter with its value joined', ['-t5x'], ['tree(5x)']],
  ['a letter takes the next word', ['-t', '--tcp-close'], ['tree(--tcp-close)']],
  ['a letter with an optional value', ['-v', '4'], ['verbosity', 'IgnoredWord 4']],
  ['letters until one is unknown', ['-jQR'], ['shell-job', 'UnknownOption -Q']],
  ['a dash in a bundle is unknown', ['-R-'], ['leave-running', 'UnknownOption --']],
  ['three dashes', ['---tree'], ['UnknownOption -tree']],
  ['an empty name fits all', ['--=5'], ['AmbiguousOption ']],
];

describe('getopt_long', () => {
  test.each(CASES)('%s: %j', (_what, texts, events) => {
    expect([...readOptions(toWords(texts))].map(brief)).toEqual(events);
  });

  test.each([
    ['ghost-l', 'ghost-limit'],
    ['tls', 'tls'],
    ['external', 'external'],
    ['act', 'action-script'],
    ['no-tcp-e', 'no-tcp-established'],
  ])('%s is short for %s', (prefix, name) => {
    expect(matchLongName(prefix)).toMatchObject({ kind: 'Found', option: { name } });
  });

  test.each([['ghost'], ['tcp'], ['tl'], ['no-'], ['']])('%j is ambiguous', (prefix) => {
    expect(matchLongName(prefix).kind).toBe('Ambiguous');
  });

  test('a name that goes on is unknown', () => {
    expect(matchLongName('ghost-limits')).toEqual({ kind: 'Unknown' });
  });
});
