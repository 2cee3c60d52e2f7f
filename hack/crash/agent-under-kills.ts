// The real agent in a lab node, killed at random moments while somebody else edits the CRIU file and the policies change. When all is quiet, the file must be their text and
// what policies ask for, and CRIU must take it; in the end, without policies, exactly their text.
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeCriuConf } from '../../src/domain/criu-conf/judge.ts';
import { planFile } from '../../src/domain/criu-conf/plan-file.ts';
import type { Random } from '../../test/histories/random.ts';
import { ended } from '../lab/program.ts';
import { startSecondWriter, type SecondWriter } from './second-writer.ts';

export interface AgentKillTotals {
  kills: number;
  edits: number;
  /** Edits in place whose file we took out of its place meanwhile (see SecondWriter). */
  overtaken: number;
  policyChanges: number;
  /** Times that all was quiet and right, and how often our block was in the file then. */
  settled: number;
  managed: number;
  /** The longest time from the last edit to a settled file, milliseconds. */
  longestSettleMs: number;
}

export interface AgentPlaces {
  /** The built program. */
  readonly program: string;
  readonly policies: string;
  /** Containers of runc that run, with an annotation `app` of this value. */
  readonly apps: readonly string[];
}

const PATH = '/etc/criu/runc.conf';
const LIMITS_MIB = [2, 3, 12, 16, 64];
const READY = 'http://127.0.0.1:9808/readyz';
const EDITS_PER_KILL = 10;
/** The agent rests at most 30 s after a file that others change again and again. */
const SETTLE_TIMEOUT_MS = 45_000;
const POLL_MS = 5;

export class AgentUnderKills {
  readonly #random: Random;
  readonly #places: AgentPlaces;
  readonly #totals: AgentKillTotals;
  readonly #writer: SecondWriter;
  /** app → the limit that its policy asks for, MiB. */
  readonly #asked = new Map<string, number>();
  #agent: ChildProcess | null = null;

  constructor(random: Random, places: AgentPlaces, totals: AgentKillTotals) {
    this.#random = random;
    this.#places = places;
    this.#totals = totals;
    this.#writer = startSecondWriter(PATH, random);
  }

  /** Rejects with what is wrong. No agent is left running. */
  async run(kills: number): Promise<void> {
    const end = this.#totals.kills + kills;
    try {
      while (this.#totals.kills < end) await this.#round();
      await this.#leave();
    } finally {
      this.#totals.overtaken = this.#writer.overtaken();
      await this.#kill();
    }
  }

  /** Edits, changes and one kill, all at random moments of the same second; then quiet. */
  async #round(): Promise<void> {
    const random = this.#random;
    this.#start();
    const killed = sleep(random.below(1_000)).then(async () => {
      await this.#kill();
      this.#totals.kills += 1;
      if (random.chance(0.2)) await sleep(random.below(1_500));
      this.#start();
    });
    if (random.chance(0.6)) await this.#writer.rewrite();
    const edits = random.below(2 * EDITS_PER_KILL + 1);
    for (let edit = 0; edit < edits; edit += 1) {
      await sleep(random.chance(0.5) ? random.below(5) : random.below(120));
      await this.#writer.edit();
      this.#totals.edits += 1;
      if (random.chance(0.15)) this.#changePolicies();
    }
    await killed;
    await this.#settle();
  }

  #start(): void {
    if (this.#agent !== null) return;
    const { program, policies } = this.#places;
    this.#agent = spawn(
      process.execPath,
      [program, 'agent', '--standalone', '--policies', policies, '--runtime', 'runc', '--log-level', 'error'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
  }

  async #kill(): Promise<void> {
    const agent = this.#agent;
    this.#agent = null;
    agent?.kill('SIGKILL');
    if (agent !== null) await ended(agent);
  }

  #changePolicies(): void {
    const app = this.#random.pick(this.#places.apps);
    const file = `${this.#places.policies}/${app}.yaml`;
    this.#totals.policyChanges += 1;
    if (this.#random.chance(0.3)) {
      this.#asked.delete(app);
      fs.rmSync(file, { force: true });
      return;
    }
    const limitMib = this.#random.pick(LIMITS_MIB);
    this.#asked.set(app, limitMib);
    fs.writeFileSync(`${file}.new`, policyFor(app, limitMib));
    fs.renameSync(`${file}.new`, file);
  }

  /** Waits until the agent has nothing more to do with the file as it is, then looks at it. */
  async #settle(): Promise<void> {
    const startedMs = performance.now();
    while (!((await isReady()) && this.#isSettled())) {
      const agent = this.#agent;
      if (agent !== null && agent.exitCode !== null)
        throw new Error(`the agent ended with ${agent.exitCode}`);
      if (performance.now() - startedMs > SETTLE_TIMEOUT_MS)
        throw new Error(`not settled: ${JSON.stringify(this.#writer.look())}`);
      await sleep(POLL_MS);
    }
    this.#totals.longestSettleMs = Math.max(
      this.#totals.longestSettleMs,
      Math.round(performance.now() - startedMs),
    );
    this.#totals.settled += 1;
    this.#judge();
  }

  #isSettled(): boolean {
    const text = this.#contentOnceExplained();
    if (text === undefined) return false;
    const content = text === null ? null : Buffer.from(text, 'latin1');
    const limitMib = Math.max(0, ...this.#asked.values());
    const { action } = planFile({
      path: PATH,
      content,
      directoryPresent: fs.existsSync('/etc/criu'),
      desired: { ghostLimitBytes: limitMib === 0 ? null : BigInt(limitMib) * 1_048_576n, options: [] },
      judge: judgeCriuConf,
      origin: null,
    });
    return action.kind === 'Leave';
  }

  /** undefined: it is not their text with a block of ours, or not yet: what they wrote too late is on its way back. */
  #contentOnceExplained(): string | null | undefined {
    try {
      return this.#writer.look().content;
    } catch {
      return undefined;
    }
  }

  /** CRIU refuses the file only if it refuses their text. */
  #judge(): void {
    const { content, foreign } = this.#writer.look();
    if (content !== foreign) this.#totals.managed += 1;
    const verdict = (text: string | null): string => judgeCriuConf(Buffer.from(text ?? '', 'latin1')).verdict;
    if (verdict(foreign) === 'Refused' || verdict(content) === 'Accepted') return;
    throw new Error(`refused because of us: ${JSON.stringify(content)}`);
  }

  /** Without policies nothing of ours stays, and the agent ends when it is asked to. */
  async #leave(): Promise<void> {
    for (const app of this.#asked.keys()) fs.rmSync(`${this.#places.policies}/${app}.yaml`);
    this.#asked.clear();
    await this.#settle();
    const { content, foreign } = this.#writer.look();
    if (content !== foreign) throw new Error(`not their text: ${JSON.stringify({ content, foreign })}`);
    const agent = this.#agent;
    agent?.kill('SIGTERM');
    if (agent !== null) await ended(agent);
    this.#agent = null;
    if (agent?.exitCode !== 0) throw new Error('the agent did not end in order');
    const ours = fs.existsSync('/etc/criu') ? fs.readdirSync('/etc/criu') : [];
    if (ours.some((name) => name.startsWith('.ghostlimit'))) throw new Error(`left: ${ours.join(', ')}`);
  }
}

/** The agent has made its first pass. One connection a question: nothing is left of one to an agent that was killed. */
function isReady(): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(READY, { agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => {
      resolve(false);
    });
  });
}

function policyFor(app: string, limitMib: number): string {
  return `apiVersion: ghostlimit.dev/v1alpha1
kind: CheckpointPolicy
metadata: {name: ${app}}
spec:
  targets:
  - name: main
    selector: {matchLabels: {app: ${app}}}
    ghostLimit: {fixed: ${limitMib}Mi}
`;
}
