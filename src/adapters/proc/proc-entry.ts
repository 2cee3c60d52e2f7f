// The only door to the files of /proc: small reads, listings, links, and stat through magic links. Never opens what a
// link of fd, map_files, exe, cwd or root leads to.
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statfsSync,
  statSync,
  type BigIntStats,
  type PathLike,
} from 'node:fs';
import type { FileStat } from '../../api/process-tree.ts';
import { decodePath } from './path-bytes.ts';

/** The process, thread or descriptor has ended meanwhile, or never was. */
export const GONE = Symbol('Gone');
/** Everything else, mostly permissions. */
export const REFUSED = Symbol('Refused');
export type Absence = typeof GONE | typeof REFUSED;

const GONE_CODES: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH', 'ENOTDIR']);

export function toAbsence(error: unknown): Absence {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return GONE_CODES.has(code) ? GONE : REFUSED;
}

export function isAbsence(value: unknown): value is Absence {
  return value === GONE || value === REFUSED;
}

let buffer = Buffer.allocUnsafe(65_536);

/** Reads a file of /proc to its end as bytes that are valid until the next call. */
export function readProcBytes(path: string): Buffer | Absence {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    return toAbsence(error);
  }
  try {
    let length = 0;
    for (;;) {
      if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.subarray(0, length);
      length += count;
    }
  } catch (error) {
    return toAbsence(error);
  } finally {
    closeSync(descriptor);
  }
}

/** The same as a string of one character for each byte, in which the ASCII structure of /proc's files can be parsed. */
export function readProcText(path: string): string | Absence {
  const bytes = readProcBytes(path);
  return isAbsence(bytes) ? bytes : bytes.toString('latin1');
}

export function listProc(path: string): readonly string[] | Absence {
  try {
    return readdirSync(path);
  } catch (error) {
    return toAbsence(error);
  }
}

/** Link text; bytes that are not UTF-8 as decodePath gives them. */
export function readProcLink(path: string): string | Absence {
  try {
    const text = readlinkSync(path);
    return text.includes('\ufffd') ? decodePath(readlinkSync(path, { encoding: 'buffer' })) : text;
  } catch (error) {
    return toAbsence(error);
  }
}

/** stat of what a magic link leads to. May wait for ever on a file system that does not answer. */
export function statThroughLink(path: PathLike): BigIntStats | Absence {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false }) ?? GONE;
  } catch (error) {
    return toAbsence(error);
  }
}

/** stat of a name, a last symlink not followed. May wait for ever on a file system that does not answer. */
export function statName(path: PathLike): BigIntStats | Absence {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? GONE;
  } catch (error) {
    return toAbsence(error);
  }
}

/** f_type of the file system behind a magic link. */
export function fileSystemTypeOf(path: string): number | undefined {
  try {
    return statfsSync(path).type;
  } catch {
    return undefined;
  }
}

export function toFileStat(stats: BigIntStats): FileStat {
  return {
    device: Number(stats.dev),
    inode: stats.ino.toString(),
    mode: Number(stats.mode),
    linkCount: Number(stats.nlink),
    sizeBytes: Number(stats.size),
    allocatedBytes: Number(stats.blocks) * 512,
  };
}
