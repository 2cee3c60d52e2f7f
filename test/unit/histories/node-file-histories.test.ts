// 10,000 random histories of a CRIU file; `npm run soak` runs more with other seeds.
import { expect, test } from '@jest/globals';
import { runHistories } from '../../histories/node-file-histories.ts';

// All of it is computing: half a minute on a machine at rest, many times as long beside others.
test('10,000 histories end with exactly the users’ text', async () => {
  const totals = await runHistories({ seed: 1, count: 10_000 });
  expect(totals.histories).toBe(10_000);
  // The histories are about something: much is written, edited, killed and raced in them.
  expect(Math.min(totals.writes, totals.edits)).toBeGreaterThan(30_000);
  expect(Math.min(totals.crashes, totals.powerCuts, totals.failures, totals.lostRaces)).toBeGreaterThan(
    2_000,
  );
}, 1_800_000);
