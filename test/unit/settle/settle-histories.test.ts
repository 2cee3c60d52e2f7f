// 40 random histories of a whole cluster, controller and agents on a simulated API server; `npm run soak -- settle` runs 1,000 and more, with other seeds.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import type { SettleTotals } from '../../settle/settle-histories.ts';

const HISTORIES = 40;

// In a process of its own: hundreds of thousands of awaited calls take a hundred times the memory among jest's modules (measured: 4 GiB against 250 MiB).
test(`${HISTORIES.toString()} histories come to the wanted state, stay there and fall silent`, async () => {
  const words = ['hack/soak.ts', 'settle', HISTORIES.toString(), '1'];
  const soak = promisify(execFile)(process.execPath, words, { timeout: 500_000 });
  // What went wrong stands in what it printed.
  const { stdout } = await soak.catch((error: unknown) => error as { readonly stdout: string });
  expect(stdout).toMatch(/seed 1: \{.*\} in \d+ s, nothing lost/);
  const totals = JSON.parse(/\{.*\}/.exec(stdout)?.[0] ?? '') as SettleTotals;
  expect(totals.histories).toBe(HISTORIES);
  // They are about something: many steps, calls that fail, checkpoints that are taken.
  expect(totals.steps).toBeGreaterThan(HISTORIES * 5);
  expect(totals.failedCalls).toBeGreaterThan(1_000);
  expect(totals.requests).toBeGreaterThan(HISTORIES);
  expect(totals.completeRequests).toBeGreaterThan(10);
});
