// Judging 1,000 CRIU files of the recorded corpus, against the only other way to know: asking CRIU itself by a dump through runc, measured on 20 of them.
import { bytesOf } from '../hack/criu-conf-corpus.ts';
import { readRecordedFiles } from '../hack/criu-conf-fixture.ts';
import { recordVerdicts } from '../hack/lab/criu-conf-oracle.ts';
import { lintCriuConf } from '../src/domain/criu-conf/lint.ts';
import { iniReader } from '../src/adapters/ini/ini-reader.ts';

const FILES = 1000;
const ASKED = 20;

export async function benchLint(print: (line: string) => void): Promise<void> {
  const files = readRecordedFiles()
    .slice(0, FILES)
    .map(({ name, parts }) => ({ name, bytes: bytesOf(parts) }));
  const startedMs = performance.now();
  for (const { bytes } of files) lintCriuConf(bytes, iniReader.read(Buffer.from(bytes).toString('latin1')));
  const oursMs = (performance.now() - startedMs) / files.length;
  const askedMs = performance.now();
  await recordVerdicts(files.slice(0, ASKED), () => undefined);
  const theirsMs = (performance.now() - askedMs) / ASKED;
  print(
    `lint of ${FILES.toString()} files: ${(oursMs * FILES).toFixed(0)} ms; by CRIU through runc ${theirsMs.toFixed(0)} ms a file; ratio ${(oursMs / theirsMs).toFixed(5)}`,
  );
}
