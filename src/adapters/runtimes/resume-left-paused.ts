// Ends the pause in which a containerd that was killed in the middle of a checkpoint leaves a container.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../ports/clock.ts';
import type { RuntimeContainer } from '../../ports/container-runtime.ts';
import type { Log } from '../../ports/log.ts';
import { CommandNotFound, type ProcessRunner } from '../../ports/process-runner.ts';
import { isTraced } from './process-identity.ts';

/** Of containerd's shim for containers of the CRI, unless the option `root` of the runtime says otherwise. */
const RUNC_ROOT = '/run/containerd/runc/k8s.io';
/** How long a dump may go on after the runtime that asked for it broke off. */
const DUMP_END_TIMEOUT_MS = 60_000;
const COMMAND_TIMEOUT_MS = 10_000;
const POLL_MS = 100;

export interface ResumeParts {
  readonly procRoot: string;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Waits until CRIU has let the container go, then resumes it if it is paused. The shim and CRIU outlive a containerd that is killed, and so does the pause: nobody
 * would end it, and the CRI has no call for it (measured, containerd 2.1: frozen for ever, state unknown after its restart). So the OCI runtime does, at once.
 */
export async function resumeLeftPaused(
  { id, pid, ociRuntime = 'runc' }: RuntimeContainer,
  { procRoot, runner, clock, log }: ResumeParts,
): Promise<void> {
  const giveUpAtMs = clock.monotonicMs() + DUMP_END_TIMEOUT_MS;
  while (pid !== null && (await isTraced(procRoot, pid)) && clock.monotonicMs() < giveUpAtMs)
    await sleep(POLL_MS);
  try {
    // It refuses what is not paused.
    const { exitCode } = await runner.run(ociRuntime, ['--root', RUNC_ROOT, 'resume', id], {
      timeoutMs: COMMAND_TIMEOUT_MS,
    });
    if (exitCode === 0) log.warn('container left paused by a broken checkpoint, resumed', { container: id });
  } catch (error) {
    if (!(error instanceof CommandNotFound)) throw error;
    log.error('container may be left paused by a broken checkpoint', { container: id });
  }
}
