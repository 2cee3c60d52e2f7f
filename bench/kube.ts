// `npm run bench:kube -- [SECTION [COUNT [REST_SECONDS]]]`: the operator on a real kube-apiserver. Needs root and the lab, and the built program in dist/.
// The load runs on the same cores as the server: CPU seconds are what to compare, times are upper bounds.
import { benchAgents } from './kube-agents.ts';
import { benchInformers } from './kube-informers.ts';
import type { Print } from './kube-plane.ts';
import { benchWatchers } from './kube-watchers.ts';

const REST_SECONDS = 90;

const print: Print = (line) => {
  process.stdout.write(`${line}\n`);
};

interface Section {
  /** Without a count. */
  readonly counts: readonly number[];
  readonly run: (count: number, restSeconds: number, print: Print) => Promise<void>;
}

const SECTIONS: Readonly<Record<string, Section>> = {
  agents: { counts: [100, 500, 1_000], run: benchAgents },
  watchers: { counts: [5_000], run: benchWatchers },
  informer: { counts: [100], run: benchInformers },
};

const [asked, count, restSeconds = REST_SECONDS.toString()] = process.argv.slice(2);
if (asked !== undefined && !(asked in SECTIONS))
  throw new Error(`no section ${asked}; there are ${Object.keys(SECTIONS).join(', ')}`);
for (const [name, { counts, run }] of Object.entries(SECTIONS)) {
  if (asked !== undefined && asked !== name) continue;
  for (const one of count === undefined ? counts : [Number(count)])
    await run(one, Number(restSeconds), print);
}
