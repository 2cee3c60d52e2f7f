// The reader against what real CRIU did with every file of the recorded corpus (how: test/fixtures/criu-conf/recorded-with.json).

import { describe, expect, test } from '@jest/globals';
import { bytesOf, textOf } from '../../../../hack/criu-conf-corpus.ts';
import { readRecordedFiles } from '../../../../hack/criu-conf-fixture.ts';
import type { RecordedFile } from '../../../../hack/criu-conf-fixture.ts';
import { FINDING_CODES } from '../../../../src/domain/criu-conf/finding-codes.ts';
import type { ConfFindingCode } from '../../../../src/domain/criu-conf/finding-codes.ts';
import { judgeCriuConf } from '../../../../src/domain/criu-conf/judge.ts';
import type { ConfJudgement } from '../../../../src/domain/criu-conf/judge.ts';

/** CRIU's limit when no file sets one (CRIU 4.2.1 criu/include/cr_options.h). */
const DEFAULT_LIMIT_BYTES = 1_048_576n;

function isWithin(limitBytes: bigint, { atLeastBytes, belowBytes }: RecordedFile): boolean {
  // Both bounds missing: the dump failed for another reason, so that it told nothing of the limit.
  if (atLeastBytes === null) return true;
  return limitBytes >= BigInt(atLeastBytes) && (belowBytes === null || limitBytes < BigInt(belowBytes));
}

function disagrees(file: RecordedFile, judgement: ConfJudgement): boolean {
  if (judgement.verdict !== file.verdict) return true;
  if (judgement.verdict === 'Refused')
    return judgement.ghostLimitBytes !== null || judgement.refusal === null;
  return !isWithin(judgement.ghostLimitBytes ?? DEFAULT_LIMIT_BYTES, file);
}

function describeDisagreement(file: RecordedFile): string[] {
  const judgement = judgeCriuConf(bytesOf(file.parts));
  if (!disagrees(file, judgement)) return [];
  const { verdict, atLeastBytes, belowBytes, error } = file;
  const real = `${verdict} [${atLeastBytes ?? '-'}, ${belowBytes ?? '-'}) ${error ?? ''}`;
  const ours = `${judgement.verdict} ${judgement.ghostLimitBytes ?? 'none'} ${judgement.refusal?.code ?? ''}`;
  return [
    `${file.name}: ${JSON.stringify(textOf(file.parts).slice(0, 300))}\n  CRIU: ${real}\n  here: ${ours}`,
  ];
}

describe('files that real CRIU judged', () => {
  const files = readRecordedFiles();

  test('are enough, each name and content once, both verdicts often', () => {
    expect(files.length).toBeGreaterThan(1500);
    expect(new Set(files.map(({ name }) => name)).size).toBe(files.length);
    expect(new Set(files.map(({ parts }) => textOf(parts))).size).toBe(files.length);
    expect(files.filter(({ verdict }) => verdict === 'Refused').length).toBeGreaterThan(500);
    expect(files.filter(({ atLeastBytes }) => atLeastBytes !== null).length).toBeGreaterThan(800);
  });

  test('get the same verdict and a limit within the recorded bounds', () => {
    expect(files.flatMap(describeDisagreement)).toEqual([]);
  });

  test('crash CRIU only where the reader says so', () => {
    const codes = files
      .filter(({ crash }) => crash !== undefined)
      .map(({ parts }) => judgeCriuConf(bytesOf(parts)).refusal?.code);
    expect(codes.length).toBeGreaterThan(10);
    expect(new Set(codes)).toEqual(new Set(['WordArrayOverrun', 'NotForDumps', 'InvalidValue']));
  });

  test('show every remark that the reader can make, but for memory that answers differently each time', () => {
    const seen = new Set(
      files.flatMap(({ parts }) => judgeCriuConf(bytesOf(parts)).findings.map(({ code }) => code)),
    );
    const never = Object.keys(FINDING_CODES).filter((code) => !seen.has(code as ConfFindingCode));
    // IniFile is a remark of `lint` on whole files.
    expect(never.filter((code) => code !== 'IniFile')).toEqual(['UndefinedMemory']);
  });
});
