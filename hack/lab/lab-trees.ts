// Everything that the lab builds once, in one call: what a test run does first, so that no test waits for a build.
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureContainerd } from './containerd-build.ts';
import { ensureNettyTree } from './netty.ts';
import { ensureJreRoot, ensureNodeRoot } from './node-root.ts';
import type { Progress } from './node-root.ts';

/** A mirror, a repository or a proxy may fail once; what is really missing fails each time. */
const TRIES = 3;
const TRY_AGAIN_MS = 5_000;

/** What `ensure` gives; it is tried three times before its failure is ours. */
export async function persistently<T>(ensure: () => Promise<T>, progress: Progress): Promise<T> {
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      return await ensure();
    } catch (error) {
      if (left === 0) throw error;
      progress(`trying again: ${error instanceof Error ? error.message : String(error)}`);
      await sleep(TRY_AGAIN_MS);
    }
  }
}

/**
 * Builds what the user's cache folder does not have yet, side by side: about 3 min on 2 cores, nothing when all is
 * there. Rejects with the first thing that is missing on this machine and what to do, after the others have ended.
 */
export async function ensureLabTrees(progress: Progress): Promise<void> {
  const trees = [
    () => ensureNodeRoot(progress),
    () => ensureNodeRoot(progress, 'trixie'),
    () => ensureJreRoot(progress),
    () => ensureNettyTree(progress),
    () => ensureContainerd(progress),
  ];
  const results = await Promise.allSettled(trees.map((ensure) => persistently(ensure, progress)));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
