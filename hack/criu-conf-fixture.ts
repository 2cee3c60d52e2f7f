// The recorded corpus on disk: one JSON line a file in test/fixtures/criu-conf/corpus.jsonl, beside a note of how it was recorded.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Part } from './criu-conf-hand-written.ts';

const FOLDER = join(dirname(import.meta.filename), '../test/fixtures/criu-conf');

/** What real CRIU did with a file. Bounds are null when it was refused, or accepted and the dump failed for another reason than the limit. */
export interface RecordedFile {
  readonly name: string;
  readonly parts: readonly Part[];
  readonly verdict: 'Accepted' | 'Refused';
  /** a deleted file of so many allocated bytes was dumped */
  readonly atLeastBytes: number | null;
  /** one of so many bytes was refused; null with a lower bound: none was, up to 64 GiB */
  readonly belowBytes: number | null;
  /** runc's last error line; absent when the only error was the ghost file */
  readonly error?: string;
  /** exit code of CRIU where it was a signal (128 + number): a crash */
  readonly crash?: number;
}

export interface RecordedWith {
  readonly criu: string;
  readonly runc: string;
  readonly libc: string;
  readonly kernel: string;
  readonly recordedAt: string;
  readonly files: number;
  readonly how: string;
}

function toAscii(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function readRecordedFiles(): RecordedFile[] {
  const lines = readFileSync(join(FOLDER, 'corpus.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as RecordedFile);
}

export function writeRecordedFiles(files: readonly RecordedFile[], recordedWith: RecordedWith): void {
  writeFileSync(
    join(FOLDER, 'corpus.jsonl'),
    files.map((file) => `${toAscii(JSON.stringify(file))}\n`).join(''),
  );
  writeFileSync(join(FOLDER, 'recorded-with.json'), `${JSON.stringify(recordedWith, null, 2)}\n`);
}
