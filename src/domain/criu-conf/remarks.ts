// Remarks on what CRIU accepts: limits that are not what their author thinks, words it ignores, options that endanger the node.

import { cString, escapeBytes } from './bytes.ts';
import { FINDING_CODES } from './finding-codes.ts';
import type { ConfFindingCode } from './finding-codes.ts';
import type { FoundOption, GetoptEvent, Word } from './getopt.ts';
import { parseCriuSize, parseLong, sizeSuffix } from './size.ts';
import { suggestLine } from './suggest-line.ts';

export interface Remark {
  readonly line: number;
  readonly code: ConfFindingCode;
  readonly message: string;
}

const DEFAULT_LIMIT_BYTES = 1n << 20n;
const LARGEST_SHIFTED = { K: 1n << 54n, M: 1n << 44n, G: 1n << 34n } as const;

function isWrapped(value: string): boolean {
  const number = parseLong(value);
  const suffix = sizeSuffix(value);
  if (number < 0n || number === (1n << 63n) - 1n) return true;
  return suffix !== null && number >= LARGEST_SHIFTED[suffix];
}

function limitShape(value: string): ConfFindingCode | null {
  if (isWrapped(value)) return 'WrappedLimit';
  if (!/^[ \t\n\v\f\r]*[+-]?[0-9]/.test(value)) return 'ValueNotNumber';
  const rest = value.replace(/^[ \t\n\v\f\r]*[+-]?[0-9]+/, '');
  if (/^[kmg]i?b?[\r ]*$/.test(rest)) return 'LowerCaseSuffix';
  return /^(?:[KMG]i?B?)?[\r ]*$/.test(rest) ? null : 'TrailingTextIgnored';
}

function limitSize(limitBytes: bigint): ConfFindingCode | null {
  if (limitBytes === 0n) return 'ZeroLimit';
  return limitBytes < DEFAULT_LIMIT_BYTES ? 'BelowDefault' : null;
}

/** Remarks on one ghost-limit statement: what it gives in bytes and why that may not be what is written. */
export function limitRemarks(found: FoundOption, rawLine: string): Remark[] {
  const value = found.value ?? '';
  const limitBytes = parseCriuSize(value);
  const right = suggestLine(rawLine);
  const hint = right === null || right === rawLine.trim() ? '' : ` You may have meant: ${escapeBytes(right)}`;
  const codes = [limitShape(value), limitSize(limitBytes)].filter((code) => code !== null);
  return codes.map((code) => ({
    line: found.line,
    code,
    message: `"${escapeBytes(value)}" gives a limit of ${limitBytes} bytes. ${FINDING_CODES[code].sentence}${hint}`,
  }));
}

/** Options that CRIU takes from the file and then does not use on a dump through a runtime. */
const WITHOUT_EFFECT = new Set(['config', 'no-default-config', 'tree', 'exec-cmd', 'verbosity', 'feature']);

function optionRemark(found: FoundOption, code: ConfFindingCode): Remark {
  const { name } = found.option;
  const written = found.value === null ? name : `${name} ${found.value}`;
  return { line: found.line, code, message: `"${escapeBytes(written)}": ${FINDING_CODES[code].sentence}` };
}

function isAbbreviated({ word, option }: FoundOption): boolean {
  if (!word.text.startsWith('--')) return false;
  return word.text.slice(2) !== option.name && !word.text.startsWith(`--${option.name}=`);
}

/** Remarks on one option that CRIU took. */
export function optionRemarks(found: FoundOption, rawLine: string): Remark[] {
  const codes: ConfFindingCode[] = [];
  if (found.option.danger !== null) codes.push(found.option.danger);
  if (WITHOUT_EFFECT.has(found.option.name)) codes.push('NoEffect');
  if (isAbbreviated(found)) codes.push('AbbreviatedOption');
  if (found.word.role === 'Value') codes.push('OptionInValue');
  if (found.tookNextLine) codes.push('ValueFromNextLine');
  const limits = found.option.name === 'ghost-limit' ? limitRemarks(found, rawLine) : [];
  return [...limits, ...codes.map((code) => optionRemark(found, code))];
}

/** A remark on a word that is no option. */
export function wordRemark(event: Extract<GetoptEvent, { kind: 'IgnoredWord' | 'OptionsEnd' }>): Remark {
  const { word } = event;
  if (event.kind === 'IgnoredWord') return wordFinding(word, 'IgnoredWord', '');
  return wordFinding(
    word,
    'OptionsEnd',
    event.ignoredWords === 0 ? ' (here nothing follows)' : ` (${event.ignoredWords} words)`,
  );
}

function wordFinding(word: Word, code: ConfFindingCode, addition: string): Remark {
  return {
    line: word.line,
    code,
    message: `"${escapeBytes(word.text)}": ${FINDING_CODES[code].sentence}${addition}`,
  };
}

/** Remarks on lines in which CRIU stops at a NUL byte; comments and blank lines lose nothing. */
export function nulRemarks(lines: readonly string[]): Remark[] {
  return lines.flatMap((rawLine, index) => {
    const seen = cString(rawLine);
    if (seen === rawLine || /^[ \t\v\f\r]*#/.test(seen)) return [];
    return [
      {
        line: index + 1,
        code: 'CutAtNul',
        message: `"${escapeBytes(rawLine)}": ${FINDING_CODES.CutAtNul.sentence}`,
      },
    ];
  });
}

/** A remark on a line at which CRIU reads memory behind the value. */
export function strayRemark(line: number): Remark {
  return { line, code: 'StrayRead', message: FINDING_CODES.StrayRead.sentence };
}
