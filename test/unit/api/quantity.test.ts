import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseQuantity, printQuantity, printSize } from '../../../src/api/quantity.ts';

const MI = 1_048_576;

describe('parseQuantity: whole bytes, by hand', () => {
  test.each<[string, string | number, bigint]>([
    ['a plain number of bytes', '3145728', 3_145_728n],
    ['a YAML number', 3_145_728, 3_145_728n],
    ['nothing', 0, 0n],
    ['binary: Ki', '1024Ki', 1_048_576n],
    ['binary: Mi', '3Mi', 3_145_728n],
    ['binary: Gi', '2Gi', 2_147_483_648n],
    ['binary: Ti', '1Ti', 1_099_511_627_776n],
    ['binary: Pi', '1Pi', 1_125_899_906_842_624n],
    ['binary: Ei', '8Ei', 9_223_372_036_854_775_808n],
    ['decimal: k is small', '5k', 5_000n],
    ['decimal: M is a million', '3M', 3_000_000n],
    ['decimal: G', '1G', 1_000_000_000n],
    ['decimal: E alone is exa', '1E', 1_000_000_000_000_000_000n],
    ['an exponent', '1e6', 1_000_000n],
    ['an exponent with a capital', '15E5', 1_500_000n],
    ['an exponent with a sign', '5e+3', 5_000n],
    ['a fraction that is whole', '1.5Mi', 1_572_864n],
    ['a fraction is rounded up', '1.1Ki', 1127n],
    ['thousandths are rounded up', '2500m', 3n],
    ['the smallest fraction is a byte', '1n', 1n],
    ['a negative exponent is rounded up', '15e-1', 2n],
    ['no digit before the point', '.5Ki', 512n],
    ['no digit after the point', '2.Ki', 2048n],
    ['a plus sign', '+1Ki', 1024n],
    ['zeros before', '0003Mi', 3_145_728n],
  ])('%s', (_sentence, value, bytes) => {
    expect(parseQuantity(value)).toEqual({ ok: true, bytes });
  });
});

describe('parseQuantity: what is refused, and what to write instead', () => {
  test.each<[string, string | number, string]>([
    ['MB', '3MB', 'is not a quantity: write "3Mi"'],
    ['MiB', '3MiB', 'is not a quantity: write "3Mi"'],
    ['a blank before kb', '12 kb', 'is not a quantity: write "12Ki"'],
    ['a fraction of GB', '1.5GB', 'is not a quantity: write "1.5Gi"'],
    ['K', '3K', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    ['small mi', '3mi', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    [
      'a blank before the suffix',
      '3 Mi',
      'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"',
    ],
    ['nothing', '', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    ['a point only', '.', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    ['a newline at the end', '3Mi\n', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    [
      'an option after it',
      '3Mi libdir',
      'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"',
    ],
    ['NUL after it', '3Mi\0', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    ['hexadecimal', '0x300000', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    ['other digits', '３Mi', 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"'],
    ['a negative text', '-3Mi', 'must not be negative'],
    ['a negative number', -1, 'must be a whole number of bytes, such as 3145728'],
    ['a fraction as a number', 1.5, 'must be a whole number of bytes, such as 3145728'],
    ['not a number', NaN, 'must be a whole number of bytes, such as 3145728'],
    ['infinite', Infinity, 'must be a whole number of bytes, such as 3145728'],
    ['a number that is no longer exact', 2 ** 53, 'must be a whole number of bytes, such as 3145728'],
    ['21 characters', '1'.repeat(21), 'must have at most 20 characters'],
  ])('%s', (_sentence, value, problem) => {
    expect(parseQuantity(value)).toEqual({ ok: false, problem });
  });
});

/** An exact model, written apart from the parser: the value as numerator / denominator, then rounded up. */
const SUFFIXES: readonly (readonly [string, bigint, bigint])[] = [
  ['', 1n, 1n],
  ['n', 1n, 1_000_000_000n],
  ['u', 1n, 1_000_000n],
  ['m', 1n, 1_000n],
  ['k', 1_000n, 1n],
  ['M', 1_000_000n, 1n],
  ['G', 1_000_000_000n, 1n],
  ['T', 1_000_000_000_000n, 1n],
  ['P', 1_000_000_000_000_000n, 1n],
  ['E', 1_000_000_000_000_000_000n, 1n],
  ['Ki', 1_024n, 1n],
  ['Mi', 1_048_576n, 1n],
  ['Gi', 1_073_741_824n, 1n],
  ['Ti', 1_099_511_627_776n, 1n],
  ['e3', 1_000n, 1n],
  ['E-2', 1n, 100n],
];
const quantities = fc.record({
  whole: fc.bigInt({ min: 0n, max: 10n ** 8n }),
  fraction: fc.option(fc.stringMatching(/^\d{1,6}$/), { nil: null }),
  suffix: fc.constantFrom(...SUFFIXES),
});

describe('quantities, any', () => {
  test('the parser gives the model, rounded up', () => {
    fc.assert(
      fc.property(quantities, ({ whole, fraction, suffix: [suffix, times, by] }) => {
        const tens = 10n ** BigInt(fraction?.length ?? 0);
        const numerator = (whole * tens + BigInt(fraction ?? '0')) * times;
        const denominator = tens * by;
        const up = numerator % denominator === 0n ? 0n : 1n;
        const text = `${whole}${fraction === null ? '' : `.${fraction}`}${suffix}`;
        expect(parseQuantity(text)).toEqual({ ok: true, bytes: numerator / denominator + up });
      }),
      { numRuns: 2000 },
    );
  });

  test('what is printed is read back exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n }), (bytes) => {
        expect(parseQuantity(printQuantity(bytes))).toEqual({ ok: true, bytes });
      }),
    );
  });

  test('no text makes it throw, and what it takes is digits, one point, a sign and a suffix', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 24, unit: 'binary' }), (text) => {
        if (parseQuantity(text).ok) expect(text).toMatch(/^[+]?[0-9.]+(?:[eE][+-]?\d+|[A-Za-z]{0,2})$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('printing', () => {
  test.each<[number | bigint, string]>([
    [0, '0'],
    [1, '1'],
    [1023, '1023'],
    [1024, '1Ki'],
    [3 * MI, '3Mi'],
    [3 * MI + 1, '3145729'],
    [2_797_568, '2732Ki'],
    [2n ** 40n, '1Ti'],
  ])('printQuantity(%s) is %s', (bytes, text) => {
    expect(printQuantity(bytes)).toBe(text);
  });

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [2_797_568, '2.7 MiB'],
    [3 * MI, '3 MiB'],
    [2 ** 40, '1 TiB'],
    [5000 * 2 ** 40, '5000 TiB'],
  ])('printSize(%s) is %s', (bytes, text) => {
    expect(printSize(bytes)).toBe(text);
  });
});
