// Everything that the lab builds once, in one call: what a test run does first, so that no test waits for a build.
import { ensureContainerd } from './containerd-build.ts';
import { ensureNettyTree } from './netty.ts';
import { ensureJreRoot, ensureNodeRoot } from './node-root.ts';
import type { Progress } from './node-root.ts';

/**
 * Builds what the user's cache folder does not have yet, side by side: about 3 min on 2 cores, nothing when all is
 * there. Rejects with the first thing that is missing on this machine and what to do, after the others have ended.
 */
export async function ensureLabTrees(progress: Progress): Promise<void> {
  const results = await Promise.allSettled([
    ensureNodeRoot(progress),
    ensureNodeRoot(progress, 'trixie'),
    ensureJreRoot(progress),
    ensureNettyTree(progress),
    ensureContainerd(progress),
  ]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
