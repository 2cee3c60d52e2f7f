// Measures and closes off the folder of a finished checkpoint. It holds a process's memory: nobody but root may read it.
import { chmod, lstat, readdir } from 'node:fs/promises';
import * as posix from 'node:path/posix';

/** Sum of the sizes of all files below `folder`, in bytes. Links are counted, not followed. */
export async function measureFolder(folder: string): Promise<number> {
  let total = 0;
  for (const path of await filesBelow(folder)) total += (await lstat(path)).size;
  return total;
}

/** Makes every file below `folder` 0600 and every folder 0700, itself included; links are left alone. */
export async function closeFolder(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) await closeFolder(path);
    else if (entry.isFile()) await chmod(path, 0o600);
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = entries.map(async (entry) => {
    const path = posix.join(folder, entry.name);
    return entry.isDirectory() ? await filesBelow(path) : [path];
  });
  return (await Promise.all(nested)).flat();
}
