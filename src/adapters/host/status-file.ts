// The report in a file of this host: for people, monitoring and `ghostlimit status`. Replaced as a whole; not durable, as a restart writes it anew.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CheckpointNodeStatusSchema, type CheckpointNodeStatus } from '../../api/checkpoint-node.ts';
import type { ReportSink } from '../../ports/report-sink.ts';
import { orAbsent } from '../errno.ts';

export function createStatusFile(path: string): ReportSink {
  return {
    publish: async (report) => {
      const text = `${JSON.stringify(report, null, 2)}\n`;
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      const temporary = `${path}.${process.pid.toString()}.tmp`;
      // Whatever has that name is of a process that is gone, or a trap: it is not written through.
      await rm(temporary, { force: true });
      await writeFile(temporary, text, { mode: 0o644, flag: 'wx' });
      await rename(temporary, path);
    },
  };
}

/** null: there is no such file. Rejects when it cannot be read or holds no report. */
export async function readStatusFile(path: string): Promise<CheckpointNodeStatus | null> {
  const text = await orAbsent(readFile(path, 'utf8'));
  if (text === null) return null;
  const parsed = CheckpointNodeStatusSchema.safeParse(parseJson(text));
  if (!parsed.success) throw new Error(`${path} does not hold a report of ghostlimit: remove it`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
