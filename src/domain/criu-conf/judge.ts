// What CRIU 4.2.1 does with a configuration file that a container runtime names: take it or refuse it, and which options are in force then.
// Byte by byte as the C code does it, slips included; never reads the file itself, never proposes edits.

import { toByteString } from './bytes.ts';
import type { ConfFindingCode } from './finding-codes.ts';
import { readOptions } from './getopt.ts';
import type { FoundOption, GetoptEvent } from './getopt.ts';
import { existsEverywhere } from './host-paths.ts';
import type { DirectoryExists } from './host-paths.ts';
import { lexCriuConf, splitLines } from './lex.ts';
import type { Lexed } from './lex.ts';
import { checkOptionValue } from './option-values.ts';
import { checkSetup, refusesAtOnce } from './setup-checks.ts';
import { getoptRefusal, lexRefusal, valueRefusal } from './refusal-messages.ts';
import type { Refusal } from './refusal-messages.ts';
import { nulRemarks, optionRemarks, strayRemark, wordRemark } from './remarks.ts';
import type { Remark } from './remarks.ts';
import { parseCriuSize } from './size.ts';
import type { CriuOption } from './options.ts';

export interface ConfFinding {
  /** 1-based */
  readonly line: number;
  readonly code: ConfFindingCode;
  readonly message: string;
}

export interface ResolvedOption {
  /** the full long name, whatever short form the file has */
  readonly name: string;
  /** the value as bytes, one character each; null: none */
  readonly value: string | null;
  /** 1-based line of the statement */
  readonly line: number;
}

export interface ConfJudgement {
  readonly verdict: 'Accepted' | 'Refused';
  /** the limit that the file sets, 0..2^64-1 bytes (the last line wins); null: it sets none, or it is refused */
  readonly ghostLimitBytes: bigint | null;
  /** 1-based line of the statement that set ghostLimitBytes */
  readonly ghostLimitLine: number | null;
  /** the statement that makes CRIU refuse the file; null: accepted */
  readonly refusal: ConfFinding | null;
  /** switches that the file sets, by their name without `no-`, as they stand at its end; empty when refused */
  readonly booleans: ReadonlyMap<string, boolean>;
  /** every option as CRIU resolved it, in order; when refused: those before the refusal */
  readonly options: readonly ResolvedOption[];
  /** remarks in the order of the lines, the refusal among them */
  readonly findings: readonly ConfFinding[];
}

interface Reading {
  readonly found: readonly FoundOption[];
  readonly remarks: readonly Remark[];
  readonly refusal: Refusal | null;
}

/** Why CRIU stops at this option; null: it goes on. */
function refusalOf(event: GetoptEvent, rawLine: string, directoryExists: DirectoryExists): Refusal | null {
  switch (event.kind) {
    case 'IgnoredWord':
    case 'OptionsEnd':
      return null;
    case 'Option': {
      const reason = checkOptionValue(event.option, event.value, directoryExists);
      return reason === null
        ? refusesAtOnce(event)
        : valueRefusal(event.line, event.option.name, event.value ?? '', reason);
    }
    default:
      return getoptRefusal(event, rawLine);
  }
}

function read(lexed: Lexed, lines: readonly string[], directoryExists: DirectoryExists): Reading {
  const found: FoundOption[] = [];
  const remarks: Remark[] = [...nulRemarks(lines), ...lexed.strayLines.map(strayRemark)];
  for (const event of readOptions(lexed.words)) {
    const rawLine = lines[event.word.line - 1] ?? '';
    const refusal = refusalOf(event, rawLine, directoryExists);
    if (refusal) return { found, remarks, refusal };
    if (event.kind === 'Option') {
      found.push(event);
      remarks.push(...optionRemarks(event, rawLine));
    } else if (event.kind === 'IgnoredWord' || event.kind === 'OptionsEnd') {
      remarks.push(wordRemark(event));
    }
  }
  return { found, remarks, refusal: checkSetup(found, directoryExists) };
}

/** leave-stopped and leave-running are two values of one setting; elsewhere names that set the same int are one setting. */
function settingOf({ name, flag }: CriuOption): string {
  return name.startsWith('leave-') ? 'final_state' : (flag ?? name);
}

function isOff({ flag, value }: CriuOption): boolean {
  return flag !== null && value === 0;
}

/** Switches by name; getopt's own ints and those that parse_options() sets alike. The last one of a setting decides. */
function booleansOf(found: readonly FoundOption[]): Map<string, boolean> {
  const switches = found
    .map(({ option }) => option)
    .filter(({ kind, name }) => kind === 'boolean' || name === 'ext-unix-sk');
  const last = new Map(switches.map((option) => [settingOf(option), option]));
  return new Map(
    switches.map((option) => {
      const decides = last.get(settingOf(option)) ?? option;
      const name = isOff(option) ? option.name.slice('no-'.length) : option.name;
      const isOn = option.flag === null ? decides === option : !isOff(decides);
      return [name, isOn];
    }),
  );
}

function byLine(findings: readonly ConfFinding[]): ConfFinding[] {
  return findings.toSorted((left, right) => left.line - right.line);
}

function refused(refusal: Refusal, found: readonly FoundOption[], remarks: readonly Remark[]): ConfJudgement {
  return {
    verdict: 'Refused',
    ghostLimitBytes: null,
    ghostLimitLine: null,
    refusal,
    booleans: new Map(),
    options: found.map(toResolved),
    findings: byLine([...remarks, refusal]),
  };
}

function toResolved({ option, value, line }: FoundOption): ResolvedOption {
  return { name: option.name, value, line };
}

/**
 * Judges the bytes of a file as CRIU 4.2.1 does when runc names the file in a dump request. Never throws.
 * `directoryExists` tells of the host whose file it is; without it only directories that every host has are taken to exist.
 * Accepted says that CRIU goes on to dump, not that the dump succeeds: a finding says so where an option can make it fail.
 * Where CRIU's own memory errors decide, the answer is what it was whenever that was tried, with a code that says so; Refused where it varied.
 * Source: CRIU 4.2.1 criu/config.c and criu/cr-service.c; measured: test/fixtures/criu-conf.
 */
export function judgeCriuConf(
  bytes: Uint8Array,
  directoryExists: DirectoryExists = existsEverywhere,
): ConfJudgement {
  const lines = splitLines(toByteString(bytes));
  const lexed = lexCriuConf(lines);
  if (lexed.stop) return refused(lexRefusal(lexed.stop, lines[lexed.stop.line - 1] ?? ''), [], []);
  const { found, remarks, refusal } = read(lexed, lines, directoryExists);
  if (refusal) return refused(refusal, found, remarks);
  const limit = found.findLast(({ option }) => option.name === 'ghost-limit');
  return {
    verdict: 'Accepted',
    ghostLimitBytes: limit ? parseCriuSize(limit.value ?? '') : null,
    ghostLimitLine: limit?.line ?? null,
    refusal: null,
    booleans: booleansOf(found),
    options: found.map(toResolved),
    findings: byLine([...remarks, ...overriddenLimits(found)]),
  };
}

function overriddenLimits(found: readonly FoundOption[]): Remark[] {
  const limits = found.filter(({ option }) => option.name === 'ghost-limit');
  const last = limits.at(-1);
  return limits.slice(0, -1).map(({ line }) => ({
    line,
    code: 'OverriddenLine',
    message: `line ${last?.line ?? line} sets the limit again; the last line counts`,
  }));
}
