// Notices containers of runc that come, start and go, by looking at its state folder. Starts no process: runc itself would cost 20 ms each time.
import { watch } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import type { Clock } from '../../ports/clock.ts';
import { pause } from './pause.ts';
import { processStart } from './process-identity.ts';

const POLL_MS = 2000;

export interface RuncRootPlaces {
  /** runc's root as this process sees it. */
  readonly root: string;
  readonly procRoot: string;
}

/** Calls `onChange` when a container was created, started, ended or deleted, within 2 s; until `signal` aborts. A root that does not exist is waited for. */
export async function watchRuncRoot(
  places: RuncRootPlaces,
  clock: Clock,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  const seen = new PictureTaker(places);
  let last = await seen.take();
  while (!signal.aborted) {
    await nextLook(places.root, clock, signal);
    const now = await seen.take();
    if (now === last) continue;
    last = now;
    onChange();
  }
}

/** After a change of the folder itself, or after the poll interval: what happens inside a container's folder is not told. */
async function nextLook(root: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const woken = new AbortController();
  const wake = (): void => {
    woken.abort();
  };
  signal.addEventListener('abort', wake, { once: true });
  try {
    const watcher = watch(root, { persistent: false }, wake);
    // Then only the interval is left; waking for it could go round and round.
    watcher.on('error', () => undefined);
    await pause(clock, POLL_MS, woken.signal);
    watcher.close();
  } catch {
    await pause(clock, POLL_MS, woken.signal);
  } finally {
    signal.removeEventListener('abort', wake);
  }
}

/** Makes a text of what is in the folder that differs when something happened. */
class PictureTaker {
  readonly #places: RuncRootPlaces;
  /** Init processes by state file and its time; the file is large and seldom changes. */
  readonly #pids = new Map<string, { readonly changed: string; readonly pid: number | null }>();

  constructor(places: RuncRootPlaces) {
    this.#places = places;
  }

  async take(): Promise<string> {
    const ids = await readdir(this.#places.root).catch((): string[] => []);
    for (const id of this.#pids.keys()) if (!ids.includes(id)) this.#pids.delete(id);
    return (await Promise.all(ids.sort().map((id) => this.#container(id)))).join('\n');
  }

  async #container(id: string): Promise<string> {
    const folder = posix.join(this.#places.root, id);
    const state = await stat(posix.join(folder, 'state.json'), { bigint: true }).catch(() => null);
    // Created containers wait on this FIFO until they are started.
    const waiting = await stat(posix.join(folder, 'exec.fifo')).then(
      () => true,
      () => false,
    );
    const changed = state === null ? '' : `${state.mtimeNs.toString()}:${state.ino.toString()}`;
    const pid = await this.#pid(id, folder, changed);
    const start = pid === null ? null : await processStart(this.#places.procRoot, pid);
    return [id, changed, waiting.toString(), start ?? 'ended'].join(' ');
  }

  async #pid(id: string, folder: string, changed: string): Promise<number | null> {
    const known = this.#pids.get(id);
    if (known?.changed === changed) return known.pid;
    const text = await readFile(posix.join(folder, 'state.json'), 'utf8').catch(() => '');
    const digits = /"init_process_pid":(\d+)/.exec(text)?.[1];
    const pid = digits === undefined ? null : Number(digits);
    this.#pids.set(id, { changed, pid });
    return pid;
  }
}
