// Looks into an archive file of a checkpoint: the tar that containerd, CRI-O and Podman write. Reads headers and two small files of it.
import type { FileHandle } from 'node:fs/promises';
import type { ArchiveIdentity } from '../../ports/checkpoint-archives.ts';
import { identityIn, NO_IDENTITY, parseDump } from './archive-identity.ts';
import { tarEntries, TarFault, type ByteSource, type TarEntry } from './tar-entries.ts';

export interface Contents {
  readonly identity: ArchiveIdentity;
  /** In words that go on after its name. */
  readonly faults: readonly string[];
  /** Something in it is part of a checkpoint. */
  readonly isCheckpoint: boolean;
}

export const DUMP_MAX_BYTES = 2 ** 20;
/** Small files lie close together: one read serves several headers. */
const WINDOW_BYTES = 8192;

const CONFIG = 'config.dump';
const SPEC = 'spec.dump';
const INVENTORY = 'checkpoint/inventory.img';
const IMAGE_FILE = /^checkpoint\/[^/]+\.img$/;

const COMPRESSED: readonly (readonly [string, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

/** Rejects for faults of the disk only: what is wrong with the archive is among its faults. */
export async function readArchiveFile(handle: FileHandle, sizeBytes: number): Promise<Contents> {
  const source = fileSource(handle, sizeBytes);
  const compressed = compressionOf(await source.read(0, 8));
  if (compressed !== null) return nothing([`is compressed (${compressed}): not read`]);
  const { found, fault } = await walkThrough(source);
  if (fault?.notTar === true) return nothing([fault.message]);
  const config = await readDump(source, found.get(CONFIG));
  const spec = await readDump(source, found.get(SPEC));
  const faults = [
    fault?.message ?? null,
    found.has(INVENTORY) ? null : `has no ${INVENTORY}`,
    dumpFault(CONFIG, config),
    dumpFault(SPEC, spec),
  ];
  return {
    identity: identityIn(config.json, spec.json),
    faults: faults.filter((message) => message !== null),
    isCheckpoint: found.size > 0,
  };
}

function nothing(faults: readonly string[]): Contents {
  return { identity: NO_IDENTITY, faults, isCheckpoint: false };
}

function compressionOf(start: Buffer): string | null {
  const matches = ([, magic]: (typeof COMPRESSED)[number]): boolean =>
    magic.every((byte, index) => start[index] === byte);
  return COMPRESSED.find(matches)?.[0] ?? null;
}

/** By name, the last one of a name, as unpacking would have it; IMAGE_FILE stands for any image of CRIU's. */
async function walkThrough(
  source: ByteSource,
): Promise<{ found: Map<string, TarEntry>; fault: TarFault | null }> {
  const found = new Map<string, TarEntry>();
  try {
    for await (const entry of tarEntries(source)) {
      if (entry.kind !== 'file') continue;
      const { name } = entry;
      if (name === CONFIG || name === SPEC || name === INVENTORY) found.set(name, entry);
      else if (IMAGE_FILE.test(name)) found.set('checkpoint/*.img', entry);
    }
    return { found, fault: null };
  } catch (error) {
    if (error instanceof TarFault) return { found, fault: error };
    throw error;
  }
}

interface Dump {
  readonly state: 'Read' | 'Missing' | 'TooLarge' | 'Unreadable';
  readonly json: ReturnType<typeof parseDump>;
}

async function readDump(source: ByteSource, entry: TarEntry | undefined): Promise<Dump> {
  if (entry === undefined) return { state: 'Missing', json: null };
  if (entry.sizeBytes > DUMP_MAX_BYTES) return { state: 'TooLarge', json: null };
  const json = parseDump(await source.read(entry.dataOffset, entry.sizeBytes));
  return { state: json === null ? 'Unreadable' : 'Read', json };
}

function dumpFault(name: string, { state }: Dump): string | null {
  switch (state) {
    case 'Read':
      return null;
    case 'Missing':
      return `has no ${name}`;
    case 'TooLarge':
      return `has a ${name} of more than 1 MiB`;
    case 'Unreadable':
      return `has a ${name} that is no JSON object`;
  }
}

function fileSource(handle: FileHandle, sizeBytes: number): ByteSource {
  let window: { offset: number; bytes: Buffer } = { offset: 0, bytes: Buffer.alloc(0) };
  return {
    sizeBytes,
    read: async (offset, length) => {
      if (length > WINDOW_BYTES) return await readFully(handle, offset, length);
      const inWindow = offset >= window.offset && offset + length <= window.offset + window.bytes.length;
      if (!inWindow) window = { offset, bytes: await readFully(handle, offset, WINDOW_BYTES) };
      return window.bytes.subarray(offset - window.offset, offset - window.offset + length);
    },
  };
}

/** Fewer bytes only at the end of the file. */
async function readFully(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
