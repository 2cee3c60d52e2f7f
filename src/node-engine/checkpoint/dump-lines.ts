// Puts the lines of one dump in force, and says what CRIU then reads for the container. Taking them back is the caller's.
import { CRIU_OPTION_LINES, CRIU_OPTION_NAMES, type CriuOptionName } from '../../api/criu-option.ts';
import { judgeCriuConf } from '../../domain/criu-conf/judge.ts';
import { linesForDump } from '../../domain/policy/resolve.ts';
import { HostFileError, type HostFiles } from '../../ports/host-files.ts';
import { enforce } from '../node-engine.ts';
import type { Dump, ReadFiles } from './checkpoint-order.ts';

/**
 * The lines of every policy that means the container, an auto target going by `requiredBytes` (0: by what was learned before).
 * Written, read back and judged when it resolves; rejects for faults of the state folder.
 */
export async function putDumpLines(
  requiredBytes: number,
  { order, parts, documents }: Omit<Dump, 'scan'>,
): Promise<ReadFiles> {
  const { container, matched } = order.subject;
  const { policies, clock } = parts;
  const lines = linesForDump({ policies, peaks: new Map() }, matched, requiredBytes);
  await documents.lease.write({
    ghostLimitBytes: lines.ghostLimitBytes,
    options: [...lines.options],
    withheld: [...lines.withheld],
    containerId: container.id,
    takenAt: new Date(clock.now()).toISOString(),
  });
  return (await enforce(parts, documents)).readBy(container);
}

/**
 * The options that one of the files switches on, unless the file with the last word switches it off; null: one of them cannot be read.
 * Files that only a runtime's environment names are not looked at.
 */
export async function gatherOptionsInForce(
  reports: ReadFiles,
  files: Pick<HostFiles, 'read'>,
): Promise<ReadonlySet<CriuOptionName> | null> {
  const inForce = new Set<CriuOptionName>();
  try {
    for (const { path } of reports.toReversed()) {
      const { content } = await files.read(path);
      applySwitches(judgeCriuConf(content ?? new Uint8Array()).booleans, inForce);
    }
    return inForce;
  } catch (error) {
    if (error instanceof HostFileError) return null;
    throw error;
  }
}

function applySwitches(switches: ReadonlyMap<string, boolean>, inForce: Set<CriuOptionName>): void {
  for (const option of CRIU_OPTION_NAMES) {
    const isOn = switches.get(CRIU_OPTION_LINES[option]);
    if (isOn === true) inForce.add(option);
    if (isOn === false) inForce.delete(option);
  }
}
