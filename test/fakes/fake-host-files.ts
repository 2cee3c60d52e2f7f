// HostFiles in memory, for tests of what uses them: the real protocol on a disk in memory, so faults and crashes hit the same steps as on a host.
import type { FileCalls } from '../../src/adapters/host/file-calls.ts';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import type {
  FileWriter,
  HostFiles,
  HostFileSnapshot,
  LateWrite,
  RemoveOptions,
  RemoveOutcome,
  ReplaceOptions,
  ReplaceOutcome,
} from '../../src/ports/host-files.ts';
import { MemoryDisk, type OpenWriter } from './memory-disk.ts';

export class FakeHostFiles implements HostFiles {
  readonly disk: MemoryDisk;
  #adapter: HostFiles;
  #nowMs = 0;

  /** `files`: path on the host → text. Their directories are there; all else of the host is not. */
  constructor(files: Readonly<Record<string, string>> = {}, disk = new MemoryDisk()) {
    this.disk = disk;
    this.#adapter = this.#start();
    disk.mkdir('/etc');
    for (const [path, text] of Object.entries(files)) this.put(path, text);
  }

  #start(): HostFiles {
    return createPosixHostFiles({
      hostRoot: '/',
      requireRootOwner: true,
      processes: null,
      calls: this.disk.calls,
      nowMs: () => this.#nowMs,
    });
  }

  /** Time goes by for what is kept of replaced files. */
  wait(ms: number): void {
    this.#nowMs += ms;
  }

  /** What somebody else writes. */
  put(path: string, content: string | Uint8Array): void {
    this.disk.put(path, typeof content === 'string' ? Buffer.from(content) : content);
  }

  /** What somebody else opens for writing, and writes into then, wherever it is. */
  open(path: string): OpenWriter {
    return this.disk.open(path);
  }

  delete(path: string): void {
    this.disk.delete(path);
  }

  /** null: no such file. */
  text(path: string): string | null {
    const content = this.disk.bytes(path);
    return content === null ? null : Buffer.from(content).toString();
  }

  /** The next call of that name fails with the errno; with `always`, all of them until `heal`. */
  fail(call: keyof FileCalls, code: string, { always = false, after = 0 } = {}): void {
    this.disk.faults.push({ call, code, always, after });
  }

  heal(): void {
    this.disk.faults.length = 0;
  }

  /** A new process, after a kill or a power cut. */
  restart(how: 'killed' | 'power cut' = 'killed'): void {
    if (how === 'killed') this.disk.restart();
    else this.disk.cutPower();
    this.#adapter = this.#start();
  }

  read(path: string): Promise<HostFileSnapshot> {
    return this.#adapter.read(path);
  }

  replace(
    snapshot: HostFileSnapshot,
    content: Uint8Array,
    options?: ReplaceOptions,
  ): Promise<ReplaceOutcome> {
    return this.#adapter.replace(snapshot, content, options);
  }

  remove(snapshot: HostFileSnapshot, options: RemoveOptions): Promise<RemoveOutcome> {
    return this.#adapter.remove(snapshot, options);
  }

  writers(path: string): Promise<readonly FileWriter[]> {
    return this.#adapter.writers(path);
  }

  lateWrites(path: string): Promise<readonly LateWrite[]> {
    return this.#adapter.lateWrites(path);
  }

  settle(late: LateWrite): void {
    this.#adapter.settle(late);
  }

  recover(path: string): Promise<number> {
    return this.#adapter.recover(path);
  }

  watch(path: string, onChange: () => void, signal: AbortSignal): void {
    this.#adapter.watch(path, onChange, signal);
  }

  close(): Promise<void> {
    return this.#adapter.close();
  }
}
