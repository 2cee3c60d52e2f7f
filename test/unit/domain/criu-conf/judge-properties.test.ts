import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesOf } from '../../../../hack/criu-conf-corpus.ts';
import { judgeCriuConf } from '../../../../src/domain/criu-conf/judge.ts';
import type { ConfJudgement } from '../../../../src/domain/criu-conf/judge.ts';

const fragment = fc.constantFrom(
  ...[
    'ghost-limit',
    'tcp-close',
    'no-',
    'tree',
    '-',
    '--',
    '=',
    ' ',
    '\t',
    '\n',
    '\n',
    '\r',
    '"',
    '\\"',
    '#',
    '\0',
    '5',
    'M',
    '\xef\xbb\xbf',
  ],
);
const confText = fc.oneof(
  fc.array(fragment, { maxLength: 40 }).map((fragments) => fragments.join('')),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => String.fromCharCode(...bytes)),
);
const judge = (text: string): ConfJudgement => judgeCriuConf(bytesOf([text]));
const countLines = (text: string): number => text.split('\n').length;

test('any bytes get a verdict that is whole, with lines inside the file', () => {
  fc.assert(
    fc.property(confText, (text) => {
      const { verdict, refusal, ghostLimitBytes, ghostLimitLine, findings, options } = judge(text);
      expect(refusal === null).toBe(verdict === 'Accepted');
      expect(ghostLimitBytes === null).toBe(ghostLimitLine === null);
      const lines = [...findings, ...options].map(({ line }) => line).concat(ghostLimitLine ?? []);
      for (const line of lines) expect(line >= 1 && line <= countLines(text)).toBe(true);
      for (const { message } of findings) expect(message).toMatch(/^[ -~…]+$/);
    }),
    { numRuns: 3000 },
  );
});

/** A line put behind is read as a line of its own when the text before neither ends the options nor waits for a value. */
function isOpenForMore({ verdict, findings }: ConfJudgement): boolean {
  return (
    verdict === 'Accepted' &&
    findings.every(({ code }) => code !== 'OptionsEnd' && code !== 'ValueFromNextLine')
  );
}

test('a limit appended to an accepted file wins', () => {
  fc.assert(
    fc.property(confText, fc.bigInt({ min: 1n, max: 1n << 40n }), (text, limitBytes) => {
      fc.pre(isOpenForMore(judge(text)));
      const appended = `${text}\nghost-limit ${limitBytes}\n`;
      const after = judge(appended);
      fc.pre(after.refusal?.code !== 'WordArrayOverrun');
      expect(after).toMatchObject({
        verdict: 'Accepted',
        ghostLimitBytes: limitBytes,
        ghostLimitLine: countLines(appended) - 1,
      });
    }),
    { numRuns: 3000 },
  );
});

test('comments and empty lines before a file change nothing but line numbers', () => {
  fc.assert(
    fc.property(confText, fc.constantFrom('\n', '# x\n', ' \t\n', '#\0"\n'), (text, ahead) => {
      const { verdict, ghostLimitBytes } = judge(text);
      expect(judge(ahead + text)).toMatchObject({ verdict, ghostLimitBytes });
    }),
    { numRuns: 2000 },
  );
});

test('every other order of two switches is the same to the limit', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray([
        'tcp-close\n',
        'file-locks\n',
        'link-remap\n',
        'shell-job x\n',
        'ghost-limit 2M\n',
      ]),
      (lines) => {
        const expected = lines.includes('ghost-limit 2M\n') ? 2_097_152n : null;
        expect(judge(lines.join(''))).toMatchObject({ verdict: 'Accepted', ghostLimitBytes: expected });
      },
    ),
  );
});
