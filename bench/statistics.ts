// Medians and ratios of measured values. Timing is printed, never asserted.

export function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

export function summary(values: readonly number[], unit: string): string {
  return `p50 ${quantile(values, 0.5).toFixed(1)} ${unit}, p99 ${quantile(values, 0.99).toFixed(1)} ${unit}, ${values.length.toString()} runs`;
}

export interface Pair {
  readonly otherMs: number;
  readonly oursMs: number;
}

/** Ours against the other, pair by pair: the median difference and the median ratio. */
export function comparison(pairs: readonly Pair[]): string {
  const difference = quantile(
    pairs.map(({ otherMs, oursMs }) => oursMs - otherMs),
    0.5,
  );
  const ratio = quantile(
    pairs.map(({ otherMs, oursMs }) => oursMs / otherMs),
    0.5,
  );
  return `difference p50 ${difference.toFixed(1)} ms, ratio p50 ${ratio.toFixed(3)}`;
}
