// Kubernetes quantities for sizes, exact: no floating point, whole bytes, fractions rounded up.

const BINARY_SUFFIX: Readonly<Record<string, bigint>> = {
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
  Ei: 1n << 60n,
};
/** Power of ten of each decimal suffix. */
const DECIMAL_SUFFIX: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
export const QUANTITY_MAX_LENGTH = 20;
/** Shape of a non-negative quantity; the sign is refused since no size is negative. */
export const QUANTITY_PATTERN = /^\+?(\d+\.?\d*|\.\d+)([KMGTPE]i|[eE][+-]?\d{1,2}|[numkMGTPE]?)$/;

/** For a value that is neither a text nor a whole number. */
export const QUANTITY_ADVICE = 'must be a quantity such as "3Mi", or a whole number of bytes such as 3145728';

export type QuantityResult =
  { readonly ok: true; readonly bytes: bigint } | { readonly ok: false; readonly problem: string };

const refuse = (problem: string): QuantityResult => ({ ok: false, problem });

/**
 * Reads a quantity as Kubernetes does (apimachinery resource.Quantity: `3Mi`, `1.5Gi`, `3M` = 3,000,000, `1e6`, `2500m`) into whole bytes,
 * rounding fractions up. At most 20 characters; numbers must be non-negative safe integers. Never throws.
 */
export function parseQuantity(value: string | number): QuantityResult {
  if (typeof value === 'string') return parseText(value);
  if (!Number.isSafeInteger(value) || value < 0)
    return refuse('must be a whole number of bytes, such as 3145728');
  return { ok: true, bytes: BigInt(value) };
}

function parseText(text: string): QuantityResult {
  if (text.length > QUANTITY_MAX_LENGTH) return refuse(`must have at most ${QUANTITY_MAX_LENGTH} characters`);
  const match = QUANTITY_PATTERN.exec(text);
  if (match === null) return refuse(quantityAdvice(text));
  const [, number = '', suffix = ''] = match;
  const [whole = '', fraction = ''] = number.split('.');
  const digits = BigInt(whole + fraction) * (BINARY_SUFFIX[suffix] ?? 1n);
  return { ok: true, bytes: scaled(digits, powerOfTen(suffix) - fraction.length) };
}

function powerOfTen(suffix: string): number {
  return DECIMAL_SUFFIX[suffix] ?? (/^[eE][+-]?\d/.test(suffix) ? Number(suffix.slice(1)) : 0);
}

/** value × 10^power, rounded up. */
function scaled(value: bigint, power: number): bigint {
  if (power >= 0) return value * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (value + divisor - 1n) / divisor;
}

function quantityAdvice(value: string): string {
  const bytes = /^(\d+(?:\.\d+)?) *([kKMGT])i?[bB]$/.exec(value);
  if (bytes !== null) return `is not a quantity: write "${bytes[1] ?? ''}${(bytes[2] ?? '').toUpperCase()}i"`;
  if (/^-/.test(value)) return 'must not be negative';
  return 'is not a quantity: write a number with Ki, Mi or Gi, such as "3Mi"';
}

/** Bytes as the shortest exact binary quantity: 3145728 → "3Mi", 3145729 → "3145729". */
export function printQuantity(bytes: number | bigint): string {
  const value = BigInt(bytes);
  const fitting = Object.entries(BINARY_SUFFIX)
    .reverse()
    .find(([, unit]) => value >= unit && value % unit === 0n);
  return fitting === undefined ? value.toString() : `${(value / fitting[1]).toString()}${fitting[0]}`;
}

/** Bytes for people, rounded to one decimal: 2797568 → "2.7 MiB". */
export function printSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}
