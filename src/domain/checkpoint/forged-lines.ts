// Tells CRIU's own log lines from those that a container wrote into the log by a newline in a file name. Pure.
//
// What gives a forger away: CRIU's times never go back, a name does not know when it will be printed, and CRIU prints a name more than once. A container that knows the
// host's timing well may still get a line through: the log explains, and decides about nothing.
import type { DumpLogLine } from './dump-log.ts';

/** The only words that CRIU's code inside the container puts into the log as an error without a time and that tell anything (measured, CRIU 4.2.1). */
const PARASITE_ERROR = /^pie: \d+: Error .*: send_fds failed \(-\d+\)$/;
const PARASITE = /^pie: \d+: /;

/** CRIU's lines in their order. What is not one is part of the message before it, after a newline. */
export function withoutForgedLines(lines: readonly DumpLogLine[]): DumpLogLine[] {
  const counts = new Map<string, number>();
  for (const { text } of lines) counts.set(text, (counts.get(text) ?? 0) + 1);
  const timed = lines.flatMap((line) =>
    line.timeSeconds !== null && counts.get(line.text) === 1 ? [{ line, time: line.timeSeconds }] : [],
  );
  const genuine = inOrderOfTime(timed);
  const own: DumpLogLine[] = [];
  for (const line of lines) {
    const before = own.at(-1);
    if (before === undefined || genuine.has(line) || isParasites(line)) own.push(line);
    else own[own.length - 1] = { ...before, message: `${before.message}\n${line.text}` };
  }
  return own;
}

function isParasites({ text, level, timeSeconds }: DumpLogLine): boolean {
  return timeSeconds === null && PARASITE.test(text) && (level !== 'Error' || PARASITE_ERROR.test(text));
}

interface TimedLine {
  readonly line: DumpLogLine;
  readonly time: number;
}

/** The most lines that can be kept so that no time is before an earlier one: patience sorting. */
function inOrderOfTime(timed: readonly TimedLine[]): ReadonlySet<DumpLogLine> {
  // ends[n]: of the orderly choices of n + 1 lines so far, the last line of the one that ends earliest in time.
  const ends: Link[] = [];
  for (const { line, time } of timed) {
    const at = placeOf(time, ends);
    ends[at] = { line, time, before: ends[at - 1] ?? null };
  }
  const kept = new Set<DumpLogLine>();
  for (let link = ends.at(-1) ?? null; link !== null; link = link.before) kept.add(link.line);
  return kept;
}

interface Link extends TimedLine {
  readonly before: Link | null;
}

/** The first of `ends` that is later than `time`. */
function placeOf(time: number, ends: readonly Link[]): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle]?.time ?? Infinity) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
