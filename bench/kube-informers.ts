// Our reflectors against the informers of @kubernetes/client-node, one after the other on the same API server: the plans and the pods of a node, for many nodes.
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKPOINT_PLANS } from '../src/api/kube-resources.ts';
import { PLAN_NAMES } from '../src/domain/plan/plan-shards.ts';
import { AGENT } from '../test/kube/installed-plane.ts';
import type { CachePlan, CachesState } from './inside/kube-informers.ts';
import type { Written } from './inside/kube-writer.ts';
import { insideKubeconfig, startLoad, usageOf, type LoadProcess } from './kube-load.ts';
import { requestsBetween } from './kube-meter.ts';
import {
  createNodes,
  createPlans,
  idleRate,
  nodeNames,
  onBenchPlane,
  planObject,
  until,
  type BenchPlane,
  type Print,
} from './kube-plane.ts';
import { quantile } from './statistics.ts';

const ROUNDS = 20;
const AFTER_MS = 500;
const SETTLE_MS = 10_000;
const RESOURCES = [' pods', ' checkpointplans'];

const REQUESTS = 'requests a minute at rest';
/** Two watches of 900 s on average. */
const OURS_A_MINUTE = (2 * 60) / 900;

type Figures = Readonly<Record<string, number>>;

export async function benchInformers(count: number, restSeconds: number, print: Print): Promise<void> {
  await onBenchPlane(async (bench) => {
    await createNodes(bench.admin, nodeNames(count));
    await createPlans(bench.admin);
    const idle = await idleRate(bench);
    print(
      `informers: plans and pods of a node for ${count} nodes, ours first and then those of @kubernetes/client-node; at rest ${restSeconds} s`,
    );
    const ours = await measure({ ...bench, by: 'reflector', count, restSeconds, idle }, print);
    const theirs = await measure({ ...bench, by: 'informer', count, restSeconds, idle }, print);
    print(`  ${'for one node'.padEnd(46)}${'ours'.padStart(10)}${'theirs'.padStart(10)}   theirs / ours`);
    for (const [name, our] of Object.entries(ours)) {
      const their = theirs[name] ?? Number.NaN;
      const ratio = our > 0 ? `${(their / our).toFixed(2)} x` : '-';
      print(`  ${name.padEnd(46)}${our.toFixed(2).padStart(10)}${their.toFixed(2).padStart(10)}   ${ratio}`);
    }
    print(
      `  ours open each of the two watches again after 600 to 1,200 s: ${OURS_A_MINUTE.toFixed(2)} requests a minute in the long run, computed, of which ${restSeconds} s show little; theirs / ours ${((theirs[REQUESTS] ?? Number.NaN) / OURS_A_MINUTE).toFixed(0)} x`,
    );
  });
}

type Side = BenchPlane &
  Pick<CachePlan, 'by'> & {
    readonly count: number;
    readonly restSeconds: number;
    readonly idle: number;
  };

async function measure(side: Side, print: Print): Promise<Figures> {
  const { plane, api, by, count, restSeconds, idle } = side;
  const load = startLoad(plane, 'kube-informers.ts');
  try {
    const bare = await usageOf([load]);
    const cpuBefore = api.cpuMs();
    const kubeconfig = insideKubeconfig(plane, AGENT);
    await load.call('start', { by, kubeconfig, nodeNames: nodeNames(count) } satisfies CachePlan);
    const openMs = api.cpuMs() - cpuBefore;
    await sleep(SETTLE_MS);
    const before = await api.requests();
    const own = await usageOf([load]);
    const [restBefore, connectionsBefore] = [api.cpuMs(), api.connections()];
    await sleep(restSeconds * 1000);
    const rest = (api.cpuMs() - restBefore) / restSeconds - idle;
    const connections = api.connections() - connectionsBefore;
    const { rssBytes, heapBytes, cpuMs } = await usageOf([load]);
    const requests = requestsBetween(before, await api.requests()).filter(([name]) =>
      RESOURCES.some((resource) => name.endsWith(resource)),
    );
    print(
      `  ${by}s at rest: ${requests.map(([name, number]) => `${name} ${number}`).join(', ') || 'no requests'}`,
    );
    const total = requests.reduce((all, [, number]) => all + number, 0);
    const { apiMs, p50Ms, lastMs } = await changes(side, load, rest + idle);
    const { errors } = await load.call<CachesState>('state');
    print(`  ${by}s: ${errors} errors`);
    return {
      [REQUESTS]: (total * 60) / restSeconds / count,
      'new connections a minute at rest': (connections * 60) / restSeconds / count,
      'API server CPU to open, ms': openMs / count,
      'API server CPU at rest, ms a minute': (rest * 60) / count,
      'API server CPU a change, us': (apiMs * 1000) / count,
      'change told, p50 ms': p50Ms,
      'change told, last ms': lastMs,
      'client CPU at rest, ms a minute': ((cpuMs - own.cpuMs) * 60) / restSeconds / count,
      'client RSS, KiB': (rssBytes - bare.rssBytes) / count / 1024,
      'client heap, KiB': (heapBytes - bare.heapBytes) / count / 1024,
    };
  } finally {
    await load.stop();
  }
}

interface Changes {
  readonly apiMs: number;
  readonly p50Ms: number;
  readonly lastMs: number;
}

async function changes({ api, writer, by, count }: Side, load: LoadProcess, rest: number): Promise<Changes> {
  const told: (readonly number[])[] = [];
  const [startMs, apiBefore] = [performance.now(), api.cpuMs()];
  for (let round = 0; round < ROUNDS; round += 1) {
    await load.call('forget');
    const object = planObject(PLAN_NAMES[3] ?? '', (by === 'reflector' ? 100 : 200) + round);
    const { sentMs } = await writer.call<Written>('apply', { resource: CHECKPOINT_PLANS, object });
    await sleep(AFTER_MS);
    let toldMs: readonly number[] = [];
    await until('the change in every cache', async () => {
      toldMs = (await load.call<CachesState>('state')).toldMs;
      return toldMs.length >= count;
    });
    told.push(toldMs.map((atMs) => atMs - sentMs));
  }
  const apiMs = api.cpuMs() - apiBefore - ((performance.now() - startMs) * rest) / 1000;
  return {
    apiMs: apiMs / ROUNDS,
    p50Ms: quantile(told.flat(), 0.5),
    lastMs: quantile(
      told.map((times) => Math.max(...times)),
      0.5,
    ),
  };
}
