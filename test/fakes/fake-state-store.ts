// StateStore in memory. Locks are kept apart by process: `asProcess` gives another process on the same folder, `kill` ends one.
import { LockHeld, type StateLock, type StateStore } from '../../src/ports/state-store.ts';

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;

interface Folder {
  readonly documents: Map<string, Uint8Array>;
  readonly locks: Map<string, { readonly pid: number }>;
  readonly waiting: Set<() => void>;
}

export class FakeStateStore implements StateStore {
  /** Set: every read or write fails with it. */
  fault: Error | null = null;
  readonly #folder: Folder;
  readonly #pid: number;

  constructor(
    folder: Folder = { documents: new Map(), locks: new Map(), waiting: new Set() },
    pid: number = process.pid,
  ) {
    this.#folder = folder;
    this.#pid = pid;
  }

  asProcess(pid: number): FakeStateStore {
    return new FakeStateStore(this.#folder, pid);
  }

  /** The process is gone: its locks are free. */
  kill(pid: number): void {
    for (const [name, holder] of this.#folder.locks) if (holder.pid === pid) this.#folder.locks.delete(name);
    for (const wake of this.#folder.waiting) wake();
  }

  /** For tests: a document as text, without a promise. */
  text(name: string): string | null {
    const content = this.#folder.documents.get(name);
    return content === undefined ? null : Buffer.from(content).toString();
  }

  async read(name: string): Promise<Uint8Array | null> {
    await this.#check(name);
    return this.#folder.documents.get(name)?.slice() ?? null;
  }

  async write(name: string, content: Uint8Array): Promise<void> {
    await this.#check(name);
    this.#folder.documents.set(name, content.slice());
  }

  async remove(name: string): Promise<void> {
    await this.#check(name);
    this.#folder.documents.delete(name);
  }

  async list(prefix: string): Promise<readonly string[]> {
    await this.#check('any');
    return [...this.#folder.documents.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  async lock(name: string, waitMs: number): Promise<StateLock> {
    await this.#check(name);
    const end = Date.now() + waitMs;
    for (;;) {
      const holder = this.#folder.locks.get(name);
      if (holder === undefined) return this.#hold(name);
      if (Date.now() >= end) throw new LockHeld(name, holder.pid);
      await this.#woken(end - Date.now());
    }
  }

  #hold(name: string): StateLock {
    const mine = { pid: this.#pid };
    this.#folder.locks.set(name, mine);
    return {
      release: () => {
        if (this.#folder.locks.get(name) === mine) this.#folder.locks.delete(name);
        for (const wake of this.#folder.waiting) wake();
        return Promise.resolve();
      },
    };
  }

  #woken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#folder.waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#folder.waiting.add(wake);
    });
  }

  #check(name: string): Promise<void> {
    if (!NAME.test(name))
      return Promise.reject(new RangeError(`not a document name: ${JSON.stringify(name)}`));
    return this.fault === null ? Promise.resolve() : Promise.reject(this.fault);
  }
}
