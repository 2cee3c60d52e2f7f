// How bad input is told: the field, the value, what to do. Used for every zod-checked input.
import type { z } from 'zod';
import { printable } from './printable.ts';

export interface FieldProblem {
  /** As a user writes it: spec.targets[0].ghostLimit.fixed. Empty: the whole document. */
  readonly field: string;
  /** One line, safe to show. */
  readonly message: string;
}

const PLAIN_KEY = /^[\w./-]+$/;
const VALUE_MAX_LENGTH = 80;

export function printFieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`;
      const text = String(key);
      if (!PLAIN_KEY.test(text)) return `["${printable(text, VALUE_MAX_LENGTH)}"]`;
      return index === 0 ? text : `.${text}`;
    })
    .join('');
}

/** One problem per issue that zod found in `input`, each with the value that was there. `input` is plain data (plain-data.ts). */
export function fieldProblems(error: z.ZodError, input: unknown): FieldProblem[] {
  return error.issues
    .filter((issue) => !isToldByAnother(issue, error.issues))
    .map((issue) => problemOf(issue, input));
}

/** A text that is too long misses its pattern too, and the pattern's message says all. */
function isToldByAnother(issue: Issue, issues: readonly Issue[]): boolean {
  if (issue.code !== 'too_small' && issue.code !== 'too_big') return false;
  const field = printFieldPath(issue.path);
  return issues.some(({ code, path }) => code === 'invalid_format' && printFieldPath(path) === field);
}

type Issue = z.ZodError['issues'][number];

function problemOf(issue: Issue, input: unknown): FieldProblem {
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => `"${printable(key, VALUE_MAX_LENGTH)}"`).join(', ');
    return {
      field: printFieldPath(issue.path),
      message: `has the unknown field ${keys}: remove it or correct its name`,
    };
  }
  if (issue.code === 'invalid_key') {
    const message = `"${printable(String(issue.path.at(-1)), VALUE_MAX_LENGTH)}": ${issue.issues[0]?.message ?? issue.message}`;
    return { field: printFieldPath(issue.path.slice(0, -1)), message };
  }
  const value = valueAt(input, issue.path);
  const demand = demandOf(issue, value);
  const message = value === undefined ? `is missing: ${demand}` : `${printValue(value)}: ${demand}`;
  return { field: printFieldPath(issue.path), message };
}

/** What has to be there, in the words of a user; messages of our own schemas are such words already. */
function demandOf(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPE_WORDS[issue.expected] ?? issue.expected}${wayOut(issue.expected, value)}`;
    case 'invalid_value':
      return issue.message.startsWith('Invalid')
        ? `must be one of ${issue.values.map(String).join(', ')}`
        : issue.message;
    case 'too_small':
      return `must ${sizeWords(issue.origin, 'at least', issue.minimum)}`;
    case 'too_big':
      return `must ${sizeWords(issue.origin, 'at most', issue.maximum)}`;
    default:
      return issue.message;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/** How to write what was probably meant: YAML reads `true` and `5` as other types than text, and nothing after a colon as null. */
function wayOut(expected: string, value: unknown): string {
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `, written "${value}" with quotes`;
  if (value === null && (expected === 'object' || expected === 'record'))
    return ': write {} for one without fields';
  return '';
}

const COUNTED: Readonly<Record<string, string>> = { string: 'character', array: 'item' };

function sizeWords(origin: string, bound: string, size: number | bigint): string {
  const counted = COUNTED[origin];
  return counted === undefined
    ? `be ${bound} ${size.toString()}`
    : `have ${bound} ${size.toString()} ${counted}${size.toString() === '1' ? '' : 's'}`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    input,
  );
}

function printValue(value: unknown): string {
  if (typeof value === 'string') return `"${printable(value, VALUE_MAX_LENGTH)}"`;
  if (typeof value === 'number' || typeof value === 'bigint') return value.toString();
  return printable(JSON.stringify(value), VALUE_MAX_LENGTH);
}

export function printFieldProblem({ field, message }: FieldProblem): string {
  return field === '' ? message : `${field}: ${message}`;
}
