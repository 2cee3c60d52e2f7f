// npm run record:criu-conf: asks real CRIU, through runc in the lab, about every file of the corpus and writes test/fixtures/criu-conf again.
// Needs root and about ten minutes; `-- COUNT` takes only the first COUNT files and writes nothing, to try it out.

import { release } from 'node:os';
import { bytesOf, makeCorpus, textOf } from './criu-conf-corpus.ts';
import type { CorpusFile } from './criu-conf-corpus.ts';
import { writeRecordedFiles } from './criu-conf-fixture.ts';
import type { RecordedFile, RecordedWith } from './criu-conf-fixture.ts';
import { recordVerdicts } from './lab/criu-conf-oracle.ts';
import type { Verdict } from './lab/criu-conf-oracle.ts';
import { startLabNode } from './lab/lab-node.ts';

const startedAt = performance.now();

function progress(line: string): void {
  process.stderr.write(`[${Math.round((performance.now() - startedAt) / 1000)} s] ${line}\n`);
}

function withoutDuplicates(files: readonly CorpusFile[]): CorpusFile[] {
  const seen = new Set<string>();
  return files.filter(({ parts }) => {
    const text = textOf(parts);
    return !seen.has(text) && seen.add(text);
  });
}

function crashCode({ criuExitCode }: Verdict): number | null {
  return (criuExitCode ?? 0) > 128 ? criuExitCode : null;
}

/** CRIU answers EBADRQC (56) when it does not take the request, and nothing when it crashes; its log may be open by then and proves nothing. */
function isRefused(verdict: Verdict): boolean {
  return (
    verdict.verdict === 'Refused' || /\berrno 56\b/.test(verdict.runcError) || crashCode(verdict) !== null
  );
}

function toRecorded(file: CorpusFile, verdict: Verdict): RecordedFile {
  const refused = isRefused(verdict);
  const error = verdict.runcError.replaceAll(/\s+/g, ' ').trim();
  const isGhostOnly = verdict.ghostLimitAtLeastBytes !== null && error === 'criu failed: type DUMP errno 0';
  const crash = crashCode(verdict);
  return {
    name: file.name,
    parts: file.parts,
    verdict: refused ? 'Refused' : 'Accepted',
    atLeastBytes: refused ? null : verdict.ghostLimitAtLeastBytes,
    belowBytes: refused ? null : verdict.ghostLimitBelowBytes,
    ...(error === '' || isGhostOnly ? {} : { error }),
    ...(crash === null ? {} : { crash }),
  };
}

async function versions(files: number): Promise<RecordedWith> {
  const node = await startLabNode({ name: 'versions', progress });
  const firstLine = async (...argv: string[]): Promise<string> => (await node.run(argv)).split('\n')[0] ?? '';
  try {
    return {
      criu: (await firstLine('criu', '--version')).replace('Version: ', ''),
      runc: (await firstLine('runc', '--version')).replace('runc version ', ''),
      libc: await firstLine('dpkg-query', '-W', '-f', '${Version}', 'libc6'),
      kernel: release(),
      recordedAt: new Date().toISOString().slice(0, 10),
      files,
      how: 'npm run record:criu-conf: each file as /etc/criu/runc.conf, `runc checkpoint --leave-running` of a container that holds deleted files of rising allocated size; the first one that CRIU names bounds the limit',
    };
  } finally {
    await node.stop();
  }
}

const count = process.argv[2] === undefined ? Infinity : Number(process.argv[2]);
const files = withoutDuplicates(makeCorpus()).slice(0, count);
const verdicts = await recordVerdicts(
  files.map(({ name, parts }) => ({ name, bytes: bytesOf(parts) })),
  progress,
);
const recorded = files.flatMap((file, index) => {
  const verdict = verdicts[index];
  return verdict ? [toRecorded(file, verdict)] : [];
});
if (count === Infinity) writeRecordedFiles(recorded, await versions(recorded.length));
else
  process.stdout.write(
    `${recorded.map((file) => JSON.stringify({ ...file, parts: undefined })).join('\n')}\n`,
  );
progress(
  `${recorded.length} files, ${recorded.filter(({ verdict }) => verdict === 'Accepted').length} accepted`,
);
