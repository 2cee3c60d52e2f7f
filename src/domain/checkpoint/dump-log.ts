// Reads CRIU's dump.log: lines, levels, outcome, which configuration files were read. Never says what a message means (dump-failures.ts).
//
// Trust: a log holds names chosen by the container, and a file name may contain a newline. Any line but the engine's own
// can therefore be forged by a hostile container (forged-lines.ts finds most). What is read here is good for explaining, never for deciding about limits.

export type DumpLogLevel = 'Error' | 'Warn' | 'Info';

export interface DumpLogLine {
  /** Seconds since CRIU opened the log; null: the line has no time (parasite, continuation of a line before). */
  readonly timeSeconds: number | null;
  /** Info covers CRIU's info and debug levels, which look the same. */
  readonly level: DumpLogLevel;
  /** Base name of CRIU's source file, e.g. "files-reg.c"; builds may print an absolute path. null for Info. */
  readonly sourceFile: string | null;
  /** Without time, level and source, but with the prefix of the module ("inet: "). */
  readonly message: string;
  /** The whole line as it stands in the log. */
  readonly text: string;
}

export interface DumpLog {
  readonly lines: readonly DumpLogLine[];
  /** e.g. "4.2.1"; null: the line is missing. */
  readonly criuVersion: string | null;
  /** Configuration files that CRIU opened, in its order. An announced file that was missing is not among them. */
  readonly configFilesRead: readonly string[];
  /** Incomplete: CRIU was killed, or stopped before it began (options, kernel features), or the log is cut. */
  readonly outcome: 'Succeeded' | 'Failed' | 'Incomplete';
}

// CRIU 4.2 criu/log.c: 12 bytes of time at the levels that runtimes ask for; criu/include/log.h: "Error (%s:%d): ", "Warn  (%s:%d): ".
const LINE = /^(?:\((\d+\.\d+)\) )?(?:pie: \d+: )?(Error|Warn) +\([^():]*?([^/():]+):\d+\): (.*)$/;
const TIMED = /^\((\d+\.\d+)\) (.*)$/;

/** Parses one line; never fails: what is not an error or a warning is Info. */
export function parseDumpLogLine(text: string): DumpLogLine {
  const match = LINE.exec(text);
  if (match !== null) {
    const [, time, level, sourceFile, message] = match;
    return {
      timeSeconds: time === undefined ? null : Number(time),
      level: level === 'Error' ? 'Error' : 'Warn',
      sourceFile: sourceFile ?? null,
      message: message ?? '',
      text,
    };
  }
  const timed = TIMED.exec(text);
  return {
    timeSeconds: timed === null ? null : Number(timed[1]),
    level: 'Info',
    sourceFile: null,
    message: timed?.[2] ?? text,
    text,
  };
}

/** Parses a whole dump.log, complete or cut anywhere. */
export function parseDumpLog(text: string): DumpLog {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseDumpLogLine);
  return {
    lines,
    criuVersion: firstGroup(headOf(lines), /^Version: (\S+)/),
    configFilesRead: headOf(lines).flatMap((line) => {
      const path = /^Parsing config file (.+)$/.exec(line.message)?.[1];
      return path === undefined ? [] : [path];
    }),
    outcome: outcomeOf(lines),
  };
}

// Errors that CRIU prints in dumps that go well (measured: CRIU 4.2.1).
const HARMLESS = [/^rlimit: Can't setup RLIMIT_NOFILE for self/, /^trim failed: @.*link_remap\.\d+@$/];

// Errors that only say that a step failed; the cause stands before them.
const WRAPPERS = [
  /^Dumping FAILED\.$/,
  /^Dump files \(pid: \d+\) failed with /,
  /^Dump (?:mappings|core|fs|ids|eventpoll)\b.* failed with /,
  /^Collect (?:mappings|fds)\b.* failed with /,
  /^Can't infect \(pid: \d+\) with parasite/,
  /^Can't open \d+'s mapfile link /,
  /^Can't retrieve FDs from socket/,
  /^Can't make \w+ns id$/,
  /^Message reply from daemon is trimmed /,
];

export interface TellingError {
  readonly line: DumpLogLine;
  /** Up to eight lines that stand before it, oldest first. */
  readonly before: readonly DumpLogLine[];
}

/**
 * The error lines that can tell why the dump failed, the most telling first: the last one that is neither harmless nor only
 * says that a step failed (CRIU stops at the first fatal problem, but harmless errors come before it), then those that stand
 * directly before it: some failures take two lines. A log with nothing else gives its last failed step. Empty: no error line.
 */
export function findTellingErrors(lines: readonly DumpLogLine[]): readonly TellingError[] {
  const serious = lines.flatMap((line, index) =>
    line.level === 'Error' && !matchesAny(HARMLESS, line.message) ? [{ line, index }] : [],
  );
  const last =
    serious.findLast(({ line }) => !matchesAny(WRAPPERS, line.message)) ??
    serious.findLast(({ line }) => line.message !== 'Dumping FAILED.') ??
    serious.at(-1);
  if (last === undefined) return [];
  const firstIndex = lines.findLastIndex((line, index) => index < last.index && line.level !== 'Error') + 1;
  return serious
    .filter(({ index }) => index >= firstIndex && index <= last.index)
    .reverse()
    .map(({ line, index }) => ({ line, before: lines.slice(Math.max(0, index - 8), index) }));
}

function matchesAny(patterns: readonly RegExp[], message: string): boolean {
  return patterns.some((pattern) => pattern.test(message));
}

// Version and configuration lines come before CRIU looks at the container: later ones are not CRIU's.
function headOf(lines: readonly DumpLogLine[]): readonly DumpLogLine[] {
  const end = lines.findIndex((line) => line.message.startsWith('Dumping processes (pid:'));
  return end < 0 ? lines : lines.slice(0, end);
}

function firstGroup(lines: readonly DumpLogLine[], pattern: RegExp): string | null {
  for (const line of lines) {
    const group = pattern.exec(line.message)?.[1];
    if (group !== undefined) return group;
  }
  return null;
}

function outcomeOf(lines: readonly DumpLogLine[]): DumpLog['outcome'] {
  const last = lines.findLast(
    (line) => line.message === 'Dumping finished successfully' || line.message === 'Dumping FAILED.',
  );
  if (last === undefined) return 'Incomplete';
  return last.level === 'Error' ? 'Failed' : 'Succeeded';
}
