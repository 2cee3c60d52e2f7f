import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseRuntimeText } from '../../../../src/domain/checkpoint/runtime-text.ts';

const text = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../../fixtures/dump-logs/runtime-text', `${name}.txt`), 'utf8');
const read = (input: string): { statements: readonly string[]; quoted: string[] } => {
  const { statements, quotedErrors } = parseRuntimeText(input);
  return { statements, quoted: quotedErrors.map(({ message }) => message) };
};
const HARMLESS = "rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted";

describe('parseRuntimeText', () => {
  test('runc 1.2 and newer: numbered excerpts at level warning', () => {
    expect(read(text('runc-ghost'))).toEqual({
      statements: ['criu failed: type DUMP errno 0'],
      quoted: [
        HARMLESS,
        "Can't dump ghost file /tmp/ghost.so of 2715648 size, increase limit",
        'Dump files (pid: 1525) failed with -1',
        'Dumping FAILED.',
      ],
    });
  });

  test('runc with a JSON log', () => {
    const lines = [
      '{"level":"warning","msg":"352:(00.113392) Error (criu/files-reg.c:1031): Can\'t dump ghost file /a\\"b of 5 size, increase limit","time":"2026-11-23T15:10:49Z"}',
      '{"level":"error","msg":"criu failed: type DUMP errno 0","time":"2026-11-23T15:10:49Z"}',
    ];
    expect(read(lines.join('\n'))).toEqual({
      statements: ['criu failed: type DUMP errno 0'],
      quoted: ['Can\'t dump ghost file /a"b of 5 size, increase limit'],
    });
  });

  test('runc up to 1.1 quotes nothing', () => {
    expect(read('criu failed: type NOTIFY errno 0\nlog file: /w/dump.log')).toEqual({
      statements: ['criu failed: type NOTIFY errno 0', 'log file: /w/dump.log'],
      quoted: [],
    });
  });

  test('crun: a raw excerpt between two marks', () => {
    expect(read(text('crun-mount-not-found'))).toEqual({
      statements: ['CRIU checkpointing failed: -52: Invalid exchange'],
      quoted: [
        HARMLESS,
        "Can't lookup mount=87 for fd=2 path=/tmp/cr.err",
        'Dump files (pid: 4882) failed with -1',
        'Dumping FAILED.',
      ],
    });
  });

  test('an escaped newline of logrus is one statement, and Go escapes are undone', () => {
    expect(
      read('time="2026-11-23T15:10:49Z" level=error msg="a\\nb \\"c\\" \\x1b \\u202e \\\\ \\t"').statements,
    ).toEqual(['a\nb "c" \u001b \u202e \\ \t']);
  });

  test.each(['{', '{"msg":1}', '[]', 'time= level= msg=', ''])(
    'nonsense is a statement of its own: %j',
    (line) => {
      expect(read(line)).toEqual({ statements: line === '' ? [] : [line], quoted: [] });
    },
  );
});
