// Runs in a lab node: a container checkpointed by its engine alone and through ghostlimit in turn, in one warm process, as an agent does it. Prints milliseconds as JSON.
// Arguments: container, engine, rounds, the built program.
import { Command } from 'commander';
import { noMetrics } from '../../src/adapters/metrics/no-metrics.ts';
import { NodeSettingsSchema } from '../../src/api/settings.ts';
import { addPlaceFlags, type PlaceFlags } from '../../src/host-flags.ts';
import { createHost } from '../../src/host-wiring.ts';
import { gatherSubjects, type CheckpointSubject } from '../../src/node-engine/checkpoint-subjects.ts';
import { readKnownPolicies } from '../../src/node-engine/known-policies.ts';
import { takeCheckpoint } from '../../src/node-engine/take-checkpoint.ts';

const [container = '', engine = '', rounds = '20', program = ''] = process.argv.slice(2);
const TIMEOUT_MS = 60_000;
// The scanner's child is this process's own program: the built product.
process.argv[1] = program;

const places = addPlaceFlags(new Command()).parse(['--runtime', engine], { from: 'user' }).opts<PlaceFlags>();
const host = await createHost(places, { logLevel: 'error', metrics: noMetrics });
const { policies } = await readKnownPolicies(null, host.documents);
const settings = NodeSettingsSchema.parse({});
await host.criuReaders.refreshIfUnknown(settings.files);
const { criuVersion } = await host.facts.read();

async function subjectNow(): Promise<CheckpointSubject> {
  const [subject] = await gatherSubjects(host.runtimes, container, null);
  if (subject === undefined) throw new Error(`no container ${container}`);
  return subject;
}

/** The engine's own call, nothing before and after it. */
async function byEngine(round: number): Promise<number> {
  const subject = await subjectNow();
  const startedMs = performance.now();
  await subject.runtime.checkpoint({
    container: subject.container,
    checkpointName: `bench-${round.toString()}`,
    archiveDirectory: settings.archives.directory,
    timeoutMs: TIMEOUT_MS,
  });
  return performance.now() - startedMs;
}

async function byGhostlimit(): Promise<number> {
  const startedMs = performance.now();
  const subject = await subjectNow();
  const result = await takeCheckpoint(
    { subject, timeoutMs: TIMEOUT_MS },
    { ...host, policies, settings, criuVersion },
  );
  if (result.result !== 'Succeeded') throw new Error(`${result.reason ?? ''}: ${result.message ?? ''}`);
  return performance.now() - startedMs;
}

const pairs: { otherMs: number; oursMs: number }[] = [];
await byGhostlimit();
for (let round = 0; round < Number(rounds); round += 1) {
  pairs.push({ otherMs: await byEngine(round), oursMs: await byGhostlimit() });
}
process.stdout.write(`${JSON.stringify(pairs)}\n`);
process.exit(0);
