// The one place where Podman keeps a container's checkpoint, and keeps the one before safe while a new one is taken.
import { rename, rm, stat } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import { closeFolder, measureFolder } from './archive-folder.ts';

/**
 * What a checkpoint consists of in a container's static folder. Podman writes over what is there: a dump that fails leaves a mixture
 * of both that looks whole (measured, Podman 5.8: inventory.img of the older one among images of the new one).
 */
const PARTS = ['checkpoint', 'devshm-checkpoint.tar'] as const;
const IMAGES = PARTS[0];
const ASIDE = '.before-ghostlimit';
/** CRIU writes it when everything else is written (criu/cr-dump.c): without it a checkpoint is none. */
const LAST_IMAGE = 'inventory.img';

export class PodmanSlot {
  readonly #folder: string;

  /** `folder`: the container's static folder as this process sees it. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Puts the checkpoint that is there out of the way. What a killed program left behind is settled first. */
  async empty(): Promise<void> {
    if (await isThere(this.#aside(IMAGES))) await this.#settle();
    for (const part of PARTS) await renameIfThere(this.#path(part), this.#aside(part));
  }

  /** The new checkpoint stays: closes it to others than root, lets the one before go, and gives its size in bytes. */
  async keepNew(): Promise<number> {
    const images = this.#path(IMAGES);
    await closeFolder(images);
    await this.#drop((part) => this.#aside(part));
    return await measureFolder(images);
  }

  /** Whatever came of the new checkpoint goes; the one before is back. */
  async bringBack(): Promise<void> {
    await this.#drop((part) => this.#path(part));
    for (const part of PARTS) await renameIfThere(this.#aside(part), this.#path(part));
  }

  async #settle(): Promise<void> {
    if (await isThere(posix.join(this.#path(IMAGES), LAST_IMAGE)))
      await this.#drop((part) => this.#aside(part));
    else await this.bringBack();
  }

  async #drop(place: (part: string) => string): Promise<void> {
    for (const part of PARTS) await rm(place(part), { recursive: true, force: true });
  }

  #path(part: string): string {
    return posix.join(this.#folder, part);
  }

  #aside(part: string): string {
    return `${this.#path(part)}${ASIDE}`;
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  if (await isThere(from)) await rename(from, to);
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
