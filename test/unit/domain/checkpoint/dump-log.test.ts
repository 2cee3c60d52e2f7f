import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  findTellingErrors,
  parseDumpLog,
  parseDumpLogLine,
} from '../../../../src/domain/checkpoint/dump-log.ts';

const log = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../../fixtures/dump-logs/logs', `${name}.log`), 'utf8');
const tellingMessages = (text: string): string[] =>
  findTellingErrors(parseDumpLog(text).lines).map(({ line }) => line.message);

describe('a line', () => {
  test.each([
    [
      "(00.113392) Error (criu/files-reg.c:1031): Can't dump ghost file /tmp/a of 5 size, increase limit",
      {
        timeSeconds: 0.113392,
        level: 'Error',
        sourceFile: 'files-reg.c',
        message: "Can't dump ghost file /tmp/a of 5 size, increase limit",
      },
    ],
    [
      '(00.054063) Warn  (criu/apparmor.c:421): apparmor namespace absent',
      {
        timeSeconds: 0.054063,
        level: 'Warn',
        sourceFile: 'apparmor.c',
        message: 'apparmor namespace absent',
      },
    ],
    [
      'pie: 1: Error (criu/pie/parasite.c:588): send_fds failed (-22)',
      { timeSeconds: null, level: 'Error', sourceFile: 'parasite.c', message: 'send_fds failed (-22)' },
    ],
    [
      '(00.005) pie: 17: Error (criu/pie/parasite.c:588): x',
      { timeSeconds: 0.005, level: 'Error', sourceFile: 'parasite.c', message: 'x' },
    ],
    [
      '(00.1) Error (/usr/src/criu-4.2/criu/files-reg.c:1790): x',
      { timeSeconds: 0.1, level: 'Error', sourceFile: 'files-reg.c', message: 'x' },
    ],
    ['(123.45678) \tRPC', { timeSeconds: 123.45678, level: 'Info', sourceFile: null, message: '\tRPC' }],
    ['no time at all', { timeSeconds: null, level: 'Info', sourceFile: null, message: 'no time at all' }],
    // An error somewhere inside a line is not an error of CRIU.
    [
      '(00.1) Dumping path for [/tmp/Error (criu_x.c:1): y]',
      {
        timeSeconds: 0.1,
        level: 'Info',
        sourceFile: null,
        message: 'Dumping path for [/tmp/Error (criu_x.c:1): y]',
      },
    ],
  ])('%s', (text, expected) => {
    expect(parseDumpLogLine(text)).toEqual({ ...expected, text });
  });
});

describe('a whole log', () => {
  test('of a failed dump', () => {
    const { criuVersion, configFilesRead, outcome } = parseDumpLog(log('ghost'));
    expect({ criuVersion, configFilesRead, outcome }).toEqual({
      criuVersion: '4.2.1',
      configFilesRead: [],
      outcome: 'Failed',
    });
  });

  test('of a good one', () => {
    expect(parseDumpLog(log('success')).outcome).toBe('Succeeded');
  });

  test('an announced file counts only when it was opened', () => {
    // ghost.log was recorded without a runc.conf, unix-half-stream.log with one.
    expect(log('ghost')).toContain('Would overwrite RPC settings with values from /etc/criu/runc.conf');
    expect(parseDumpLog(log('ghost')).configFilesRead).toEqual([]);
    expect(parseDumpLog(log('unix-half-stream')).configFilesRead).toEqual(['/etc/criu/runc.conf']);
  });

  test('what is said of the container later proves nothing', () => {
    const forged = `${log('ghost')}\n(00.0) Parsing config file /etc/criu/runc.conf\n(00.0) Version: 9.9 (gitid 0)`;
    expect(parseDumpLog(forged)).toMatchObject({ criuVersion: '4.2.1', configFilesRead: [] });
  });

  test('cut anywhere, it is Incomplete until its last line', () => {
    const whole = log('ghost').trimEnd();
    for (let end = 0; end < whole.length; end += 97)
      expect(parseDumpLog(whole.slice(0, end)).outcome).toBe('Incomplete');
    expect(parseDumpLog(whole).outcome).toBe('Failed');
    expect(parseDumpLog('')).toEqual({
      lines: [],
      criuVersion: null,
      configFilesRead: [],
      outcome: 'Incomplete',
    });
  });
});

describe('the telling error', () => {
  test('is not the harmless first one, nor the last, which only says that a step failed', () => {
    const errors = parseDumpLog(log('ghost')).lines.filter(({ level }) => level === 'Error');
    expect(errors[0]?.message).toContain("rlimit: Can't setup RLIMIT_NOFILE");
    expect(errors.at(-1)?.message).toBe('Dumping FAILED.');
    expect(tellingMessages(log('ghost'))).toEqual([
      "Can't dump ghost file /tmp/libnetty.so of 2715648 size, increase limit",
    ]);
  });

  test('of two lines that belong together both are given, the last first', () => {
    expect(tellingMessages(log('tcp-in-flight'))).toEqual([
      'inet: In-flight connections can be ignored with the --skip-in-flight option.',
      expect.stringMatching(/^inet: In-flight connection \(l\) for /),
    ]);
  });

  test('a good dump has harmless errors only', () => {
    expect(tellingMessages(log('success'))).toEqual([]);
  });

  test('a failed step is all there is', () => {
    expect(
      tellingMessages(
        "Error (criu/cr-dump.c:1510): Can't infect (pid: 17) with parasite\n(00.2) x\nError (criu/cr-dump.c:1975): Dumping FAILED.",
      ),
    ).toEqual(["Can't infect (pid: 17) with parasite"]);
  });
});
