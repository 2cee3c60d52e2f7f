// Tells when something in a directory changed, also when the directory appears, goes and comes again. May miss changes; never reports where there is none to see.
import * as fs from 'node:fs';
import * as posix from 'node:path/posix';

/** When the kernel has no watch to give (inotify limit, file system without it). */
const RETRY_MS = 5_000;

/**
 * Calls `onChange` until `signal` aborts. A missing directory is waited for at the nearest one above it that is there, and reported when it appears.
 * Does not keep the process alive.
 */
export function watchDirectory(directory: string, onChange: () => void, signal: AbortSignal): void {
  if (signal.aborted) return;
  let armed: Armed | null = null;
  let retry: NodeJS.Timeout | null = null;

  const stop = (): void => {
    armed?.watcher.close();
    armed = null;
    if (retry !== null) clearTimeout(retry);
    retry = null;
  };
  const again = (): void => {
    stop();
    retry = setTimeout(() => {
      rearm();
      onChange();
    }, RETRY_MS).unref();
  };
  const onEvent = (): void => {
    const atDirectory = armed?.path === directory;
    rearm();
    if (atDirectory || armed?.path === directory) onChange();
  };
  const rearm = (): void => {
    if (signal.aborted) return;
    try {
      const path = nearestPresent(directory);
      const identity = identityOf(path);
      if (armed?.path === path && armed.identity === identity) return;
      stop();
      const watcher = fs.watch(path, { persistent: false }, onEvent);
      watcher.on('error', again);
      armed = { path, identity, watcher };
      // Between looking and watching the next directory may have come: look once more.
      if (nearestPresent(directory) !== path) rearm();
    } catch {
      again();
    }
  };

  signal.addEventListener('abort', stop, { once: true });
  rearm();
}

interface Armed {
  readonly path: string;
  readonly identity: string | null;
  readonly watcher: fs.FSWatcher;
}

/** Null when there is no directory. The birth time tells a new directory that got the inode of the last one. */
function identityOf(path: string): string | null {
  const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat?.isDirectory() === true ? `${stat.ino.toString()}:${stat.birthtimeNs.toString()}` : null;
}

function nearestPresent(directory: string): string {
  let path = directory;
  while (path !== '/' && identityOf(path) === null) path = posix.dirname(path);
  return path;
}
