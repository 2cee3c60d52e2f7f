// `ghostlimit scan`: ghost files of live processes, without CRIU and without freezing anything.
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import type { ContainerRuntime, RuntimeContainer } from '../../ports/container-runtime.ts';
import { ScanFailed, type GhostScan, type GhostScanner } from '../../ports/ghost-scanner.ts';
import { gatherSubjects } from '../../node-engine/checkpoint-subjects.ts';
import { gatherContainers } from '../../node-engine/runtime-workloads.ts';
import { CommandFailure, EXIT, printTable, type ExitCode, type Output } from '../output.ts';

export interface ScanParts {
  readonly scanner: GhostScanner;
  readonly runtimes: readonly ContainerRuntime[];
}

export interface ScanChoice {
  readonly pid?: number;
  readonly container?: string;
}

/** In the table; the largest come first. */
const FILES_SHOWN = 20;

interface ScannedContainer {
  readonly container: string | null;
  readonly scan: GhostScan;
}

/** One process tree, one container, or (neither given) every running container. */
export async function scan(choice: ScanChoice, parts: ScanParts, output: Output): Promise<ExitCode> {
  const scanned = await gatherScans(choice, parts, output);
  if (output.format === 'json') output.printJson(scanned.map(scanJson));
  else
    output.print(
      scanned.length === 0 ? 'no running container was found' : scanned.map(scanText).join('\n\n'),
    );
  return EXIT.fine;
}

async function gatherScans(
  { pid, container }: ScanChoice,
  parts: ScanParts,
  output: Output,
): Promise<ScannedContainer[]> {
  if (pid !== undefined) return [{ container: null, scan: await scanOne(pid, parts.scanner) }];
  if (container !== undefined) {
    const subjects = await gatherSubjects(parts.runtimes, container, null);
    if (subjects.length === 0)
      throw new CommandFailure(`no container or pod is called "${printable(container, 253)}" on this host`);
    const found = subjects.map((subject) => subject.container);
    return Promise.all(
      found.map(async (each) => ({ container: each.name, scan: await scanOne(pidOf(each), parts.scanner) })),
    );
  }
  const listing = await gatherContainers(parts.runtimes);
  for (const [name, message] of listing.unavailable) output.note(`${name} is not asked: ${message}`);
  const scanned: ScannedContainer[] = [];
  for (const { pid: init, name } of listing.containers) {
    if (init === null) continue;
    try {
      scanned.push({ container: name, scan: await scanOne(init, parts.scanner) });
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      output.note(`container ${printable(name, 253)} is left out: ${error.message}`);
    }
  }
  return scanned;
}

function pidOf({ pid, name, state }: RuntimeContainer): number {
  if (pid === null)
    throw new CommandFailure(
      `container ${printable(name, 253)} is ${state.toLowerCase()}: only a running one can be scanned`,
    );
  return pid;
}

async function scanOne(pid: number, scanner: GhostScanner): Promise<GhostScan> {
  try {
    return await scanner.scan(pid);
  } catch (error) {
    if (error instanceof ScanFailed)
      throw new CommandFailure(`process ${pid.toString()} cannot be scanned: ${error.message}`);
    throw error;
  }
}

function scanJson({ container, scan: result }: ScannedContainer): unknown {
  return {
    pid: result.pid,
    container: container === null ? null : printable(container, 253),
    requiredGhostLimitBytes: result.requiredGhostLimitBytes,
    linkRemapRequired: result.linkRemapRequired,
    residentBytes: result.residentBytes,
    files: result.files.map((file) => ({ ...file, path: printable(file.path) })),
    blockers: result.blockers,
    warnings: result.warnings,
  };
}

function scanText({ container, scan: result }: ScannedContainer): string {
  const who =
    container === null
      ? `process ${result.pid.toString()}`
      : `container ${printable(container, 253)} (process ${result.pid.toString()})`;
  const need =
    result.requiredGhostLimitBytes === 0
      ? 'no ghost file'
      : `needs ghost-limit ${result.requiredGhostLimitBytes.toString()} (${printSize(result.requiredGhostLimitBytes)})`;
  const lines = [`${who}: ${need}${result.linkRemapRequired ? '; needs link-remap' : ''}`];
  if (result.files.length > 0) {
    const rows = result.files
      .slice(0, FILES_SHOWN)
      .map((file) => [
        printSize(file.sizeBytes),
        printSize(file.allocatedBytes),
        file.kind,
        file.remap,
        file.references.toString(),
        printable(file.path),
      ]);
    lines.push(printTable(['SIZE', 'ALLOCATED', 'HELD BY', 'CRIU TAKES IT AS', 'REFS', 'PATH'], rows));
  }
  if (result.files.length > FILES_SHOWN)
    lines.push(`and ${(result.files.length - FILES_SHOWN).toString()} smaller ones (-o json shows all)`);
  lines.push(...result.blockers.map(({ code, message }) => `blocker: ${code}: ${message}`));
  lines.push(...result.warnings.map(({ code, message }) => `warning: ${code}: ${message}`));
  return lines.join('\n');
}
