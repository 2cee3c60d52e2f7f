// How long a dump makes a container stand still: predicted from its memory and from what dumps of this node took. Pure; who remembers the measurements is elsewhere.

const GIB = 2 ** 30;

/** What even an empty container stands still, seconds. */
const BASE_SECONDS = 0.01;
/** So many measurements count; the median of them cannot be moved by two that are off. */
const COUNTED = 5;
/** A smaller container tells more about how long a runtime takes to start than about memory. */
const TELLING_BYTES = 64 * 2 ** 20;
const LOWEST_RATE = 0.05;
const HIGHEST_RATE = 120;

/**
 * Runtimes that pack the image while the container stands still (measured: 600 MB took 2.4 s through containerd 2.1), against 1 s/GiB where CRIU only writes it.
 * A kubelet goes through such a runtime.
 */
const PACKING_RUNTIMES: ReadonlySet<string> = new Set(['containerd', 'cri', 'crio', 'kubelet']);
const PACKING_RATE = 5;
const PLAIN_RATE = 1;

/** Seconds per GiB of resident memory, oldest first, at most five. */
export type MeasuredRates = readonly number[];

/** Seconds per GiB by which the next pause is predicted: the median of the last five measurements, the starting value standing for those not yet made. */
export function pauseRate(runtimeName: string, measured: MeasuredRates): number {
  const start = PACKING_RUNTIMES.has(runtimeName) ? PACKING_RATE : PLAIN_RATE;
  const counted = measured.slice(-COUNTED).map(bounded);
  const all = [...counted, ...Array.from({ length: COUNTED - counted.length }, () => start)];
  return all.sort((one, other) => one - other)[Math.floor(COUNTED / 2)] ?? start;
}

/** What is remembered after a dump that worked. The time of the whole call counts for the pause: for runtimes that do more than pausing, the prediction is too long rather than too short. */
export function learnPause(measured: MeasuredRates, residentBytes: number, seconds: number): MeasuredRates {
  if (residentBytes < TELLING_BYTES || !(seconds >= 0)) return measured;
  const rate = bounded((Math.max(0, seconds - BASE_SECONDS) * GIB) / residentBytes);
  return [...measured, rate].slice(-COUNTED);
}

/** Seconds. */
export function predictPause(residentBytes: number, rate: number): number {
  return BASE_SECONDS + (residentBytes / GIB) * rate;
}

function bounded(rate: number): number {
  return Math.min(HIGHEST_RATE, Math.max(LOWEST_RATE, rate));
}
