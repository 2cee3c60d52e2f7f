// Everything that a lab cluster needs and that is built once, in one call: what a test run does first, so that no test
// waits for a build.
import { ensureContainerd } from '../lab/containerd-build.ts';
import { persistently } from '../lab/lab-trees.ts';
import { ensureNodeRoot } from '../lab/node-root.ts';
import type { Progress } from '../lab/node-root.ts';
import { ensureKubeBinaries } from './kube-binaries.ts';
import { ensureBusyboxImage, ensureNettyImage } from './test-images.ts';

/**
 * Builds what the user's cache folder does not have yet: about 10 min on 2 cores, nothing when all is there. Rejects
 * with the first thing that is missing on this machine and what to do, after the others have ended.
 */
export async function ensureKubeTrees(progress: Progress): Promise<void> {
  const trees: (() => Promise<unknown>)[] = [
    () => ensureKubeBinaries(progress),
    () => ensureNodeRoot(progress),
    () => ensureContainerd(progress),
    () => ensureBusyboxImage(progress),
    () => ensureNettyImage(progress),
  ];
  const results = await Promise.allSettled(trees.map((ensure) => persistently(ensure, progress)));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
