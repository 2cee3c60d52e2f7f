// Rewrites the CRIU file as Ansible does, again and again, and times how long our lines are missing; runs in the lab node beside the agent.
// Usage: drift.ts COUNT REST-MS. Prints the times as a JSON array, milliseconds.
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const PATH = '/etc/criu/runc.conf';
const GIVE_UP_MS = 90_000;

const [count = '200', restMs = '700'] = process.argv.slice(2);
const times: number[] = [];
for (let round = 0; round < Number(count); round += 1) {
  await sleep(Number(restMs));
  // Another text each time: the same one again and again would be a fight, from which the agent retreats.
  fs.writeFileSync(`${PATH}.new`, `# rewritten ${round} ${restMs}\n`);
  fs.renameSync(`${PATH}.new`, PATH);
  const startedMs = performance.now();
  while (!fs.readFileSync(PATH, 'utf8').includes('\n# END ghostlimit\n')) {
    if (performance.now() - startedMs > GIVE_UP_MS) throw new Error('not healed');
    await sleep(1);
  }
  times.push(performance.now() - startedMs);
}
process.stdout.write(`${JSON.stringify(times)}\n`);
