import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { iniReader } from '../../../../src/adapters/ini/ini-reader.ts';
import { criuLinesOf } from '../../../../src/domain/criu-conf/ini-view.ts';
import { judgeCriuConf } from '../../../../src/domain/criu-conf/judge.ts';
import { lintCriuConf } from '../../../../src/domain/criu-conf/lint.ts';

const lint = (text: string) => lintCriuConf(Buffer.from(text, 'latin1'), iniReader.read(text));

describe('lintCriuConf', () => {
  test('a file that CRIU takes: its limit, nothing else', () => {
    expect(lint('# limit\nghost-limit 3M\ntcp-established\n')).toEqual({
      verdict: 'Accepted',
      ghostLimitBytes: 3_145_728n,
      findings: [],
    });
  });

  test('what an INI writer made: refused, with every line that is wrong and the lines to write', () => {
    const { verdict, findings } = lint('[criu]\nghost-limit = 3145728\ntcp-established=true\n; done\n');
    expect(verdict).toBe('Refused');
    const lines = findings.map(({ line }) => line);
    expect(lines).toEqual(lines.toSorted((one, other) => one - other));
    expect(new Set(lines)).toEqual(new Set([1, 2, 3, 4]));
    const told = findings.find(({ code }) => code === 'IniFile');
    expect(told).toMatchObject({ line: 2 });
    expect(told?.message).toContain('"ghost-limit 3145728", "tcp-established"');
    const suggested = findings.find(({ line }) => line === 3);
    expect(suggested?.message).toContain('tcp-established');
  });

  test('an option that takes the next line for its value is not called bad', () => {
    const { verdict, findings } = lint('log-file\n/var/log/criu\ntcp-established=true\n');
    expect(verdict).toBe('Refused');
    expect(findings.map(({ code }) => code)).not.toContain('ArgumentMissing');
  });

  test("the verdict is the judge's for any text, and every finding is of a line that is there", () => {
    const piece = fc.constantFrom(
      'ghost-limit',
      '=',
      ' ',
      '3M',
      '\n',
      '[s]',
      '"',
      '#',
      ';',
      'tcp-established',
      'true',
      '\0',
      '\r',
      '__proto__',
      'a.b',
      '[a.b]',
      'x[]',
      '\u00ff',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        const result = lint(text);
        const judgement = judgeCriuConf(Buffer.from(text, 'latin1'));
        expect(result.verdict).toBe(judgement.verdict);
        expect(result.ghostLimitBytes).toBe(judgement.ghostLimitBytes);
        for (const { line } of result.findings) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(text.split('\n').length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('criuLinesOf: the options of CRIU in a file as an INI library reads it', () => {
  test.each([
    [
      'keys and values',
      'ghost-limit = 3145728\ntcp-established = true\n',
      ['ghost-limit 3145728', 'tcp-established'],
    ],
    ['in sections too, after what stands before them', '[a]\nfile-locks=yes\n', ['file-locks']],
    ['what is no option of CRIU is left out', 'color = red\n', []],
    ['a key that is there several times', 'external[]=a\nexternal[]=b\n', ['external a', 'external b']],
    ['nothing', '', []],
  ])('%s', (_sentence, text, lines) => {
    expect(criuLinesOf(iniReader.read(text))).toEqual(lines);
  });

  test('a section name with as many dots as fit: no end of the stack', () => {
    const text = `[${'a.'.repeat(50_000)}a]\nghost-limit=5\n`;
    expect(criuLinesOf(iniReader.read(text))).toEqual(['ghost-limit 5']);
    expect(lint(text).verdict).toBe('Refused');
  });
});
