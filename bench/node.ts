// `npm run bench:node`: the figures of the node engine, each as a ratio against what a user would pick instead, measured in the same run. Needs root and the lab. Sections by name: durable-write lint checkpoint agent drift.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchAgent } from './agent.ts';
import { benchCheckpoint } from './checkpoint.ts';
import { benchDrift } from './drift.ts';
import { benchDurableWrite } from './durable-write.ts';
import { benchLint } from './lint.ts';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function durableWrite(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ghostlimit-bench-'));
  try {
    const { ours, c, ratioP50, ratioP99, withCp } = await benchDurableWrite(folder);
    print(
      `durable write: ours p50 ${ours.p50Us.toString()} us, p99 ${ours.p99Us.toString()} us; the same steps in C p50 ${c.p50Us.toString()} us, p99 ${c.p99Us.toString()} us`,
    );
    print(
      `  ratio p50 ${ratioP50.toFixed(2)}, p99 ${ratioP99.toFixed(2)}; over a foreign file, with cp for its attributes: p50 ${withCp.p50Us.toString()} us`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const SECTIONS: Readonly<Record<string, () => Promise<void>>> = {
  'durable-write': durableWrite,
  lint: () => benchLint(print),
  checkpoint: () => benchCheckpoint(print),
  agent: () => benchAgent(print),
  drift: () => benchDrift(print),
};

const asked = process.argv.slice(2);
for (const [name, section] of Object.entries(SECTIONS)) {
  if (asked.length === 0 || asked.includes(name)) await section();
}
