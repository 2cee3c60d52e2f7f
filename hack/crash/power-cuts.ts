// Power cuts on one file system, as a program inside a lab node: its mounts and its loop device end with the node.
// Usage: power-cuts.ts ext4|xfs MOUNT-OPTIONS|- SEED CUTS [NoDirectorySync|NoFileSync]. Prints the totals as JSON; exits 1 with the seed of the first history that goes wrong.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { seededRandom } from '../../test/histories/random.ts';
import { createLoopDisk, HERE } from '../lab/loop-disk.ts';
import type { Mutation } from './disturbed-calls.ts';
import { FakeBoots } from './disk-writer.ts';
import { PowerCutHistory, type PowerCutTotals } from './power-cut-history.ts';
import { startPowerSwitch } from './power-switch.ts';

const [fileSystem = 'ext4', mountOptions = '-', seed = '1', cuts = '100', mutation] = process.argv.slice(2);
const folder = fs.mkdtempSync(posix.join(os.tmpdir(), 'power-cuts-'));
const disk = await createLoopDisk(HERE, {
  fileSystem: fileSystem as 'ext4' | 'xfs',
  folder: posix.join(folder, 'loop'),
  ...(mountOptions !== '-' && { mountOptions }),
});
const power = startPowerSwitch(disk.mountPoint);
const world = {
  disk,
  power,
  boots: new FakeBoots(posix.join(folder, 'proc')),
  mutation: (mutation ?? null) as Mutation | null,
};
const totals: PowerCutTotals = {
  histories: 0,
  cuts: 0,
  foundOld: 0,
  foundNew: 0,
  reportedBefore: 0,
  kills: 0,
  commits: 0,
  edits: 0,
  removals: 0,
};
for (let next = Number(seed); totals.cuts < Number(cuts); next += 1) {
  try {
    await new PowerCutHistory(seededRandom(next), world, totals).run();
  } catch (error) {
    process.stderr.write(`history with seed ${next}, after ${totals.cuts} cuts: ${(error as Error).stack}\n`);
    process.exitCode = 1;
    break;
  }
}
power.close();
process.stdout.write(`${JSON.stringify(totals)}\n`);
