// The real scanner as tests start it: child process and judge included.
import { fileURLToPath } from 'node:url';
import {
  createChildGhostScanner,
  type ChildGhostScanner,
} from '../../src/adapters/proc/child-ghost-scanner.ts';
import { scanWorkerOf } from '../../src/adapters/process/scan-worker.ts';
import { summarizeScan } from '../../src/domain/ghost/summarize-scan.ts';

const SCAN_CHILD = fileURLToPath(new URL('../fakes/scan-child.ts', import.meta.url));

export function startProcGhostScanner(
  options: { timeoutMs?: number; idleMs?: number } = {},
): ChildGhostScanner {
  return createChildGhostScanner({
    startWorker: scanWorkerOf([process.execPath, SCAN_CHILD]),
    summarize: summarizeScan,
    ...options,
  });
}
