// The port of the state folder: small documents that must survive a crash, and the locks that keep two engines on one node apart.

export interface StateStore {
  /** null: no such document. Names match ^[a-z0-9][a-z0-9._-]{0,127}$. */
  read(name: string): Promise<Uint8Array | null>;
  /** Durable and atomic; the document is readable by root only (0600 in a 0700 folder). */
  write(name: string, content: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
  /**
   * Takes the named lock for this process. A lock of a process that is gone (killed, rebooted; a reused pid is told by its start time) is taken over.
   * Waits up to `waitMs` (0: not at all), then rejects with LockHeld.
   */
  lock(name: string, waitMs: number): Promise<StateLock>;
}

export interface StateLock {
  release(): Promise<void>;
}

export class LockHeld extends Error {
  override readonly name = 'LockHeld';
  readonly lockName: string;
  readonly pid: number;
  constructor(lockName: string, pid: number) {
    super(`lock ${lockName} is held by process ${pid.toString()}`);
    this.lockName = lockName;
    this.pid = pid;
  }
}
