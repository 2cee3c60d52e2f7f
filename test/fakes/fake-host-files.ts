// HostFiles in memory, for tests of what uses them: the real protocol on a disk in memory, so faults and crashes hit the same steps as on a host.
import * as posix from 'node:path/posix';
import type { FileCalls } from '../../src/adapters/host/file-calls.ts';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import type {
  HostFiles,
  HostFileSnapshot,
  RemoveOutcome,
  ReplaceOutcome,
} from '../../src/ports/host-files.ts';
import { MemoryDisk } from './memory-disk.ts';

export class FakeHostFiles implements HostFiles {
  readonly disk: MemoryDisk;
  #adapter: HostFiles;

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
    });
  }

  /** What somebody else writes. */
  put(path: string, content: string | Uint8Array): void {
    this.disk.put(path, typeof content === 'string' ? Buffer.from(content) : content);
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

  replace(snapshot: HostFileSnapshot, content: Uint8Array): Promise<ReplaceOutcome> {
    return this.#adapter.replace(snapshot, content);
  }

  remove(snapshot: HostFileSnapshot, options: { readonly emptyDirectory: boolean }): Promise<RemoveOutcome> {
    return this.#adapter.remove(snapshot, options);
  }

  recover(path: string): Promise<number> {
    return this.#adapter.recover(path);
  }

  watch(path: string, onChange: () => void, signal: AbortSignal): void {
    this.disk.watch(posix.dirname(path), onChange, signal);
  }
}
