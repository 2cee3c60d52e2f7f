// Starts the scanner's child process and carries lines to and from it. Knows nothing of what they say.
import { spawn } from 'node:child_process';
import type { ScanWorkerEvents, StartScanWorker } from '../../ports/scan-worker.ts';

/** How much of the end of the child's stderr is kept to explain its death. */
const STDERR_CHARACTERS = 2048;

/**
 * Makes a starter for `command` (program and arguments). The child gets an empty environment, since it reads what other
 * processes own and needs nothing else, and never keeps this program alive.
 */
export function scanWorkerOf(command: readonly [string, ...string[]]): StartScanWorker {
  return (events) => startScanWorker(command, events);
}

function startScanWorker(
  [program, ...args]: readonly [string, ...string[]],
  events: ScanWorkerEvents,
): ReturnType<StartScanWorker> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {}, cwd: '/' });
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr]) unrefPipe(pipe);
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) events.onLine(line);
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-STDERR_CHARACTERS);
  });
  // The child may end before it has read everything; its exit tells so.
  child.stdin.on('error', () => undefined);
  let isOver = false;
  const finish = (detail: string): void => {
    if (isOver) return;
    isOver = true;
    events.onExit(errors === '' ? detail : `${detail}: ${errors.trim()}`);
  };
  child.on('error', (error) => {
    finish(error.message);
  });
  child.on('close', (code, signal) => {
    finish(signal === null ? `exit code ${code ?? 'unknown'}` : signal);
  });
  return {
    send: (line) => child.stdin.write(`${line}\n`),
    end: () => child.stdin.end(),
    kill: () => child.kill('SIGKILL'),
  };
}

// Pipes of child processes are sockets underneath, which can be told not to keep the event loop alive.
function unrefPipe(pipe: object): void {
  if ('unref' in pipe && typeof pipe.unref === 'function') (pipe.unref as () => void).call(pipe);
}
