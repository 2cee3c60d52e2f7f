import { describe, expect, test } from '@jest/globals';
import {
  parseCriuSize,
  parseInt32,
  parseLong,
  parseUnsignedLong,
} from '../../../../src/domain/criu-conf/size.ts';

const TWO_64 = 1n << 64n;

/** By hand from parse_size() (CRIU 4.2.1 criu/config.c) and glibc's atol(). */
const SIZES: readonly (readonly [string, bigint])[] = [
  ['', 0n],
  ['3145728', 3_145_728n],
  ['3K', 3072n],
  ['3M', 3_145_728n],
  ['3Mi', 3_145_728n],
  ['5G', 5_368_709_120n],
  ['3m', 3n],
  ['2M3K', 2048n],
  ['2G3M', 2_097_152n],
  ['K7', 0n],
  ['7 K', 7168n],
  ['0x10', 0n],
  ['+8', 8n],
  ['\t\r 8', 8n],
  ['- 8', 0n],
  ['-1', TWO_64 - 1n],
  ['-1K', TWO_64 - 1024n],
  ['9223372036854775807', TWO_64 / 2n - 1n],
  ['9223372036854775808', TWO_64 / 2n - 1n],
  ['-9223372036854775809', TWO_64 / 2n],
  ['9223372036854775807K', TWO_64 - 1024n],
  ['18014398509481984K', 0n],
  ['18014398509481985K', 1024n],
  ['17179869185G', 1_073_741_824n],
];

describe('sizes', () => {
  test.each(SIZES)('%j is %d bytes', (text, bytes) => {
    expect(parseCriuSize(text)).toBe(bytes);
  });

  test('atoi keeps 32 bits', () => {
    expect([parseInt32('4294967297'), parseInt32('2147483648'), parseInt32('-1'), parseInt32('x')]).toEqual([
      1, -2_147_483_648, -1, 0,
    ]);
  });

  test('atol saturates', () => {
    expect([parseLong('99999999999999999999'), parseLong('-99999999999999999999')]).toEqual([
      TWO_64 / 2n - 1n,
      -TWO_64 / 2n,
    ]);
  });

  test('strtoul wraps small negatives and saturates large ones', () => {
    expect(parseUnsignedLong('-1,')).toEqual({ number: TWO_64 - 1n, digits: 2 });
    expect(parseUnsignedLong('-99999999999999999999')).toEqual({ number: TWO_64 - 1n, digits: 21 });
    expect(parseUnsignedLong('x')).toEqual({ number: 0n, digits: 0 });
  });
});
