import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { printable } from '../../../src/api/printable.ts';

describe('printable', () => {
  test.each([
    ['/tmp/libnetty_tcnative.so', '/tmp/libnetty_tcnative.so'],
    ['Grüße 日本 🎉', 'Grüße 日本 🎉'],
    ['a\nb\r\tc', 'a\\nb\\r\\tc'],
    ['\u001b[2J', '\\x1b[2J'],
    ['\u0000\u007f\u009b', '\\x00\\x7f\\x9b'],
    ['a\\nb', 'a\\\\nb'],
    ['x\u202egpj.exe', 'x\\u{202e}gpj.exe'],
    ['\u2066\u2069\u200b\u2028\u2029\ufeff', '\\u{2066}\\u{2069}\\u{200b}\\u{2028}\\u{2029}\\u{feff}'],
    ['\ud800x', '\\u{d800}x'],
    ['a\u00a0b\u3000', 'a\\xa0b\\u{3000}'],
    ['\u{e0041}', '\\u{e0041}'],
    ['\u3164', '\\u{3164}'],
  ])('%j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdef', 5, 'abcd…'],
    ['abc\n', 5, 'abc\\n'],
    ['abc\n', 4, 'abc…'],
    ['abc\nd', 5, 'abc…'],
    ['ab\\\\', 5, 'ab\\\\…'],
    ['a\u202ebc', 6, 'a…'],
    ['ab🎉c', 4, 'ab…'],
    ['abc', 0, '…'],
  ])('%j cut to %d', (text, maxLength, shown) => {
    expect(printable(text, maxLength)).toBe(shown);
  });

  test('whatever comes in, one visible line within the limit comes out', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 40 }),
        fc.integer({ min: 1, max: 60 }),
        (text, maxLength) => {
          const shown = printable(text, maxLength);
          expect(shown.length).toBeLessThanOrEqual(maxLength);
          expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        },
      ),
    );
  });

  test('two texts look alike only if they are the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(printable(a) === printable(b)).toBe(a === b);
      }),
    );
  });
});
