// What others wrote into /etc/criu/default.conf: CRIU reads it before the file that the runtime names, so it is the floor under our lines there. Writes nothing.
import type { FileReport } from '../api/checkpoint-node.ts';
import { CRIU_DEFAULT_GHOST_LIMIT_BYTES } from '../api/names.ts';
import { judgeCriuConf } from '../domain/criu-conf/judge.ts';
import { foreignOf } from '../domain/criu-conf/managed-block.ts';
import { NO_LINES } from '../domain/policy/resolve.ts';
import { HostFileError, type HostFiles } from '../ports/host-files.ts';
import { failedReport, unreadReport } from './file-report.ts';

/** Source: CRIU 4.2 criu/config.c, next_config(): default.conf first, the RPC file last; the last ghost-limit wins. */
export const DEFAULT_CONF_PATH = '/etc/criu/default.conf';

export interface InheritedLimit {
  readonly limitBytes: bigint;
  /** null: the file is not there or says nothing worth a report. */
  readonly report: FileReport | null;
}

const CRIU_DEFAULT_BYTES = BigInt(CRIU_DEFAULT_GHOST_LIMIT_BYTES);
const REPORTED = { path: DEFAULT_CONF_PATH, wanted: NO_LINES, inheritedLimitBytes: CRIU_DEFAULT_BYTES };

export async function gatherInheritedLimit(files: HostFiles): Promise<InheritedLimit> {
  try {
    const { content } = await files.read(DEFAULT_CONF_PATH);
    return content === null ? { limitBytes: CRIU_DEFAULT_BYTES, report: null } : inheritedFrom(content);
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    const { reason: state, message } = error;
    return {
      limitBytes: CRIU_DEFAULT_BYTES,
      report: unreadReport(REPORTED, { state, message, managed: false }),
    };
  }
}

function inheritedFrom(content: Uint8Array): InheritedLimit {
  const { refusal } = judgeCriuConf(content);
  // Without our block: it goes together with those in the other files.
  const { ghostLimitBytes } = judgeCriuConf(foreignOf(content));
  if (refusal === null) return { limitBytes: ghostLimitBytes ?? CRIU_DEFAULT_BYTES, report: null };
  const message = `${DEFAULT_CONF_PATH} line ${refusal.line.toString()}: ${refusal.message}`;
  const report = failedReport(REPORTED, 'ForeignLineInvalid', message, content);
  return { limitBytes: CRIU_DEFAULT_BYTES, report: { ...report, findings: [refusal] } };
}
