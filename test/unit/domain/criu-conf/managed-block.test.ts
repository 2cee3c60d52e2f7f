// The managed block: nothing but an integer and listed options gets in, and nothing that is not ours ever goes out.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CRIU_OPTION_LINES, CRIU_OPTION_NAMES } from '../../../../src/api/criu-option.ts';
import {
  splitManagedBlock,
  withManagedBlock,
  type BlockContent,
} from '../../../../src/domain/criu-conf/managed-block.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (content: Uint8Array): string => Buffer.from(content).toString('latin1');

const THREE_MIB: BlockContent = { ghostLimitBytes: 3_145_728n, options: ['TcpEstablished'] };

/** The sum was computed apart, in Python (FNV-1a, 32 bits, of what follows `sum=... `). */
const BLOCK = [
  '# BEGIN ghostlimit v1 sum=1a943d60 newline=kept: ghost-limit 3145728; tcp-established',
  '# ghostlimit keeps the lines from BEGIN to END. To remove them by hand, stop ghostlimit and delete BEGIN to END.',
  'ghost-limit 3145728',
  'tcp-established',
  '# END ghostlimit',
];
const [BEGIN, NOTE, LIMIT, OPTION, END] = BLOCK as [string, string, string, string, string];
const lines = (...all: string[]): string => all.map((line) => `${line}\n`).join('');

const content: fc.Arbitrary<BlockContent> = fc
  .record({
    ghostLimitBytes: fc.option(fc.oneof(fc.bigInt(1n, 2n ** 40n), fc.integer({ min: 1, max: 2 ** 40 }))),
    options: fc.subarray([...CRIU_OPTION_NAMES]),
  })
  .filter(({ ghostLimitBytes, options }) => ghostLimitBytes !== null || options.length > 0);

/** Bytes, and texts made of the pieces that a block is made of: what could be taken for one. */
const foreign: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...BLOCK,
          BEGIN.replace('1', '2'),
          '# BEGIN ghostlimit',
          'ghost-limit',
          '   ',
          '',
          'log-file x',
        ),
        fc.string({ maxLength: 12 }),
      ),
      { maxLength: 12 },
    )
    .chain((all) =>
      fc
        .tuple(fc.constantFrom('\n', '\r\n', '\n\n', '\0\n'), fc.boolean())
        .map(([separator, ends]) => bytes(all.join(separator) + (ends ? separator : ''))),
    ),
);

describe('withManagedBlock', () => {
  test('prints the block at the end, markers as comments', () => {
    expect(text(withManagedBlock(bytes('tcp-close\n'), THREE_MIB))).toBe(`tcp-close\n${lines(...BLOCK)}`);
  });

  test('prints options in the order of the list, each once', () => {
    const printed = text(
      withManagedBlock(bytes(''), { ghostLimitBytes: null, options: ['ShellJob', 'TcpClose', 'ShellJob'] }),
    );
    expect(printed.split('\n').slice(2, 4)).toEqual(['tcp-close', 'shell-job']);
  });

  test('is idempotent', () => {
    fc.assert(
      fc.property(foreign, content, (file, wanted) => {
        const once = withManagedBlock(file, wanted);
        const split = splitManagedBlock(once);
        expect(text(withManagedBlock(split.foreign, wanted, split.at))).toBe(text(once));
        expect(split.block?.intact).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('every line that is not a comment is one of the eight that we may write', () => {
    const allowed = new Set<string>(Object.values(CRIU_OPTION_LINES));
    fc.assert(
      fc.property(content, (wanted) => {
        for (const line of text(withManagedBlock(bytes(''), wanted)).split('\n'))
          expect(
            line === '' ||
              line.startsWith('# ') ||
              allowed.has(line) ||
              /^ghost-limit [1-9][0-9]{0,12}$/.test(line),
          ).toBe(true);
      }),
    );
  });

  const smuggle = '1\naction-script /tmp/x';
  test.each([
    ['a limit of 0', 0],
    ['a limit below 0', -1n],
    ['a limit over 2^40', 2n ** 40n + 1n],
    ['a limit over 2^53', 2 ** 60],
    ['a fraction', 1.5],
    ['not a number', NaN],
    ['infinity', Infinity],
    ['a string of digits', '3145728'],
    ['a string with a line', smuggle],
    ['undefined', undefined],
    ['true', true],
    ['an array', [3_145_728]],
    ['an object that prints as a line', { toString: () => smuggle, valueOf: () => 1 }],
    ['an object that becomes a number', { [Symbol.toPrimitive]: () => 1 }],
    ['a boxed number', Object(1)],
    ['a boxed bigint', Object(1n)],
    ['a proxy', new Proxy({}, { get: () => () => smuggle })],
  ] satisfies [string, unknown][])('refuses %s', (_name, limit: unknown) => {
    const wanted = { ghostLimitBytes: limit, options: [] } as unknown as BlockContent;
    expect(() => withManagedBlock(bytes(''), wanted)).toThrow(/ghost-limit/);
  });

  test.each<[string, unknown]>([
    ['a line', ['action-script /tmp/x']],
    ['the line of an option in place of its name', ['tcp-established']],
    ['a name of every object', ['constructor']],
    ['__proto__', ['__proto__']],
    ['toString', ['toString']],
    ['a name with a line behind it', ['TcpClose\naction-script /tmp/x']],
    ['a boxed name', [Object('TcpClose')]],
    ['an object that prints as a name', [{ toString: () => 'TcpClose' }]],
    ['a nested list', [['TcpClose']]],
    ['a hole', [, 'TcpClose']], // eslint-disable-line no-sparse-arrays
    ['a string', 'TcpClose'],
    ['something like an array', { length: 1, 0: 'TcpClose' }],
    ['null', null],
    ['undefined', undefined],
    ['a very long list', Array.from({ length: 65 }, () => 'TcpClose')],
  ])('refuses as options %s', (_name, options) => {
    const wanted = { ghostLimitBytes: 1n, options } as unknown as BlockContent;
    expect(() => withManagedBlock(bytes(''), wanted)).toThrow(/options/);
  });

  test('a list that changes between looks, or iterates otherwise than it is indexed, gives no other line', () => {
    let looks = 0;
    const options = ['TcpClose'];
    Object.defineProperty(options, 0, { get: () => (looks++ === 0 ? 'TcpClose' : 'action-script /tmp/x') });
    options[Symbol.iterator] = () => ['action-script /tmp/x'][Symbol.iterator]();
    let reads = 0;
    const wanted = {
      get ghostLimitBytes() {
        return reads++ === 0 ? 5 : smuggle;
      },
      options,
    } as unknown as BlockContent;
    const printed = text(withManagedBlock(bytes(''), wanted));
    expect(printed).not.toContain('action-script');
    expect(printed.split('\n').slice(2, 4)).toEqual(['ghost-limit 5', 'tcp-close']);
  });

  test('a polluted prototype adds no option', () => {
    Object.defineProperty(Object.prototype, 'Evil', { value: 'action-script /tmp/x', configurable: true });
    try {
      const wanted = { ghostLimitBytes: 1n, options: ['Evil'] } as unknown as BlockContent;
      expect(() => withManagedBlock(bytes(''), wanted)).toThrow(/options/);
    } finally {
      delete (Object.prototype as { Evil?: string }).Evil;
    }
  });

  test('anything at all gives an allowed block or an error', () => {
    fc.assert(
      fc.property(fc.anything(), fc.array(fc.anything()), (limit, options) => {
        let printed: string;
        try {
          printed = text(
            withManagedBlock(bytes(''), { ghostLimitBytes: limit, options } as unknown as BlockContent),
          );
        } catch (error) {
          expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
          return;
        }
        const statements = printed.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
        for (const line of statements)
          expect(/^(ghost-limit [1-9][0-9]{0,12}|[a-z]+(-[a-z]+)*)$/.test(line)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a block without lines is refused', () => {
    expect(() => withManagedBlock(bytes(''), { ghostLimitBytes: null, options: [] })).toThrow(
      /without lines/,
    );
  });

  test('a place inside a line is refused', () => {
    expect(() => withManagedBlock(bytes('tcp-close\n'), THREE_MIB, 3)).toThrow(/start of a line/);
  });
});

describe('splitManagedBlock', () => {
  test('gives back every file that the block was put into', () => {
    fc.assert(
      fc.property(foreign, content, (file, wanted) => {
        expect(text(splitManagedBlock(withManagedBlock(file, wanted)).foreign)).toBe(text(file));
      }),
      { numRuns: 10_000 },
    );
  });

  test('tells what the block says', () => {
    fc.assert(
      fc.property(foreign, content, (file, wanted) => {
        const { block } = splitManagedBlock(withManagedBlock(file, wanted));
        expect(block?.ghostLimitBytes).toBe(
          wanted.ghostLimitBytes === null ? null : BigInt(wanted.ghostLimitBytes),
        );
        expect(new Set(block?.options)).toEqual(new Set(wanted.options));
      }),
    );
  });

  test('finds no block in any bytes that we did not write', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (file) => {
        expect(splitManagedBlock(file)).toEqual({
          foreign: file,
          block: null,
          at: file.length,
          ownLines: [],
        });
      }),
    );
  });

  test('says where the block is', () => {
    const split = splitManagedBlock(bytes(`a\nb\n${lines(...BLOCK)}c\n`));
    expect(split.block).toMatchObject({ startLine: 3, endLine: 7, intact: true, hash: '1a943d60' });
    expect(split.ownLines).toEqual([3, 4, 5, 6, 7]);
    expect(split.at).toBe(4);
    expect(text(split.foreign)).toBe('a\nb\nc\n');
  });

  const look: readonly (readonly [name: string, file: string, rest: string, intact: boolean])[] = [
    ['END is missing', lines('a', BEGIN, NOTE, LIMIT, OPTION), 'a\n', false],
    [
      'END is missing and foreign lines follow',
      lines('a', BEGIN, NOTE, LIMIT, OPTION, 'b', LIMIT),
      lines('a', 'b', LIMIT),
      false,
    ],
    ['a line of ours is missing', lines('a', BEGIN, NOTE, OPTION, END), 'a\n', false],
    [
      'our limit was edited: the new line is theirs',
      lines('a', BEGIN, NOTE, 'ghost-limit 9', OPTION, END),
      lines('a', 'ghost-limit 9'),
      false,
    ],
    [
      'a line was added inside',
      lines('a', BEGIN, NOTE, LIMIT, 'file-locks', OPTION, END),
      lines('a', 'file-locks'),
      false,
    ],
    [
      'a line of ours was repeated inside: one is ours',
      lines(BEGIN, NOTE, LIMIT, LIMIT, OPTION, END),
      lines(LIMIT),
      false,
    ],
    ['an editor made CRLF of it all', lines('a', ...BLOCK).replaceAll('\n', '\r\n'), 'a\r\n', false],
    ['it was indented', lines('a', ...BLOCK.map((line) => `  \t${line} `)), 'a\n', false],
    ['foreign lines follow', lines('a', ...BLOCK, 'b'), lines('a', 'b'), true],
    ['foreign text without a newline follows', `${lines('a', ...BLOCK)}b`, 'a\nb', true],
    ['the last newline is cut off', lines('a', ...BLOCK).slice(0, -1), 'a\n', false],
    ['the file is cut off inside a line of ours', `${lines('a', BEGIN, NOTE)}ghost-lim`, 'a\n', false],
    [
      'the file is cut off inside BEGIN: a comment stays',
      `a\n${BEGIN.slice(0, 40)}`,
      `a\n${BEGIN.slice(0, 40)}`,
      false,
    ],
    [
      'BEGIN was edited: nothing is known to be ours',
      lines('a', BEGIN.replace('3145728', '3145729'), LIMIT, END),
      lines('a', BEGIN.replace('3145728', '3145729'), LIMIT, END),
      false,
    ],
    [
      'BEGIN is gone: nothing is known to be ours',
      lines('a', NOTE, LIMIT, OPTION, END),
      lines('a', NOTE, LIMIT, OPTION, END),
      false,
    ],
    ['the lines were sorted', lines(BEGIN, OPTION, NOTE, LIMIT, END), '', false],
    ['it was copied: the last one goes', lines(...BLOCK, 'b', ...BLOCK), lines(...BLOCK, 'b'), true],
  ];
  test.each(look)('%s', (_name, file, rest, intact) => {
    const split = splitManagedBlock(bytes(file));
    expect(text(split.foreign)).toBe(rest);
    expect(split.block?.intact ?? false).toBe(intact);
  });

  describe('the newline that we add to a last line without one', () => {
    const written = text(withManagedBlock(bytes('a'), THREE_MIB));

    test.each([
      ['goes with the block', written, 'a'],
      ['goes when the file was prepended to', `b\n${written}`, 'b\na'],
      ['stays when lines were added after the block', `${written}b\n`, 'a\nb\n'],
      [
        'stays when lines were added inside the block',
        written.replace(`\n${LIMIT}\n`, `\nb\n${LIMIT}\n`),
        'a\nb\n',
      ],
      ['stays when a line was added before the block', written.replace('a\n', 'a\nb\n'), 'a\nb\n'],
      ['stays when the last line was changed', written.replace('a\n', 'ab\n'), 'ab\n'],
      ['stays when all lines got a CR', written.replaceAll('\n', '\r\n'), 'a\r\n'],
    ])('%s', (_name, file, rest) => {
      expect(file).toContain('newline=added-');
      expect(text(splitManagedBlock(bytes(file)).foreign)).toBe(rest);
    });
  });

  test('keeps lines that were put before, into or after the block, in their order', () => {
    const line = fc.stringMatching(/^x[a-z ]{0,8}$/);
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.tuple(fc.nat(6), line)), content, (before, added, wanted) => {
        const whole = text(withManagedBlock(bytes(lines(...before)), wanted))
          .split('\n')
          .slice(0, -1);
        const start = before.length;
        const edited = [...whole];
        const sorted = added
          .map(([at, one]) => [Math.min(start + at, whole.length), one] as const)
          .sort((a, b) => b[0] - a[0]);
        for (const [at, one] of sorted) edited.splice(at, 0, one);
        const expected = edited.filter((one) => one.startsWith('x'));
        expect(text(splitManagedBlock(bytes(lines(...edited))).foreign)).toBe(lines(...expected));
      }),
      { numRuns: 2_000 },
    );
  });
});
