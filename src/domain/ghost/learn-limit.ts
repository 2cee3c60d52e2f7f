// The limit of an `auto` target from what its containers were seen to hold. Pure.
import type { PlanAutoLimit } from '../../api/checkpoint-plan.ts';

const MEBIBYTE = 2 ** 20;

/** Learned limits are whole multiples of this, so that they seldom move: 1 MiB, from 64 MiB on a 64th of the power of two below `bytes`. */
export function learningStepBytes(bytes: number): number {
  return Math.max(MEBIBYTE, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 6));
}

/**
 * Requirement plus headroom, rounded up to a step, inside the bounds. `requiredBytes` is the largest ghost file seen (0: none); what other nodes learned counts as a floor.
 * The result is a whole number of bytes in [minimumBytes, maximumBytes]; a requirement over maximumBytes gives maximumBytes: the caller says that it does not suffice.
 */
export function learnLimit(auto: PlanAutoLimit, requiredBytes: number): number {
  const wanted = Math.ceil((requiredBytes * (100 + auto.headroomPercent)) / 100);
  const step = learningStepBytes(wanted);
  const rounded = Math.ceil(wanted / step) * step;
  const floor = Math.max(auto.minimumBytes, auto.learnedLimitBytes ?? 0);
  return Math.min(auto.maximumBytes, Math.max(floor, rounded));
}
