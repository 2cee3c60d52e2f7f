// Writes images as archives for `ctr images import`, `docker load` and `podman load`, without a registry and without
// any of them. The same files give the same bytes.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runProgram } from '../lab/program.ts';
import { blobPath, ociDocuments } from '../oci-documents.ts';
import type { OciBlob, OciConfig } from '../oci-documents.ts';

export interface OciImage {
  /** Whole names: `docker.io/library/pause:1`. */
  names: readonly string[];
  /** tar's words for what each layer holds, the lowest first: `-C FOLDER .`. Owner, times and order do not matter. */
  layers: readonly (readonly string[])[];
  config: OciConfig;
}

/** Modes without what a umask takes away; no names of users, which differ from machine to machine. */
const TAR: readonly string[] = [
  ...['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'],
  '--mode=u+rw,go+r-w,a+X',
];

/** Writes `archive`, replacing it whole. Rejects with what tar said, leaving nothing. About 1 s for 100 MB. */
export async function writeOciImage(archive: string, { names, layers, config }: OciImage): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'ghostlimit-image-'));
  const temporary = `${archive}.${process.pid}.tmp`;
  try {
    await mkdir(join(work, blobPath('')), { recursive: true });
    const blobs: OciBlob[] = [];
    for (const words of layers) blobs.push(await packLayer(work, words));
    for (const { path, text } of ociDocuments({ names, layers: blobs, config }))
      await writeFile(join(work, path), text);
    await tar(['-C', work, '-cf', temporary, 'oci-layout', 'index.json', 'manifest.json', 'blobs']);
    await rename(temporary, archive);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(temporary, { force: true });
  }
}

async function packLayer(layout: string, words: readonly string[]): Promise<OciBlob> {
  const file = join(layout, 'layer');
  await tar(['-cf', file, ...words]);
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const digest = hash.digest('hex');
  const { size } = await stat(file);
  await rename(file, join(layout, blobPath(digest)));
  return { digest, bytes: size };
}

async function tar(words: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(['tar', ...TAR, ...words]);
  if (code !== 0) throw new Error(`tar ${words.join(' ').slice(0, 300)} exited with ${code}:\n${stderr}`);
}
