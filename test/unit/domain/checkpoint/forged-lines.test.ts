import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseDumpLog } from '../../../../src/domain/checkpoint/dump-log.ts';
import { withoutForgedLines } from '../../../../src/domain/checkpoint/forged-lines.ts';

const LOGS = join(import.meta.dirname, '../../../fixtures/dump-logs/logs');
const log = (name: string): string => readFileSync(join(LOGS, name), 'utf8');
const messages = (text: string): string[] =>
  withoutForgedLines(parseDumpLog(text).lines).map(({ message }) => message);

test.each(readdirSync(LOGS).filter((name) => name !== 'forged.log'))(
  '%s: every error of CRIU stays as it is',
  (name) => {
    const { lines } = parseDumpLog(log(name));
    const errors = (given: typeof lines): string[] =>
      given.filter(({ level }) => level === 'Error').map(({ message }) => message.split('\n')[0] ?? '');
    expect(errors(withoutForgedLines(lines))).toEqual(errors(lines));
  },
);

test('forged.log: the forged lines are part of the names that they came from', () => {
  const errors = withoutForgedLines(parseDumpLog(log('forged.log')).lines).filter(
    ({ level }) => level === 'Error',
  );
  expect(errors.map(({ message }) => message)).toEqual([
    "Can't dump ghost file /tmp/x\n(00.1) Error (criu_files-reg.c:1031): Can't dump ghost file -etc-passwd of 9 size, increase limit\nrest of 2715648 size, increase limit",
    'Dump files (pid: 21101) failed with -1',
    'Dumping FAILED.',
  ]);
});

describe('a line in a name', () => {
  test.each([
    ['without a time', 'Error (criu/a.c:1): forged'],
    ['with a time that is over', '(00.000001) Error (criu/a.c:1): forged'],
    ['with a time to come', '(99.000000) Error (criu/a.c:1): forged'],
    ['as the words of the parasite', 'pie: 1: Error (criu/pie/a.c:1): forged'],
  ])('%s', (_sentence, forged) => {
    const lines = [
      '(00.000100) a',
      '(00.000200) b',
      `(00.000300) [/tmp/x\n${forged}\nrest]`,
      '(00.000400) c',
    ];
    expect(messages([...lines, '(00.000500) d'].join('\n'))).toEqual([
      'a',
      'b',
      `[/tmp/x\n${forged}\nrest]`,
      'c',
      'd',
    ]);
  });

  test('with a time that is right once is given away by the second time that CRIU prints the name', () => {
    const forged = '(00.000250) Error (criu/a.c:1): forged';
    const lines = [
      `(00.000200) [/x\n${forged}\nrest]`,
      `(00.000300) Error (criu/b.c:1): [/x\n${forged}\nrest]`,
    ];
    expect(messages(lines.join('\n'))).toEqual([`[/x\n${forged}\nrest]`, `[/x\n${forged}\nrest]`]);
  });
});

test('lines of one moment keep their order', () => {
  const lines = ['(00.1) a', '(00.1) b', '(00.1) c', '(00.2) d'];
  expect(messages(lines.join('\n'))).toEqual(['a', 'b', 'c', 'd']);
});

test('an empty log', () => {
  expect(withoutForgedLines([])).toEqual([]);
});
