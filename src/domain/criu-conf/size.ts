// How CRIU turns the value of ghost-limit into a number of bytes. Does not judge whether the number is sensible.

const LONG_MAX = (1n << 63n) - 1n;
const LONG_MIN = -(1n << 63n);
const ULONG_MAX = (1n << 64n) - 1n;

interface Digits {
  readonly isNegative: boolean;
  readonly magnitude: bigint;
  /** characters up to the end of the digits; 0: no digits */
  readonly length: number;
}

/** Longer numbers overflow 64 bits whatever their digits are; reading all of them would cost time that grows with the square. */
const ENOUGH_DIGITS = 21;

/** What strtol(3) and strtoul(3) take from the start of a text, base 10. */
function readDigits(text: string): Digits {
  const match = /^[ \t\n\v\f\r]*([+-]?)0*([0-9]*)/.exec(text);
  const hasDigits = match !== null && /[0-9]$/.test(match[0].slice(-1));
  if (!hasDigits) return { isNegative: false, magnitude: 0n, length: 0 };
  const digits = (match[2] ?? '').slice(0, ENOUGH_DIGITS);
  return { isNegative: match[1] === '-', magnitude: BigInt(digits), length: match[0].length };
}

/** What glibc's atol(3) returns: leading blanks, one sign, decimal digits, saturating at LONG_MIN and LONG_MAX; 0 without digits. */
export function parseLong(text: string): bigint {
  const { isNegative, magnitude } = readDigits(text);
  const value = isNegative ? -magnitude : magnitude;
  if (value > LONG_MAX) return LONG_MAX;
  return value < LONG_MIN ? LONG_MIN : value;
}

/** What atoi(3) returns on x86-64 and arm64: atol cut to 32 bits. */
export function parseInt32(text: string): number {
  return Number(BigInt.asIntN(32, parseLong(text)));
}

/** What strtoul(3) returns, and how many characters it took; 0 and 0 without digits. It saturates before it negates. */
export function parseUnsignedLong(text: string): { readonly number: bigint; readonly digits: number } {
  const { isNegative, magnitude, length } = readDigits(text);
  if (magnitude > ULONG_MAX) return { number: ULONG_MAX, digits: length };
  return { number: BigInt.asUintN(64, isNegative ? -magnitude : magnitude), digits: length };
}

/** A capital K, M or G anywhere in the value; K wins over M, M over G, wherever they stand. */
export function sizeSuffix(text: string): 'K' | 'M' | 'G' | null {
  if (text.includes('K')) return 'K';
  if (text.includes('M')) return 'M';
  return text.includes('G') ? 'G' : null;
}

const SHIFTS = { K: 10n, M: 20n, G: 30n } as const;

/**
 * The limit in bytes, 0..2^64-1, as size_t: a negative or overflowing value wraps round.
 * Source: parse_size() in CRIU 4.2.1 criu/config.c; measured: test/fixtures/criu-conf.
 */
export function parseCriuSize(text: string): bigint {
  const suffix = sizeSuffix(text);
  const number = parseLong(text);
  return BigInt.asUintN(64, suffix === null ? number : number << SHIFTS[suffix]);
}
