// `npm run soak`: the long counts, of which `npm test` runs small seeded samples. Prints seeds and figures; a failure names its seed.
// Usage: npm run soak [-- SECTION [COUNT [FIRST-SEED]]]. Without words every section, one after the other.
import { runHistories } from '../test/histories/node-file-histories.ts';
import { runRequestKills } from '../test/kube/request-kills.ts';
import { runSettleHistories } from '../test/settle/settle-histories.ts';
import { runAgentKills, runPowerCuts } from './crash/trials-in-a-node.ts';

interface Section {
  readonly name: string;
  readonly count: number;
  /** Rejects with what is wrong; gives the figures, each with what it is about. */
  readonly run: (count: number, seed: number) => AsyncIterable<readonly [what: string, figures: object]>;
}

const DISKS = [
  { fileSystem: 'ext4', mountOptions: 'rw' },
  { fileSystem: 'ext4', mountOptions: 'noauto_da_alloc' },
  { fileSystem: 'xfs', mountOptions: 'rw' },
] as const;
/** One agent's log and memory of fights last no longer; each part has a node of its own. */
const KILLS_AT_ONCE = 100;
/** A cluster each: its requests and archives pile up. */
const REQUEST_KILLS_AT_ONCE = 50;
/** Somebody may be waiting for a line. */
const HISTORIES_AT_ONCE = 100;

const SECTIONS: readonly Section[] = [
  {
    name: 'histories',
    count: 100_000,
    async *run(count, seed) {
      yield ['random histories of one CRIU file, in memory', await runHistories({ seed, count })];
    },
  },
  {
    name: 'settle',
    count: 1_000,
    async *run(count, seed) {
      for (let done = 0; done < count; done += HISTORIES_AT_ONCE) {
        const part = Math.min(HISTORIES_AT_ONCE, count - done);
        yield [
          `random histories of a cluster, in memory, seed ${seed + done}`,
          await runSettleHistories({ seed: seed + done, count: part }),
        ];
      }
    },
  },
  {
    name: 'power-cuts',
    count: 10_000,
    async *run(cuts, seed) {
      for (const disk of DISKS)
        yield [
          `power cuts on ${disk.fileSystem} (${disk.mountOptions})`,
          await runPowerCuts({ ...disk, seed, cuts }),
        ];
    },
  },
  {
    name: 'agent-kills',
    count: 1_000,
    async *run(count, seed) {
      for (let done = 0; done < count; done += KILLS_AT_ONCE) {
        const kills = Math.min(KILLS_AT_ONCE, count - done);
        yield [
          `kills of the agent beside a second writer, seed ${seed + done}`,
          await runAgentKills({ seed: seed + done, kills }),
        ];
      }
    },
  },
  {
    name: 'request-kills',
    count: 200,
    async *run(count, seed) {
      for (let done = 0; done < count; done += REQUEST_KILLS_AT_ONCE) {
        const kills = Math.min(REQUEST_KILLS_AT_ONCE, count - done);
        yield [
          `kills of the agent during requests on a real cluster, seed ${seed + done}`,
          await runRequestKills({ seed: seed + done, kills }),
        ];
      }
    },
  },
];

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** False: something was wrong, and has been said. */
async function runSection({ name, run }: Section, count: number, seed: number): Promise<boolean> {
  print(`${name}: ${count}, seeds from ${seed}`);
  let startedMs = performance.now();
  try {
    for await (const [what, figures] of run(count, seed)) {
      const seconds = (performance.now() - startedMs) / 1000;
      print(`  ${what}: ${JSON.stringify(figures)} in ${seconds.toFixed(0)} s, nothing lost`);
      startedMs = performance.now();
    }
    return true;
  } catch (error) {
    print(`  ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return false;
  }
}

const [wanted, count, seed = '1'] = process.argv.slice(2);
const sections = SECTIONS.filter(({ name }) => wanted === undefined || name === wanted);
if (sections.length === 0)
  print(`no section ${wanted ?? ''}: there are ${SECTIONS.map(({ name }) => name).join(', ')}`);
let failed = sections.length === 0 ? 1 : 0;
for (const section of sections)
  if (!(await runSection(section, Number(count ?? section.count), Number(seed)))) failed += 1;
process.exitCode = failed === 0 ? 0 : 1;
