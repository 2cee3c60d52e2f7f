// What `lint` tells a person about one CRIU file: CRIU's own verdict, and every line that it would stumble over, with the line to write instead. Pure.
import type { IniView } from './ini-view.ts';
import { explainIniWriting } from './ini-view.ts';
import { judgeCriuConf, type ConfFinding, type ConfJudgement } from './judge.ts';

export interface LintResult {
  readonly verdict: ConfJudgement['verdict'];
  readonly ghostLimitBytes: bigint | null;
  readonly findings: readonly ConfFinding[];
}

/**
 * CRIU stops at the first bad statement; a person wants them all, so each line is judged alone as well. `ini` is the file as an INI library reads it:
 * it only explains where the lines may come from.
 */
export function lintCriuConf(content: Uint8Array, ini: IniView): LintResult {
  const judgement = judgeCriuConf(content);
  const { refusal } = judgement;
  const beyond =
    refusal === null
      ? []
      : [...otherBadLines(content, refusal.line), ...explainIniWriting(ini, refusal.line)];
  const findings = [...judgement.findings, ...beyond];
  return {
    verdict: judgement.verdict,
    ghostLimitBytes: judgement.ghostLimitBytes,
    findings: findings.toSorted((one, other) => one.line - other.line),
  };
}

/**
 * Lines that CRIU would refuse even if they stood alone. It looks at the shape of all lines first and at the options then, so the one that it stops at need not be
 * the first bad one. An option without its value is left out: it takes the next line for it.
 */
function otherBadLines(content: Uint8Array, refusedLine: number): ConfFinding[] {
  return splitLines(content).flatMap((bytes, index) => {
    const line = index + 1;
    const { refusal } = line === refusedLine ? { refusal: null } : judgeCriuConf(bytes);
    return refusal === null || refusal.code === 'ArgumentMissing' ? [] : [{ ...refusal, line }];
  });
}

function splitLines(content: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = content.indexOf(0x0a, start); end !== -1; end = content.indexOf(0x0a, start)) {
    lines.push(content.subarray(start, end + 1));
    start = end + 1;
  }
  if (start < content.length) lines.push(content.subarray(start));
  return lines;
}
