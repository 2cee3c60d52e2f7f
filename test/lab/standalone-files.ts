// What docs/standalone.md has an administrator bring to a host, built anew: executable, checksum, image, unit.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildExecutable, type Executable } from '../../hack/executable.ts';
import { buildImage } from '../../hack/image.ts';
import type { Bind, LabNode } from '../../hack/lab/lab-node.ts';
import { PROJECT_INSIDE } from '../../hack/lab/lab-node.ts';

export const PROJECT = join(import.meta.dirname, '../..');
/** Where the files are in a node that was started with `bind`. */
export const FILES_INSIDE = '/root/ghostlimit';

export interface StandaloneFiles {
  readonly folder: string;
  readonly executable: Executable;
  readonly bind: Bind;
  remove(): Promise<void>;
}

/** 4 s, with the image 6 s. */
export async function buildStandaloneFiles(
  { image }: { readonly image: boolean } = { image: false },
): Promise<StandaloneFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'ghostlimit-standalone-'));
  const file = join(folder, 'ghostlimit');
  const executable = await buildExecutable(file, () => undefined);
  await copyFile(join(PROJECT, 'deploy/systemd/ghostlimit.service'), join(folder, 'ghostlimit.service'));
  if (image) await buildImage(join(folder, 'ghostlimit-image.tar'), () => undefined);
  return {
    folder,
    executable,
    bind: { from: folder, to: FILES_INSIDE, readOnly: true },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Takes away what the lab gives each node and a user's host does not have: Node and the project's folder. */
export async function takeAwayNodeAndProject(node: LabNode): Promise<void> {
  await node.run(['umount', PROJECT_INSIDE, '/usr/local/bin/node']);
  await node.run(['rm', '-r', PROJECT_INSIDE, '/usr/local/bin/node']);
}
