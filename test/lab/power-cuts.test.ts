// Power cuts under the real writer on real file systems: a seeded 200 of the 10,000 for each that `npm run soak -- power-cuts` makes.
import { expect, test } from '@jest/globals';
import type { Mutation } from '../../hack/crash/disturbed-calls.ts';
import { runPowerCuts } from '../../hack/crash/trials-in-a-node.ts';

test.each([
  ['ext4', 'rw', 80],
  // Without the rule by which ext4 itself writes the data down before a rename.
  ['ext4', 'noauto_da_alloc', 40],
  ['xfs', 'rw', 80],
] as const)(
  '%s with %s: nothing torn, lost or taken back by %i power cuts',
  async (fileSystem, mountOptions, cuts) => {
    const totals = await runPowerCuts({ fileSystem, mountOptions, seed: 1, cuts });
    expect(totals.cuts).toBeGreaterThanOrEqual(cuts);
    // The cuts came before, in the middle of and after what the writer does, and there was something to lose.
    const { foundOld, foundNew, reportedBefore, edits, commits } = totals;
    expect(Math.min(foundOld, foundNew, reportedBefore, edits, commits)).toBeGreaterThan(0);
  },
);

// The trials themselves are on trial: a writer that leaves one step out is caught, after 10 to 40 cuts (measured, seeds from 1, each of the three kinds of disk).
test.each(['NoDirectorySync', 'NoFileSync'] satisfies Mutation[])(
  'a writer with %s is caught',
  async (mutation) => {
    const run = runPowerCuts({ fileSystem: 'xfs', seed: 1, cuts: 400, mutation });
    await expect(run).rejects.toThrow(/history with seed \d+, after \d+ cuts/);
  },
);
