// Reads a file that the user of a command names: no host rules, no size but the machine's.
import { readFile } from 'node:fs/promises';

/** Rejects as node:fs does. */
export function readPlainFile(path: string): Promise<Uint8Array> {
  return readFile(path);
}
