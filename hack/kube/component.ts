// A long-running program of Kubernetes in a lab node: started, killed and started again, with its log in a file of the
// node.
import type { ChildProcess } from 'node:child_process';
import type { LabNode } from '../lab/lab-node.ts';
import { ended } from '../lab/program.ts';

export interface Component {
  name: string;
  /** Starts it; does nothing when it runs. Returns before it is ready for work. */
  start: () => void;
  /** Sends the signal (SIGKILL when absent) and returns when the process is gone. Does nothing when it does not run. */
  kill: (signal?: 'SIGKILL' | 'SIGTERM') => Promise<void>;
  /** False before the start, and after its end, whatever ended it. */
  isRunning: () => boolean;
  /** The last lines of what it printed, over all its starts; what is wrong instead when the node is gone. */
  readLog: (lines: number) => Promise<string>;
}

/** For a program that never came to write its pid; it is then ending by itself. */
const KILL_TIMEOUT_MS = 60_000;
const START = 'pid=$1 log=$2; shift 2; echo $$ > "$pid"; exec "$@" >> "$log" 2>&1';

/** A component that runs argv in the node; not yet started. `name` is that of its files, unique in the node. */
export function createComponent(node: LabNode, name: string, argv: readonly string[]): Component {
  const logFile = `/var/log/${name}.log`;
  let child: ChildProcess | undefined;
  let starts = 0;
  /** One a start: what an earlier life left tells nothing of this one. */
  const pidFile = (): string => `/run/${name}.${starts}.pid`;
  const isRunning = (): boolean =>
    child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    name,
    isRunning,
    start: () => {
      if (isRunning()) return;
      starts += 1;
      child = node.spawn(['sh', '-c', START, 'component', pidFile(), logFile, ...argv]);
    },
    kill: async (signal = 'SIGKILL') => {
      if (child === undefined || !isRunning()) return;
      // Killing nsenter would return before the program is gone: its port would still be taken.
      const script = `while [ ! -s "$1" ]; do sleep 0.01; done; kill -s ${signal.slice(3)} "$(cat "$1")"`;
      await node.exec(['sh', '-c', script, 'kill', pidFile()], { timeoutMs: KILL_TIMEOUT_MS });
      await ended(child);
    },
    readLog: async (lines) => {
      const { stdout, stderr } = await node.exec(['tail', '-n', lines.toString(), logFile]);
      return stdout || stderr;
    },
  };
}
