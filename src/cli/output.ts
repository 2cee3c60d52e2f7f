// How commands speak: data on standard output, everything else on standard error, exit codes of the API.

export const EXIT = { fine: 0, failed: 1, usage: 2, finding: 3, timedOut: 124 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export type OutputFormat = 'table' | 'json';

export interface Output {
  readonly format: OutputFormat;
  /** Data. */
  print(text: string): void;
  printJson(value: unknown): void;
  /** Progress, warnings, errors. */
  note(text: string): void;
}

export function createOutput(format: OutputFormat): Output {
  return {
    format,
    print: (text) => {
      process.stdout.write(`${text}\n`);
    },
    printJson: (value) => {
      process.stdout.write(`${JSON.stringify(value, exactIntegers, 2)}\n`);
    },
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
  };
}

/** A bigint as the number that it is: CRIU's limits go up to 2^64 - 1. */
function exactIntegers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? rawJson(value.toString()) : value;
}

// ECMAScript 2026, in Node since 21; not yet among TypeScript's types.
const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

/** Columns as wide as their widest cell, two blanks between, nothing after the last. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_title, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The program cannot do what was asked; the message is for the user. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}
