// The real agent under kills beside a second writer, as a program inside a lab node.
// Usage: agent-kills.ts PROGRAM POLICIES SEED KILLS APP.... Prints the totals as JSON; exits 1 with the seed when something is wrong.
import { seededRandom } from '../../test/histories/random.ts';
import { AgentUnderKills, type AgentKillTotals } from './agent-under-kills.ts';

const [program = '', policies = '', seed = '1', kills = '10', ...apps] = process.argv.slice(2);
const totals: AgentKillTotals = {
  kills: 0,
  edits: 0,
  overtaken: 0,
  policyChanges: 0,
  settled: 0,
  managed: 0,
  longestSettleMs: 0,
};
try {
  await new AgentUnderKills(seededRandom(Number(seed)), { program, policies, apps }, totals).run(
    Number(kills),
  );
} catch (error) {
  process.stderr.write(
    `seed ${seed}, after ${totals.kills} kills and ${totals.edits} edits: ${String((error as Error).stack)}\n`,
  );
  process.exitCode = 1;
}
process.stdout.write(`${JSON.stringify(totals)}\n`);
