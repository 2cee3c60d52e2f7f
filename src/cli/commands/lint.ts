// `ghostlimit lint FILE...`: judges CRIU configuration files as CRIU does. Exit 3 when one is refused.
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import { lintCriuConf, type LintResult } from '../../domain/criu-conf/lint.ts';
import type { IniReader } from '../../ports/ini-reader.ts';
import { CommandFailure, EXIT, type ExitCode, type Output } from '../output.ts';

export interface LintParts {
  readonly ini: IniReader;
  /** Rejects with an Error whose message is for the user. */
  readFile(path: string): Promise<Uint8Array>;
}

/** What cannot be read is told after the verdicts on the rest, by CommandFailure. */
export async function lint(paths: readonly string[], parts: LintParts, output: Output): Promise<ExitCode> {
  const results: { readonly file: string; readonly result: LintResult }[] = [];
  const unread: string[] = [];
  for (const file of paths) {
    const content = await parts.readFile(file).catch((error: unknown) => {
      unread.push(
        `${printable(file)}: cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
      return null;
    });
    if (content === null) continue;
    results.push({
      file,
      result: lintCriuConf(content, parts.ini.read(new TextDecoder('latin1').decode(content))),
    });
  }
  if (output.format === 'json') output.printJson(results.map(({ file, result }) => lintJson(file, result)));
  else for (const { file, result } of results) output.print(lintText(file, result));
  if (unread.length > 0) throw new CommandFailure(unread.join('\n'));
  return results.some(({ result }) => result.verdict === 'Refused') ? EXIT.finding : EXIT.fine;
}

function lintJson(file: string, { verdict, ghostLimitBytes, findings }: LintResult): unknown {
  return {
    file,
    verdict,
    ghostLimitBytes,
    findings: findings.map(({ line, code, message }) => ({ line, code, message })),
  };
}

function lintText(file: string, { verdict, ghostLimitBytes, findings }: LintResult): string {
  const limit =
    ghostLimitBytes === null
      ? 'sets no ghost-limit'
      : `ghost-limit ${ghostLimitBytes.toString()} (${printSize(Number(ghostLimitBytes))})`;
  const head = `${printable(file)}: ${verdict === 'Refused' ? 'REFUSED: every dump and restore that reads this file fails' : `accepted, ${limit}`}`;
  return [
    head,
    ...findings.map(({ line, code, message }) => `  line ${line.toString()}: ${code}: ${message}`),
  ].join('\n');
}
