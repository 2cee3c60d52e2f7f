// The real agent under SIGKILLs beside a second writer: a seeded sample of what `npm run soak -- agent-kills` does a thousand times.
import { expect, test } from '@jest/globals';
import { runAgentKills } from '../../hack/crash/trials-in-a-node.ts';

test('whenever all is quiet the file is their text and what policies ask for; in the end exactly their text', async () => {
  const totals = await runAgentKills({ seed: 1, kills: 20 });
  expect(totals.kills).toBe(20);
  expect(totals.edits).toBeGreaterThan(100);
  expect(totals.managed).toBeGreaterThan(5);
});
