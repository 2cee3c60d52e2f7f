// How much disk a checkpoint may take while it is made. Pure.

interface ScannedMemory {
  readonly residentBytes: number;
  readonly files: readonly { readonly remap: string; readonly allocatedBytes: number }[];
}

/**
 * Free bytes that a checkpoint should find: memory and ghost files four times, and a tenth more. An estimate: a runtime keeps up to three copies at a time
 * (measured: the image, the content store and the archive of containerd), and CRIU writes more than memory.
 */
export function neededSpaceBytes({ residentBytes, files }: ScannedMemory): number {
  const ghosts = files.filter(({ remap }) => remap !== 'LinkRemap');
  const ghostBytes = ghosts.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  return Math.ceil(((residentBytes + ghostBytes) * 44) / 10);
}
