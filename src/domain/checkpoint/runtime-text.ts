// Takes apart what a runtime printed when a checkpoint failed: its own statements, and the lines of CRIU's log that it quotes.
import type { DumpLogLine } from './dump-log.ts';

export interface RuntimeText {
  /** What the runtime says itself, unquoted, one statement a line; quoted log lines are left out: they hold names chosen by the container. */
  readonly statements: readonly string[];
  /** CRIU's error lines among the quoted ones, in their order. */
  readonly quotedErrors: readonly DumpLogLine[];
}

// As in dump-log.ts, but anywhere in a line: runtimes put a line number or their own words before it.
const QUOTED_ERROR = /(?:\((\d+\.\d+)\) )?(?:pie: \d+: )?Error +\([^():]*?([^/():]+):\d+\): (.*)$/;

// crun 1.27 and newer: src/libcrun/criu.c (recorded: test/fixtures/dump-logs/runtime-text/crun-ghost.txt).
const EXCERPT_BEGIN = /^--- excerpt from CRIU log /;
const EXCERPT_END = '--- end of excerpt';

/**
 * Understands the forms of runc up to 1.1 and from 1.2 (logrus text or JSON, excerpts numbered and at level warning),
 * crun (raw excerpt between two marks), and of the engines that pass them on in a sentence of their own. Never fails.
 */
export function parseRuntimeText(text: string): RuntimeText {
  const statements: string[] = [];
  const quotedErrors: DumpLogLine[] = [];
  let inExcerpt = false;
  for (const raw of text.split('\n')) {
    if (EXCERPT_BEGIN.test(raw)) inExcerpt = true;
    const { level, message } = parseLogrus(raw);
    const error = parseQuotedError(message);
    if (error !== null) quotedErrors.push(error);
    else if (!inExcerpt && level !== 'warning' && raw.trim() !== '') statements.push(message);
    if (raw === EXCERPT_END) inExcerpt = false;
  }
  return { statements, quotedErrors };
}

function parseQuotedError(text: string): DumpLogLine | null {
  const match = QUOTED_ERROR.exec(text.replaceAll('\n', ' '));
  if (match === null) return null;
  const [whole, time, sourceFile, message] = match;
  return {
    timeSeconds: time === undefined ? null : Number(time),
    level: 'Error',
    sourceFile: sourceFile ?? null,
    message: message ?? '',
    text: whole,
  };
}

interface LogrusLine {
  /** null: not a line of logrus. */
  readonly level: string | null;
  readonly message: string;
}

const LOGRUS_TEXT = /^time="?[^" ]+"? level=(\w+) msg=(?:"((?:[^"\\]|\\.)*)"|(\S*))/;

function parseLogrus(line: string): LogrusLine {
  if (line.startsWith('{')) return parseLogrusJson(line) ?? { level: null, message: line };
  const match = LOGRUS_TEXT.exec(line);
  if (match === null) return { level: null, message: line };
  const [, level, quoted, bare] = match;
  return { level: level ?? null, message: quoted === undefined ? (bare ?? '') : unquoteGo(quoted) };
}

function parseLogrusJson(line: string): LogrusLine | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('msg' in value) || typeof value.msg !== 'string')
    return null;
  return {
    level: 'level' in value && typeof value.level === 'string' ? value.level : null,
    message: value.msg,
  };
}

const GO_ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' };

// Go's strconv.Quote, which logrus uses.
function unquoteGo(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))/g,
    (whole, ...groups: (string | undefined)[]) => {
      const [x, u, short] = groups;
      const hex = x ?? u;
      return hex === undefined
        ? (GO_ESCAPES[short ?? ''] ?? whole)
        : String.fromCharCode(Number.parseInt(hex, 16));
    },
  );
}
