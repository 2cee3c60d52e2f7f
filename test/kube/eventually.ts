// Waits on a lab cluster for what comes in its own time; what a wait in vain says is the cluster's own words.
import { setTimeout as sleep } from 'node:timers/promises';

const WAIT_MS = 120_000;
const POLL_MS = 100;

/**
 * The first value of `probe` that is not null. Throws after two minutes, with the last lines of each log when `lab` is
 * given. What `probe` throws is not waited for.
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null>,
  lab?: { describeLogs: () => Promise<string> },
): Promise<T> {
  const giveUpAt = Date.now() + WAIT_MS;
  for (;;) {
    const value = await probe();
    if (value !== null) return value;
    if (Date.now() > giveUpAt)
      throw new Error(`waited ${WAIT_MS / 1000} s in vain for ${what}\n${(await lab?.describeLogs()) ?? ''}`);
    await sleep(POLL_MS);
  }
}
