// GhostScanner over processes that tests make up; follows the port's contract (test/contract/ghost-scanner.test.ts).
import type { GhostFile, GhostScan, ScanRemark } from '../../src/api/ghost-scan.ts';
import { ScanFailed, type GhostScanner } from '../../src/ports/ghost-scanner.ts';

export interface FakeProcess {
  readonly parentPid?: number;
  /** Default 0. */
  readonly residentBytes?: number;
  readonly files?: readonly GhostFile[];
  readonly blockers?: readonly ScanRemark[];
  readonly warnings?: readonly ScanRemark[];
}

/** A ghost file of `bytes` bytes, all of them allocated, held by one descriptor. */
export function aGhostFile(path: string, bytes: number, changes: Partial<GhostFile> = {}): GhostFile {
  return {
    path,
    kind: 'Fd',
    remap: 'Ghost',
    sizeBytes: bytes,
    allocatedBytes: bytes,
    references: 1,
    ...changes,
  };
}

export class FakeGhostScanner implements GhostScanner {
  /** Pids in the order in which they were scanned. */
  readonly scanned: number[] = [];
  readonly #processes = new Map<number, FakeProcess>();
  #failure: ScanFailed | undefined;

  setProcess(pid: number, process: FakeProcess = {}): void {
    this.#processes.set(pid, process);
  }

  endProcess(pid: number): void {
    this.#processes.delete(pid);
  }

  /** The next scan rejects with this. */
  failOnce(failure: ScanFailed): void {
    this.#failure = failure;
  }

  prepare(): void {
    // Nothing to start.
  }

  async scan(pid: number, signal?: AbortSignal): Promise<GhostScan> {
    await Promise.resolve();
    if (signal?.aborted === true) throw new ScanFailed('ScanAborted', 'the scan was aborted');
    this.scanned.push(pid);
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
    if (!this.#processes.has(pid)) throw new ScanFailed('ProcessNotFound', `there is no process ${pid}`);
    const tree = this.#descendants(pid);
    const files = tree.flatMap((process) => process.files ?? []);
    const limited = files.filter((file) => file.remap !== 'LinkRemap');
    return {
      pid,
      requiredGhostLimitBytes: Math.max(
        0,
        ...limited.map((file) => Math.max(file.sizeBytes, file.allocatedBytes)),
      ),
      linkRemapRequired: files.some((file) => file.remap !== 'Ghost'),
      residentBytes: tree.reduce((sum, { residentBytes = 0 }) => sum + residentBytes, 0),
      files: files.toSorted((a, b) => b.sizeBytes - a.sizeBytes),
      blockers: tree.flatMap((process) => process.blockers ?? []),
      warnings: tree.flatMap((process) => process.warnings ?? []),
    };
  }

  #descendants(pid: number): readonly FakeProcess[] {
    const children = [...this.#processes].filter(([, process]) => process.parentPid === pid);
    const own = this.#processes.get(pid);
    return [...(own ? [own] : []), ...children.flatMap(([child]) => this.#descendants(child))];
  }
}
