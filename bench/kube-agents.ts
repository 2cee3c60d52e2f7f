// The operator at size: the real controller and many real agent cores on in-memory hosts against a real API server. From the apply of a policy to the line in every file, and what it costs.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiVersionOf, type KubeObject } from '../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_POLICIES } from '../src/api/kube-resources.ts';
import { AGENT_NAME, SYSTEM_NAMESPACE } from '../src/api/names.ts';
import { ended } from '../hack/lab/program.ts';
import { AGENT, CONTROLLER, ROOT } from '../test/kube/installed-plane.ts';
import type { AgentPlan, AgentsState } from './inside/kube-agents.ts';
import type { Written } from './inside/kube-writer.ts';
import { inTurns } from './inside/kube-worker.ts';
import {
  inParts,
  insideKubeconfig,
  spawnInside,
  startLoad,
  sum,
  usageOf,
  type LoadProcess,
} from './kube-load.ts';
import { processMeter, requestsBetween, type ProcessMeter } from './kube-meter.ts';
import {
  createNodes,
  idleRate,
  nodeNames,
  onBenchPlane,
  until,
  webContainerId,
  type BenchPlane,
  type Print,
} from './kube-plane.ts';
import { quantile } from './statistics.ts';

const PROCESSES = 4;
const ROUNDS = 5;
const MIB = 1_048_576;
const GHOST_BYTES = 2 * MIB;
const FIRST_LIMIT_MIB = 4;
/** A roll-out is over when no agent has reported for so long, milliseconds: the controller writes a policy's status at most each 10 s. */
const QUIET_MS = 12_000;
/** The scans of a container are over: at once, after 5 s and after 30 s. */
const SETTLE_MS = 45_000;
const LISTEN = '127.0.0.1:19808';
const AT_ONCE = 8;

interface Fleet extends BenchPlane {
  readonly count: number;
  readonly loads: readonly LoadProcess[];
  readonly controller: ProcessMeter;
  /** Milliseconds of CPU a second of the API server before anything ran. */
  readonly idle: number;
}

type Rested = Fleet & {
  /** The same with all agents at rest. */
  readonly rest: number;
};

/** CPU of the API server beyond what it takes at rest, and the reports that it took meanwhile. */
interface Share {
  readonly apiMs: number;
  readonly reports: number;
}

interface Round {
  readonly ackMs: number;
  readonly fileMs: readonly number[];
  readonly untilLastFile: Share;
  readonly afterwards: Share;
  readonly controllerMs: number;
  readonly clientsMs: number;
}

export async function benchAgents(count: number, restSeconds: number, print: Print): Promise<void> {
  await onBenchPlane(async (bench) => {
    print(`agents: ${count}, each with a client and a connection of its own, in ${PROCESSES} processes`);
    const fleet = await startFleet(bench, count, print);
    const rest = await reportRest(fleet, restSeconds, print);
    const before = await fleet.api.requests();
    const rounds: Round[] = [];
    print(
      '  change    answer     p50     p99    last | API server CPU until the last file |     afterwards         | reports a node | CPU ms: controller, agents',
    );
    for (let round = 0; round < ROUNDS; round += 1) {
      const one = await change({ ...fleet, rest }, FIRST_LIMIT_MIB + round);
      rounds.push(one);
      print(`  ${round === 0 ? 'create' : 'update'}  ${rowOf(one, count)}`);
    }
    reportRounds(rounds, print);
    print(
      `  requests of the ${ROUNDS} changes: ${listed(requestsBetween(before, await fleet.api.requests()))}`,
    );
    const { reports, complaints, repeated } = await stateOf(fleet.loads, 0);
    print(
      `  reports since the start: ${reports}, of which ${repeated} say word by word what the one before said`,
    );
    print('  warnings and errors of the agents:');
    for (const [text, number] of Object.entries(complaints)) print(`    ${number} x ${text}`);
  });
}

async function startFleet(bench: BenchPlane, count: number, print: Print): Promise<Fleet> {
  const { plane, admin, api, stops } = bench;
  const names = nodeNames(count);
  await createNodes(admin, names);
  const plans: AgentPlan[] = [];
  await inTurns(names, AT_ONCE, async (nodeName) => {
    const kubeconfig = insideKubeconfig(plane, AGENT, await tokenFor(bench, nodeName));
    plans.push({ nodeName, kubeconfig, containerId: webContainerId(nodeName), ghostBytes: GHOST_BYTES });
  });
  const idle = await idleRate(bench);
  const rssBefore = api.rssMib();
  const controller = await startController(bench);
  await until('the CheckpointNodes', async () => {
    const { items } = await admin.list(CHECKPOINT_NODES, { resourceVersion: '0' });
    return items.length >= count;
  });
  const loads = Array.from({ length: PROCESSES }, () => startLoad(plane, 'kube-agents.ts'));
  stops.push(async () => {
    await Promise.all(loads.map((load) => load.stop()));
  });
  const bare = await usageOf(loads);
  const cpuBefore = api.cpuMs();
  const startedMs = performance.now();
  const parts = inParts(plans, PROCESSES);
  await Promise.all(loads.map((load, index) => load.call('start', parts[index])));
  await until('all agents to be ready', async () => (await stateOf(loads, 0)).ready === count);
  const readyMs = performance.now() - startedMs;
  const fleet = { ...bench, count, loads, controller, idle };
  await untilQuiet(fleet);
  await sleep(SETTLE_MS);
  const { rssBytes, heapBytes } = await usageOf(loads);
  print(
    `  start of all: ready after ${(readyMs / 1000).toFixed(1)} s, API server ${((api.cpuMs() - cpuBefore) / count).toFixed(1)} ms CPU an agent with its first report, ${(((api.rssMib() - rssBefore) * 1024) / count).toFixed(0)} KiB of memory an agent`,
  );
  print(
    `  an agent beyond its process: RSS ${((rssBytes - bare.rssBytes) / count / 1024).toFixed(0)} KiB, heap ${((heapBytes - bare.heapBytes) / count / 1024).toFixed(0)} KiB (${count / PROCESSES} share a process)`,
  );
  return fleet;
}

/** A real token of the agents' account, bound to the node as that of the DaemonSet's pod there. */
async function tokenFor({ plane }: BenchPlane, nodeName: string): Promise<string> {
  const { status, text } = await plane.call({
    path: `/api/v1/namespaces/${SYSTEM_NAMESPACE}/serviceaccounts/${AGENT_NAME}/token`,
    method: 'POST',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: ['https://kubernetes.default.svc'],
        boundObjectRef: { apiVersion: 'v1', kind: 'Node', name: nodeName },
      },
    },
  });
  if (status !== 201) throw new Error(text);
  return (JSON.parse(text) as { status: { token: string } }).status.token;
}

async function startController({ plane, stops }: BenchPlane): Promise<ProcessMeter> {
  const folder = await mkdtemp(join(tmpdir(), 'ghostlimit-bench-'));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'kubeconfig');
  await writeFile(file, insideKubeconfig(plane, CONTROLLER));
  const program = [process.execPath, join(ROOT, 'dist/ghostlimit.mjs'), 'controller'];
  const flags = ['--kubeconfig', file, '--listen', LISTEN, '--log-level', 'error'];
  const child = spawnInside(plane, [...program, ...flags]);
  stops.push(async () => {
    child.kill('SIGKILL');
    await ended(child);
  });
  return processMeter(`/proc/${String(child.pid)}`);
}

async function stateOf(loads: readonly LoadProcess[], limitBytes: number): Promise<AgentsState> {
  const states = await Promise.all(loads.map((load) => load.call<AgentsState>('state', limitBytes)));
  return {
    ready: sum(states.map(({ ready }) => ready)),
    reports: sum(states.map(({ reports }) => reports)),
    repeated: sum(states.map(({ repeated }) => repeated)),
    wroteMs: states.flatMap(({ wroteMs }) => wroteMs),
    calls: added(states.map(({ calls }) => calls)),
    complaints: added(states.map(({ complaints }) => complaints)),
  };
}

function added(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((one) => Object.entries(one)))
    total[name] = (total[name] ?? 0) + count;
  return total;
}

async function reportsOf({ loads }: Fleet): Promise<number> {
  return (await stateOf(loads, 0)).reports;
}

/** Each agent has reported, and none has for a while. */
async function untilQuiet(fleet: Fleet): Promise<void> {
  let [reports, sinceMs] = [-1, performance.now()];
  await until('the agents to be quiet', async () => {
    const now = await reportsOf(fleet);
    if (now !== reports) [reports, sinceMs] = [now, performance.now()];
    return now >= fleet.count && performance.now() - sinceMs >= QUIET_MS;
  });
}

/** Returns what the API server takes at rest, milliseconds of CPU a second. */
async function reportRest(fleet: Fleet, restSeconds: number, print: Print): Promise<number> {
  const { api, controller, loads, count, idle } = fleet;
  const before = await api.requests();
  const callsBefore = (await stateOf(loads, 0)).calls;
  const clientsBefore = (await usageOf(loads)).cpuMs;
  const [apiBefore, controllerBefore] = [api.cpuMs(), controller.cpuMs()];
  await sleep(restSeconds * 1000);
  const apiRate = (api.cpuMs() - apiBefore) / restSeconds;
  const controllerRate = (controller.cpuMs() - controllerBefore) / restSeconds;
  const clientsRate = ((await usageOf(loads)).cpuMs - clientsBefore) / restSeconds;
  const requests = requestsBetween(before, await api.requests());
  const { calls } = await stateOf(loads, 0);
  const made = Object.entries(calls)
    .map(([name, number]): [string, number] => [name, number - (callsBefore[name] ?? 0)])
    .filter(([, number]) => number > 0);
  const perMinute = (number: number): string => ((number * 60) / restSeconds / count).toFixed(3);
  print(
    `  at rest, ${restSeconds} s: requests of an agent ${perMinute(sum(made.map(([, number]) => number)))} a minute (${listed(made) || 'none'}); all requests, without leases: ${listed(requests) || 'none'}`,
  );
  print(
    `  in the long run, computed: ${((3 * 60) / 900 + 0.1).toFixed(1)} requests of an agent a minute (three watches of 600 to 1,200 s, a report at least each 600 s)`,
  );
  print(
    `  at rest: API server ${apiRate.toFixed(1)} mCPU (${idle.toFixed(1)} before anything ran), controller ${controllerRate.toFixed(1)} mCPU and RSS ${controller.rssMib().toFixed(1)} MiB, all agents ${clientsRate.toFixed(1)} mCPU`,
  );
  return apiRate;
}

const listed = (counts: readonly (readonly [string, number])[]): string =>
  counts.map(([name, number]) => `${name} ${number}`).join(', ');

async function change(fleet: Rested, limitMib: number): Promise<Round> {
  const { controller, loads, writer, count } = fleet;
  const clientsBefore = (await usageOf(loads)).cpuMs;
  const controllerBefore = controller.cpuMs();
  const before = await standOf(fleet);
  const write = { resource: CHECKPOINT_POLICIES, object: policy(limitMib) };
  const { sentMs, answeredMs } = await writer.call<Written>('apply', write);
  let wroteMs: readonly number[] = [];
  await until('all files to be written', async () => {
    wroteMs = (await stateOf(loads, limitMib * MIB)).wroteMs;
    return wroteMs.length === count;
  });
  const between = await standOf(fleet);
  await untilQuiet(fleet);
  const after = await standOf(fleet);
  return {
    ackMs: answeredMs - sentMs,
    fileMs: wroteMs.map((atMs) => atMs - sentMs),
    untilLastFile: shareOf(before, between),
    afterwards: shareOf(between, after),
    controllerMs: controller.cpuMs() - controllerBefore,
    clientsMs: (await usageOf(loads)).cpuMs - clientsBefore,
  };
}

interface Stand extends Share {
  readonly atMs: number;
  /** What the API server takes at rest, milliseconds of CPU a second. */
  readonly rest: number;
}

async function standOf(fleet: Rested): Promise<Stand> {
  const reports = await reportsOf(fleet);
  return { reports, apiMs: fleet.api.cpuMs(), atMs: performance.now(), rest: fleet.rest };
}

function shareOf(before: Stand, after: Stand): Share {
  const restMs = ((after.atMs - before.atMs) * after.rest) / 1000;
  return { apiMs: after.apiMs - before.apiMs - restMs, reports: after.reports - before.reports };
}

function policy(limitMib: number): KubeObject {
  return {
    apiVersion: apiVersionOf(CHECKPOINT_POLICIES),
    kind: CHECKPOINT_POLICIES.kind,
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      targets: [
        {
          name: 'web',
          selector: { matchLabels: { app: 'web' } },
          ghostLimit: { fixed: `${limitMib}Mi` },
        },
      ],
    },
  };
}

function rowOf({ fileMs, untilLastFile, afterwards, ...one }: Round, count: number): string {
  const ms = (value: number): string => `${value.toFixed(0)} ms`.padStart(8);
  const times = [one.ackMs, quantile(fileMs, 0.5), quantile(fileMs, 0.99), Math.max(...fileMs)];
  const share = ({ apiMs, reports }: Share): string =>
    `${ms(apiMs)}, ${reports.toString().padStart(4)} reports`;
  const reports = (untilLastFile.reports + afterwards.reports) / count;
  return `${times.map(ms).join('')} | ${share(untilLastFile)} | ${share(afterwards)} | ${reports.toFixed(2)} | ${one.controllerMs.toFixed(0)}, ${one.clientsMs.toFixed(0)}`;
}

function reportRounds(rounds: readonly Round[], print: Print): void {
  const all = rounds.flatMap(({ fileMs }) => fileMs);
  print(
    `  apply to file, all changes: p50 ${quantile(all, 0.5).toFixed(0)} ms, p99 ${quantile(all, 0.99).toFixed(0)} ms, last ${Math.max(...all).toFixed(0)} ms; 500 ms of it are the wait for more edits`,
  );
  const after = rounds.map(({ afterwards }) => afterwards);
  const reportMs = sum(after.map(({ apiMs }) => apiMs)) / sum(after.map(({ reports }) => reports));
  const changeMs = rounds.map(({ untilLastFile: { apiMs, reports } }) => apiMs - reports * reportMs);
  const wholeMs = rounds.map(({ untilLastFile, afterwards }) => untilLastFile.apiMs + afterwards.apiMs);
  print(
    `  API server CPU: ${reportMs.toFixed(2)} ms a report, with what the controller makes of it; a change until the last file without the reports of that time: median ${quantile(changeMs, 0.5).toFixed(0)} ms; with all reports: median ${quantile(wholeMs, 0.5).toFixed(0)} ms`,
  );
}
