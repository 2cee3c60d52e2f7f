// Runs programs of this machine for the lab and collects what they print. It never reads a shell's syntax: argv only.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export interface ProgramOptions {
  input?: string | Uint8Array;
  /** The whole environment; this process's own when absent. */
  env?: NodeJS.ProcessEnv;
  /** After this time the program gets SIGKILL; none by default. */
  timeoutMs?: number;
  /** Called with each whole line of stderr as it comes. */
  onStderrLine?: (line: string) => void;
}

export interface ProgramResult {
  /** The exit code; 128 + 9 and the like after a signal, as a shell has it. */
  code: number;
  stdout: Buffer;
  stderr: string;
  timedOut: boolean;
}

/**
 * Words before a program that starts others: with its own pid namespace all of it dies with us, whenever that is.
 * Needs root.
 */
export const DYING_WITH_US: readonly string[] = [
  ...['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--mount-proc'],
  '--kill-child=KILL',
];

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
};

function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  if (code !== null) return code;
  return 128 + (SIGNAL_NUMBERS[signal ?? 'SIGTERM'] ?? 15);
}

/** Runs argv to its end. Rejects only when the program cannot be started (ENOENT, EACCES), never for its exit code. */
export function runProgram(argv: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const [file = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: options.env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill('SIGKILL');
            // A grandchild may hold the pipes open for ever: the time-out ends the wait all the same.
            child.stdout.destroy();
            child.stderr.destroy();
          }, options.timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    if (options.onStderrLine) forEachLine(child.stderr, options.onStderrLine);
    // A program that ends without reading its input is no error of ours.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({
        code: exitCode(code, signal),
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString('utf8'),
        timedOut,
      });
    });
  });
}

/** Calls `take` with each line that ends, without its newline. */
export function forEachLine(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  });
}

/** Resolves when the process has ended, at once if it already has. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
}
