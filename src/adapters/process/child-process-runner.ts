// Runs other programs of the host by node:child_process. Knows nothing of what they do; never uses a shell.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { CommandNotFound } from '../../ports/process-runner.ts';
import type { ProcessResult, ProcessRunner } from '../../ports/process-runner.ts';

const OUTPUT_LIMIT_BYTES = 1024 * 1024;
const KILL_AFTER_MS = 10_000;
// Grandchildren may hold the pipes open long after the program has ended (measured: CRIU outlives a killed runc).
const DRAIN_MS = 500;

/**
 * Programs get the environment of this process, and a session of their own: Ctrl-C at a terminal must not reach a runtime
 * in the middle of a dump. The promise settles when the program itself is gone; what it started may live on.
 */
export class ChildProcessRunner implements ProcessRunner {
  readonly #environment: Readonly<NodeJS.ProcessEnv>;

  constructor(environment: Readonly<NodeJS.ProcessEnv> = process.env) {
    this.#environment = environment;
  }

  run(
    command: string,
    args: readonly string[],
    options: { readonly timeoutMs: number },
  ): Promise<ProcessResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        env: { ...this.#environment },
      });
      const stdout = collect(child.stdout);
      const stderr = collect(child.stderr);
      const clock = startTimeout(child, options.timeoutMs);

      child.on('error', (error: NodeJS.ErrnoException) => {
        clock.stop();
        reject(startFailure(command, error));
      });
      child.on('exit', (exitCode) => {
        clock.stop();
        const settle = (): void => {
          clearTimeout(drain);
          child.stdout.destroy();
          child.stderr.destroy();
          resolve({ exitCode, stdout: stdout(), stderr: stderr(), timedOut: clock.timedOut() });
        };
        const drain = setTimeout(settle, DRAIN_MS);
        child.on('close', settle);
      });
    });
  }
}

/** Gathers a stream up to the limit and drops the rest, so that a talkative program never blocks. */
function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let total = 0;
  stream.on('data', (chunk: Buffer) => {
    const room = OUTPUT_LIMIT_BYTES - total;
    if (room <= 0) return;
    const kept = chunk.subarray(0, room);
    chunks.push(kept);
    total += kept.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function startTimeout(child: ChildProcess, timeoutMs: number): { timedOut: () => boolean; stop: () => void } {
  let timedOut = false;
  let timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGTERM');
    timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  }, timeoutMs);
  return {
    timedOut: () => timedOut,
    stop: () => {
      clearTimeout(timer);
    },
  };
}

// The port promises CommandNotFound only: a file that may not be executed is as good as none.
function startFailure(command: string, error: NodeJS.ErrnoException): CommandNotFound {
  const text =
    error.code === 'ENOENT'
      ? `${command} is not installed, or not in PATH`
      : `${command} cannot be started: ${error.message}`;
  return new CommandNotFound(text, { cause: error });
}
