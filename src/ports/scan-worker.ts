// The port through which the scanner's child process is started and spoken to, one line of JSON at a time.

export interface ScanWorkerEvents {
  /** One whole line of the child's output, without the newline. */
  onLine(line: string): void;
  /** The child has ended or could not be started; called once, nothing follows. `detail`: why, with the end of its stderr. */
  onExit(detail: string): void;
}

export interface ScanWorker {
  /** Writes one line; a child that has ended already is told by onExit, not here. */
  send(line: string): void;
  /** Lets the child end by itself: it sees the end of its input. */
  end(): void;
  /** SIGKILL. A child that waits in the kernel may outlive it for a while; onExit tells when it is gone. */
  kill(): void;
}

/** Starts a child that never keeps this program alive. */
export type StartScanWorker = (events: ScanWorkerEvents) => ScanWorker;
