// Decides which sizes of deleted files to hold, so that the first one that CRIU refuses tells the limit. Pure.

/** A limit known only by what passed and what failed: at least `low`, below `high` (null: no file was refused). */
export interface LimitInterval {
  lowBytes: number;
  highBytes: number | null;
}

/** Sizes that a file can be given: whole blocks of the oracle's disk. */
export const GRAIN_BYTES = 1024;
/** Limits from here on are only told to be "at least" this. */
export const TOP_BYTES = 64 * 1024 ** 3;
/** Files that the container holds, and the sum of their sizes that fits the oracle's disk. */
export const RUNGS = 256;
const CAPACITY_BYTES = 480 * 1024 ** 3;
/** Even rungs of large sizes take long to make, and a guess finds most limits. */
const EVEN_BYTES = 16 * 1024 ** 3;
const GUESSED_RUNGS = 160;

const floorToGrain = (bytes: number): number => Math.floor(bytes / GRAIN_BYTES) * GRAIN_BYTES;

/**
 * Byte counts that the numbers in a file may stand for: each as it is and times 1024, 1024^2, 1024^3. A wrong guess
 * costs only time, as CRIU's answer decides.
 */
export function guessLimits(bytes: Uint8Array): number[] {
  const numbers =
    Buffer.from(bytes)
      .toString('latin1')
      .match(/\d{1,12}/g) ?? [];
  const guesses = numbers.flatMap((digits) => [0, 1, 2, 3].map((power) => Number(digits) * 1024 ** power));
  return [...new Set(guesses)].filter((guess) => guess > 0 && guess < TOP_BYTES / 4);
}

/** The sizes round each guess that, passed and refused, prove it; the most frequent guesses first. */
function guessedRungs(guesses: readonly number[]): number[] {
  const counts = new Map<number, number>();
  for (const guess of guesses) {
    const rung = floorToGrain(guess);
    counts.set(rung, (counts.get(rung) ?? 0) + 1);
  }
  const byCount = [...counts].sort(([, a], [, b]) => b - a).map(([rung]) => rung);
  return byCount.slice(0, GUESSED_RUNGS / 2).flatMap((rung) => [rung, rung + GRAIN_BYTES]);
}

/** Two sizes for each doubling from one block to the top. */
function geometricRungs(): number[] {
  const octaves = Math.log2(TOP_BYTES / GRAIN_BYTES);
  return Array.from({ length: 2 * octaves + 1 }, (_, step) => floorToGrain(GRAIN_BYTES * 2 ** (step / 2)));
}

function evenRungs(lowBytes: number, highBytes: number): number[] {
  const most = Math.min(RUNGS - GUESSED_RUNGS, Math.ceil(EVEN_BYTES / highBytes));
  const step = (highBytes - lowBytes) / (Math.max(most, 1) + 1);
  return Array.from({ length: Math.max(most, 1) }, (_, index) => floorToGrain(lowBytes + step * (index + 1)));
}

/** At most RUNGS sizes inside the interval, rising, that narrow it; empty when it cannot be narrowed. */
export function planRungs({ lowBytes, highBytes }: LimitInterval, guesses: readonly number[]): number[] {
  const spread = highBytes === null ? geometricRungs() : evenRungs(lowBytes, highBytes);
  const isInside = (rung: number): boolean => rung > lowBytes && (highBytes === null || rung < highBytes);
  let sum = 0;
  const fitting = [...spread, ...guessedRungs(guesses)].filter((rung) => {
    if (!isInside(rung) || sum + rung > CAPACITY_BYTES) return false;
    sum += rung;
    return true;
  });
  return [...new Set(fitting)].sort((a, b) => a - b).slice(0, RUNGS);
}
