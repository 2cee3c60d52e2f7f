// Looks at a container right before its dump: does it still run, and what does it hold? Changes nothing.
import { RuntimeUnavailable, type RuntimeContainer } from '../../ports/container-runtime.ts';
import { ScanFailed, type GhostScan } from '../../ports/ghost-scanner.ts';
import type { CheckpointSubject } from '../checkpoint-subjects.ts';
import type { CheckpointParts } from './checkpoint-order.ts';

type ScanParts = Pick<CheckpointParts, 'scanner' | 'log'>;

export interface SeenSubject {
  /** As its runtime knows it now; null: its runtime knows it no more. */
  readonly container: RuntimeContainer | null;
  readonly scan: GhostScan | null;
}

/** What is known of the container may be as old as the wait for another dump: when its process is gone, its runtime is asked again. */
export async function lookAtSubject(
  { container, runtime }: CheckpointSubject,
  parts: ScanParts,
): Promise<SeenSubject> {
  const scan = await scanOf(container, parts);
  if (scan !== 'ProcessGone') return { container, scan };
  try {
    const now = await runtime.find(container.id);
    return { container: now, scan: now === null ? null : await scanQuietly(now, parts) };
  } catch (error) {
    if (error instanceof RuntimeUnavailable) return { container, scan: null };
    throw error;
  }
}

/** A scan is an aid: when it fails the dump itself tells. */
export async function scanQuietly(container: RuntimeContainer, parts: ScanParts): Promise<GhostScan | null> {
  const scan = await scanOf(container, parts);
  return scan === 'ProcessGone' ? null : scan;
}

async function scanOf(
  { id, pid }: RuntimeContainer,
  { scanner, log }: ScanParts,
): Promise<GhostScan | 'ProcessGone' | null> {
  if (pid === null) return null;
  try {
    return await scanner.scan(pid);
  } catch (error) {
    log.warn('container not scanned before its checkpoint', {
      container: id,
      error: error instanceof Error ? error.message : String(error),
    });
    return error instanceof ScanFailed && error.code === 'ProcessNotFound' ? 'ProcessGone' : null;
  }
}
