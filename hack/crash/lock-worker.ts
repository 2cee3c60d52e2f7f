// One process among many that take the same lock again and again, for the test that two never have it at once.
// Usage: lock-worker.ts FOLDER ROUNDS | lock-worker.ts FOLDER hold. Writes one line for each time it had the lock; exits 3 when somebody else had it too.
import * as fs from 'node:fs';
import * as posix from 'node:path/posix';
import { createStateFolder } from '../../src/adapters/host/state-folder.ts';

const [folder = '', rounds = '1'] = process.argv.slice(2);
const store = createStateFolder({ directory: folder });
const witness = posix.join(folder, 'witness');

function enter(): void {
  try {
    fs.writeFileSync(witness, process.pid.toString(), { flag: 'wx' });
  } catch {
    process.stdout.write('two at once\n');
    process.exit(3);
  }
}

if (rounds === 'hold') {
  await store.lock('engine', 0);
  process.stdout.write('held\n');
  setInterval(() => undefined, 1_000);
} else {
  for (let round = 0; round < Number(rounds); round += 1) {
    const lock = await store.lock('engine', 60_000);
    enter();
    fs.appendFileSync(posix.join(folder, 'log'), `${process.pid}\n`);
    await new Promise((resolve) => setImmediate(resolve));
    fs.unlinkSync(witness);
    await lock.release();
  }
}
