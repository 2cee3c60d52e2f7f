// Reads CRIU's dump.log from the disk, only when this very checkpoint wrote it. Never parses it.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** Head and tail that are kept of a long log: its first lines tell version and configuration, its last ones the failure. */
const HEAD_BYTES = 64 * 1024;
const TAIL_BYTES = 960 * 1024;

/** Between these two wall-clock times (milliseconds, this machine's clock) the checkpoint ran. */
export interface CallWindow {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/**
 * The log's text, at most 1 MiB of it; null when there is none, or when it was not written within the window. Engines keep
 * the log of an older failure where the new one would be (measured with Docker 28.5 after an invalid runc.conf).
 *
 * File times come from the kernel's coarse clock: up to 10 ms early, never late. A log is written by a dump that takes tens
 * of milliseconds, an older one was complete before the call began: so "later than the millisecond in which the call
 * started" tells them apart. A clock set back in between makes an old log look as if it came from the future: refused too.
 */
export async function readFreshLog(path: string, window: CallWindow): Promise<string | null> {
  let file: FileHandle;
  try {
    // O_NONBLOCK: opening a FIFO in its place must not hang.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.mtimeMs < window.startedAtMs + 1 || stat.mtimeMs > window.endedAtMs + 1)
      return null;
    return await readEnds(file, stat.size);
  } finally {
    await file.close();
  }
}

async function readEnds(file: FileHandle, sizeBytes: number): Promise<string> {
  if (sizeBytes <= HEAD_BYTES + TAIL_BYTES) return await readPart(file, 0, sizeBytes);
  const head = await readPart(file, 0, HEAD_BYTES);
  const tail = await readPart(file, sizeBytes - TAIL_BYTES, TAIL_BYTES);
  // Whole lines only: half a line could read like another message.
  return `${head.slice(0, head.lastIndexOf('\n') + 1)}${tail.slice(tail.indexOf('\n') + 1)}`;
}

async function readPart(file: FileHandle, position: number, lengthBytes: number): Promise<string> {
  const buffer = Buffer.alloc(lengthBytes);
  let filled = 0;
  while (filled < lengthBytes) {
    const { bytesRead } = await file.read(buffer, filled, lengthBytes - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.toString('utf8', 0, filled);
}
