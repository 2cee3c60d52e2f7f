// Turns a path as the host's programs know it into one that this process can open, when the host's root is mounted elsewhere.
import { readlink } from 'node:fs/promises';
import * as posix from 'node:path/posix';

const MAX_LINKS = 40;

/**
 * The path of this process for the absolute host path `path`. With a host root other than `/`, symbolic links are
 * resolved here, below that root: the kernel would follow an absolute one (`/var/run` → `/run`) out of it. Parts that do
 * not exist are kept as they are. The last part is never resolved: open it with O_NOFOLLOW. Rejects after 40 links.
 */
export async function pathOnHost(hostRoot: string, path: string): Promise<string> {
  const plain = posix.normalize(path);
  if (hostRoot === '/') return plain;
  const waiting = plain.split('/').filter((part) => part !== '');
  let resolved = '/';
  let links = 0;
  for (;;) {
    const part = waiting.shift();
    if (part === undefined) return posix.join(hostRoot, resolved);
    const next = posix.join(resolved, part);
    const target = waiting.length === 0 ? null : await linkTarget(posix.join(hostRoot, next));
    if (target === null) {
      resolved = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw new Error(`too many symbolic links in ${path}`);
    waiting.unshift(...target.split('/').filter((piece) => piece !== ''));
    if (target.startsWith('/')) resolved = '/';
  }
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch {
    return null;
  }
}
