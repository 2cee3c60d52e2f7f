// The port through which other programs of the host are run.

export interface ProcessResult {
  /** null: ended by a signal. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface ProcessRunner {
  /**
   * Runs `command` (looked up in PATH) without a shell, with nothing on stdin, and waits for its end; output is cut at 1 MiB each. After `timeoutMs` it gets SIGTERM and,
   * 10 s later, SIGKILL; the promise settles only when the process is gone. Rejects with CommandNotFound only.
   */
  run(
    command: string,
    args: readonly string[],
    options: { readonly timeoutMs: number },
  ): Promise<ProcessResult>;
}

export class CommandNotFound extends Error {
  override readonly name = 'CommandNotFound';
}
