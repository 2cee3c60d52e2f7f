// Turns the failure of a checkpoint, as runtimes and CRIU word it, into a reason of the registry with a message and a hint.
import { printable } from '../../api/printable.ts';
import { REASONS } from '../../api/reasons.ts';
import type { ReasonCode } from '../../api/reasons.ts';
import { GHOST_LINE, NO_SPACE_LINE, matchDumpFailure, withoutModulePrefix } from './dump-failures.ts';
import { findTellingErrors, parseDumpLog } from './dump-log.ts';
import type { DumpLogLine } from './dump-log.ts';
import { withoutForgedLines } from './forged-lines.ts';
import { AFTER_DUMP_FAILURES, BEFORE_DUMP_FAILURES, matchRuntimeFailure } from './runtime-failures.ts';
import type { RuntimeFailure } from './runtime-failures.ts';
import { parseRuntimeText } from './runtime-text.ts';

export interface CheckpointFailure {
  /** The raw text of the runtime or engine, all lines. */
  readonly runtimeError: string;
  /** CRIU's dump.log, only if this very checkpoint wrote it; null otherwise. */
  readonly dumpLog: string | null;
  readonly timedOut: boolean;
}

export interface FailureVerdict {
  readonly reason: ReasonCode;
  /** What happened, with the file and the number where there are any; one line, escaped. */
  readonly message: string;
  /** What to do; one line. */
  readonly hint: string;
  /**
   * The deleted file that CRIU named, path raw as the container sees it. Only the first one over the limit is named, so the
   * bytes are at best a lower bound of the limit needed. And a container that goes to great lengths can forge log lines by
   * newlines in file names: show this, but set no limit from it; a scan has the true number.
   */
  readonly ghostFile: { readonly path: string; readonly bytes: number } | null;
  /** The line that decided, escaped; for Unclassified up to 20 last lines, joined by newlines. */
  readonly evidence: string;
}

/**
 * Classifies one failed checkpoint; never fails, at worst Unclassified. Order of trust: the clock, then statements that a
 * runtime can only make before CRIU opens its log, then the log (or the lines of it that the runtime quotes), then the rest.
 */
export function classifyFailure({ runtimeError, dumpLog, timedOut }: CheckpointFailure): FailureVerdict {
  const { statements, quotedErrors } = parseRuntimeText(runtimeError);
  const logLines = dumpLog === null ? [] : withoutForgedLines(parseDumpLog(dumpLog).lines);
  const lines = logLines.length > 0 ? logLines : quotedErrors;
  const all = [...statements, ...lines.map(({ text }) => text)];
  if (timedOut) return timedOutVerdict(all);
  return (
    earlyVerdict(statements) ??
    criuVerdict(lines, quotedErrors) ??
    lateVerdict(statements, logLines.length > 0) ??
    unclassified(statements, all)
  );
}

export interface GhostLimitAdvice {
  /** The limit that would do: the largest ghost file a scan found, or what CRIU named. */
  readonly requiredBytes: number;
  /** The CRIU file to change; null: not known. */
  readonly file: string | null;
  /** The line that sets the limit in force, from 1; null: none does, a line has to be added. */
  readonly line: number | null;
}

/** The hint for GhostLimitExceeded: which line of which file has to say what. CRIU refuses only what is larger than the limit. */
export function ghostLimitHint({ requiredBytes, file, line }: GhostLimitAdvice): string {
  const wanted = `"ghost-limit ${requiredBytes}"`;
  if (file === null)
    return `A ghost-limit of ${requiredBytes} bytes would do: set ghostLimit of a CheckpointPolicy, or ${wanted} in the CRIU file of the node.`;
  const where = printable(file, 256);
  return line === null
    ? `Set ghostLimit of a CheckpointPolicy to at least ${requiredBytes} bytes, or add the line ${wanted} to ${where}.`
    : `Set ghostLimit of a CheckpointPolicy to at least ${requiredBytes} bytes, or change line ${line} of ${where} to ${wanted}.`;
}

const LINE_LENGTH = 1024;

function timedOutVerdict(lines: readonly string[]): FailureVerdict {
  return {
    reason: 'TimedOut',
    message: REASONS.TimedOut.sentence,
    hint: REASONS.TimedOut.remedy,
    ghostFile: null,
    evidence: printable(lines.at(-1) ?? '', LINE_LENGTH),
  };
}

function earlyVerdict(statements: readonly string[]): FailureVerdict | null {
  const match = matchRuntimeFailure(BEFORE_DUMP_FAILURES, statements);
  return match === null ? null : statementVerdict(match.failure, match.statement);
}

function lateVerdict(statements: readonly string[], logWritten: boolean): FailureVerdict | null {
  const match = matchRuntimeFailure(AFTER_DUMP_FAILURES, statements);
  if (match === null) return null;
  // CRIU that got as far as its log did not stumble over its configuration: it was killed.
  if (match.failure.reason === 'ConfigInvalid' && logWritten) return null;
  return statementVerdict(match.failure, match.statement);
}

function statementVerdict({ reason, hint }: RuntimeFailure, statement: string): FailureVerdict {
  const said = printable(statement.trim(), LINE_LENGTH);
  return {
    reason,
    message: `${REASONS[reason].sentence} The runtime said: ${said}`,
    hint: hint ?? REASONS[reason].remedy,
    ghostFile: null,
    evidence: said,
  };
}

function criuVerdict(
  lines: readonly DumpLogLine[],
  quotedErrors: readonly DumpLogLine[],
): FailureVerdict | null {
  const own = findTellingErrors(lines);
  const candidates = own.length > 0 ? own : findTellingErrors(quotedErrors);
  const [first] = candidates;
  if (first === undefined) return null;
  // A full disk shows in one line and then in failures of every later step.
  const full = lines.find(
    ({ level, message }) => level === 'Error' && NO_SPACE_LINE.test(withoutModulePrefix(message)),
  );
  const telling = full === undefined ? candidates : [{ line: full, before: [] }];
  for (const { line, before } of telling) {
    const row = matchDumpFailure({ line, before });
    if (row !== null) return lineVerdict(row.reason, line);
  }
  return unclassified(
    [first.line.message],
    lines.map(({ text }) => text),
  );
}

function lineVerdict(reason: ReasonCode, line: DumpLogLine): FailureVerdict {
  const said = printable(withoutModulePrefix(line.message), LINE_LENGTH);
  const ghostFile = reason === 'GhostLimitExceeded' ? ghostFileOf(line) : null;
  return {
    reason,
    message:
      ghostFile === null
        ? `${REASONS[reason].sentence} CRIU said: ${said}`
        : `CRIU refused the deleted file ${printable(ghostFile.path, LINE_LENGTH)}: its ${ghostFile.bytes} bytes are more than the ghost-limit in force.`,
    hint: REASONS[reason].remedy,
    ghostFile,
    evidence: printable(line.text, LINE_LENGTH),
  };
}

function ghostFileOf(line: DumpLogLine): FailureVerdict['ghostFile'] {
  const match = GHOST_LINE.exec(withoutModulePrefix(line.message));
  const [, path, digits] = match ?? [];
  if (path === undefined || digits === undefined) return null;
  const bytes = Number(digits);
  // A number past 2^53 is no file size: forged.
  return Number.isSafeInteger(bytes) ? { path, bytes } : null;
}

function unclassified(statements: readonly string[], lines: readonly string[]): FailureVerdict {
  return {
    reason: 'Unclassified',
    message: `${REASONS.Unclassified.sentence} The last word was: ${printable(statements.at(-1)?.trim() ?? 'nothing', LINE_LENGTH)}`,
    hint: REASONS.Unclassified.remedy,
    ghostFile: null,
    evidence: lines
      .slice(-20)
      .map((line) => printable(line, LINE_LENGTH))
      .join('\n'),
  };
}
