import { describe, expect, test } from '@jest/globals';
import { bytesOf } from '../../../../hack/criu-conf-corpus.ts';
import { FINDING_CODES } from '../../../../src/domain/criu-conf/finding-codes.ts';
import type { ConfFindingCode } from '../../../../src/domain/criu-conf/finding-codes.ts';
import { judgeCriuConf } from '../../../../src/domain/criu-conf/judge.ts';
import { CRIU_OPTIONS } from '../../../../src/domain/criu-conf/options.ts';

const judge = (text: string): ReturnType<typeof judgeCriuConf> => judgeCriuConf(bytesOf([text]));

const REFUSALS: readonly (readonly [string, ConfFindingCode, number, string])[] = [
  ['tcp-close\nghost-limit = 3145728\n', 'BlanksAroundEquals', 2, 'the right line is: ghost-limit 3145728'],
  ['tcp-established=true\n', 'ArgumentNotAllowed', 1, 'the right line is: tcp-established'],
  ['tcp-established = off\n', 'BlanksAroundEquals', 1, 'the right line is: no-tcp-established'],
  ['# x\n[criu]\n', 'IniSection', 2, 'no sections'],
  ['; x\n', 'IniComment', 1, 'comments begin with "#"'],
  ['--ghost-limit 5M\n', 'LeadingDashes', 1, 'the right line is: ghost-limit 5M'],
  ['\xef\xbb\xbfghost-limit 5M\n', 'ByteOrderMark', 1, 'byte order mark'],
  ['file-locks\r\n', 'CarriageReturn', 1, 'the right line is: file-locks'],
  ['ghost-limit\t5M # x\n', 'TabBeforeBlank', 1, 'the right line is: ghost-limit 5M'],
  ['ghost-limit: 5M\n', 'UnknownOption', 1, 'the right line is: ghost-limit 5M'],
  ['no-such\n', 'UnknownOption', 1, '"no-such"'],
  ['ghost 5M\n', 'AmbiguousOption', 1, 'ghost-limit, ghost-fiemap'],
  ['ghost-limit\n', 'ArgumentMissing', 1, 'needs a value'],
  ['ghost-limit 5M\ntree x\n', 'InvalidValue', 2, 'above 0'],
  ['tcp-close\nhelp\n', 'HelpOption', 2, 'help'],
  ['version\nghost-limit = 55\n', 'BlanksAroundEquals', 2, 'ghost-limit 55'],
  ['version\n', 'VersionOption', 1, 'version'],
  ['ms\n', 'RemovedOption', 1, 'ms'],
  ['mntns-compat-mode\n', 'NotForDumps', 1, 'restores only'],
  ['restore-sibling\n', 'OptionConflict', 1, 'restore-detached'],
  ['track-mem\n', 'NeedsKernelSupport', 1, 'soft-dirty'],
  ['work-dir /no/such\n', 'MissingPath', 1, 'this directory exists'],
  ['ghost-limit\t2M\n'.repeat(5), 'WordArrayOverrun', 5, 'tab'],
  [`ghost-limit${' '.repeat(100_000)}"5"\n`, 'UndefinedMemory', 1, 'memory'],
];

const REMARKS: readonly (readonly [string, readonly (readonly [number, ConfFindingCode])[]])[] = [
  ['ghost-limit 3145728 # netty\n', []],
  [
    'ghost-limit = 5\n',
    [
      [1, 'ValueNotNumber'],
      [1, 'ZeroLimit'],
    ],
  ],
  [
    'ghost-limit 3m\n',
    [
      [1, 'LowerCaseSuffix'],
      [1, 'BelowDefault'],
    ],
  ],
  ['ghost-limit 2.5M\n', [[1, 'TrailingTextIgnored']]],
  ['ghost-limit -1\n', [[1, 'WrappedLimit']]],
  ['ghost-limit 2M\n\nghost-limit 4M\n', [[1, 'OverriddenLine']]],
  [
    'ghost-limit\ntcp-close\n',
    [
      [1, 'ValueNotNumber'],
      [1, 'ZeroLimit'],
      [1, 'ValueFromNextLine'],
    ],
  ],
  ['tcp-close yes\n', [[1, 'IgnoredWord']]],
  ['tcp-close -j\n', [[1, 'OptionInValue']]],
  ['tcp-close --\nno-such\n', [[1, 'OptionsEnd']]],
  ['tcp-c\n', [[1, 'AbbreviatedOption']]],
  ['action-script /x\n', [[1, 'RunsCode']]],
  [
    'act=/x\n',
    [
      [1, 'RunsCode'],
      [1, 'AbbreviatedOption'],
    ],
  ],
  ['verbosity=4\n', [[1, 'NoEffect']]],
  ['ghost-limit 2M\0x\n', [[1, 'CutAtNul']]],
  [`ghost-limit${' '.repeat(20)}"2M"\n`, [[1, 'StrayRead']]],
];

describe('a judgement', () => {
  test.each(REFUSALS)('%j is refused as %s in line %d', (text, code, line, part) => {
    const { verdict, refusal, ghostLimitBytes, findings } = judge(text);
    expect({ verdict, ghostLimitBytes, code: refusal?.code, line: refusal?.line }).toEqual({
      verdict: 'Refused',
      ghostLimitBytes: null,
      code,
      line,
    });
    expect(refusal?.message).toContain(part);
    expect(findings).toContain(refusal);
    expect(FINDING_CODES[code].severity).toBe('Refusal');
  });

  test.each(REMARKS)('%j is accepted with remarks', (text, remarks) => {
    const { verdict, findings } = judge(text);
    expect(verdict).toBe('Accepted');
    expect(findings.map(({ line, code }) => [line, code])).toEqual(remarks);
  });

  test('the last limit counts, with its line', () => {
    expect(judge('ghost-limit 8M\ntcp-close\nghost-limit=2M\n')).toMatchObject({
      ghostLimitBytes: 2_097_152n,
      ghostLimitLine: 3,
    });
    expect(judge('tcp-close\n')).toMatchObject({ ghostLimitBytes: null, ghostLimitLine: null });
  });

  test('a limit over 2^63 bytes is given as CRIU holds it', () => {
    expect(judge('ghost-limit -1\n').ghostLimitBytes).toBe((1n << 64n) - 1n);
  });

  test('switches stand as the last line leaves them', () => {
    const { booleans } = judge(
      'tcp-est\nfile-locks\nno-file-locks\ntcp-close -jR\ndaemon\nno-restore-detached\nleave-stopped\n',
    );
    expect(Object.fromEntries(booleans)).toEqual({
      'tcp-established': true,
      'file-locks': false,
      'tcp-close': true,
      'shell-job': true,
      'leave-running': false,
      'leave-stopped': true,
      daemon: false,
      'restore-detached': false,
    });
  });

  test('options carry full names, values and lines', () => {
    expect(judge('ghost-l 2M\n\ntcp-close -v4\n').options).toEqual([
      { name: 'ghost-limit', value: '2M', line: 1 },
      { name: 'tcp-close', value: null, line: 3 },
      { name: 'verbosity', value: '4', line: 3 },
    ]);
  });

  test('directories count as present only when the host is known or every host has them', () => {
    const file = bytesOf(['work-dir /srv/criu\n']);
    expect(judgeCriuConf(file).verdict).toBe('Refused');
    expect(judgeCriuConf(file, (path) => path === '/srv/criu').verdict).toBe('Accepted');
    expect(judge('images-dir /tmp/\nlog-file /var/log/x.log\n').verdict).toBe('Accepted');
  });

  test('messages show no raw bytes', () => {
    const { refusal } = judge('no\x1b[31m\x07such\xff\n');
    expect(refusal?.message).toContain('no\\x1b[31m\\x07such\\xff');
  });

  test('every option that runs code, writes files or sends memory is marked', () => {
    const dangerous = CRIU_OPTIONS.filter(({ danger }) => danger !== null).map(({ name }) => name);
    expect(dangerous).toEqual(
      expect.arrayContaining([
        'action-script',
        'libdir',
        'images-dir',
        'work-dir',
        'log-file',
        'pidfile',
        'page-server',
        'external',
        'lsm-profile',
      ]),
    );
    expect(dangerous).not.toContain('ghost-limit');
  });
});
