// Thousands of watches of the plans without an agent behind them: how long a change takes to the last, and what it costs the API server.
import { setTimeout as sleep } from 'node:timers/promises';
import { API_INSIDE } from '../hack/kube/control-plane.ts';
import { CHECKPOINT_PLANS } from '../src/api/kube-resources.ts';
import { PLAN_NAMES } from '../src/domain/plan/plan-shards.ts';
import { AGENT, pathOf } from '../test/kube/installed-plane.ts';
import type { WatcherPlan, WatchersState } from './inside/kube-watchers.ts';
import type { Written } from './inside/kube-writer.ts';
import { startLoad, sum, usageOf, type LoadProcess } from './kube-load.ts';
import {
  createPlans,
  idleRate,
  onBenchPlane,
  planObject,
  until,
  type BenchPlane,
  type Print,
} from './kube-plane.ts';
import { quantile } from './statistics.ts';

const PROCESSES = 4;
const ROUNDS = 7;
/** After the last has it: what the server still has to do for it. */
const AFTER_MS = 500;
const BETWEEN_MS = 3_000;
/** A bare client in Go, 5,000 watches of 16 plans on the same kind of machine. */
const BARE = { count: 5_000, apiMs: 230, p50Ms: 110, p99Ms: 250, lastMs: 260 };

interface Round {
  readonly deliveryMs: readonly number[];
  readonly apiMs: number;
  readonly clientsMs: number;
}

export async function benchWatchers(count: number, restSeconds: number, print: Print): Promise<void> {
  await onBenchPlane(async (bench) => {
    const { api } = bench;
    const planBytes = await createPlans(bench.admin);
    print(
      `watchers: ${count} of ${PLAN_NAMES.length} plans of ${planBytes} bytes, each on an HTTP/2 connection of its own, in ${PROCESSES} processes`,
    );
    const idle = await idleRate(bench);
    const [cpuBefore, rssBefore, startedMs] = [api.cpuMs(), api.rssMib(), performance.now()];
    const loads = await openWatches(bench, count);
    print(
      `  open: ${((performance.now() - startedMs) / 1000).toFixed(1)} s, API server ${((api.cpuMs() - cpuBefore) / count).toFixed(2)} ms CPU and ${(((api.rssMib() - rssBefore) * 1024) / count).toFixed(0)} KiB of memory each; the first events of the watch are the 16 plans`,
    );
    await sleep(BETWEEN_MS);
    const [restBefore, restMs] = [api.cpuMs(), restSeconds * 1000];
    await sleep(restMs);
    const rest = (api.cpuMs() - restBefore) / restSeconds;
    print(`  at rest: API server ${rest.toFixed(1)} mCPU (${idle.toFixed(1)} before), bookmarks included`);
    await measure({ ...bench, loads, count, rest }, print);
  });
}

async function openWatches({ plane, stops }: BenchPlane, count: number): Promise<LoadProcess[]> {
  const loads = Array.from({ length: PROCESSES }, () => startLoad(plane, 'kube-watchers.ts'));
  stops.push(async () => {
    await Promise.all(loads.map((load) => load.stop()));
  });
  const target: WatcherPlan = {
    count: Math.ceil(count / PROCESSES),
    url: API_INSIDE,
    ca: plane.ca,
    token: plane.tokenOf(AGENT),
    path: `${pathOf(CHECKPOINT_PLANS)}?watch=true&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds=3600`,
  };
  await Promise.all(loads.map((load) => load.call('start', target)));
  return loads;
}

type Opened = BenchPlane & {
  readonly loads: readonly LoadProcess[];
  readonly count: number;
  readonly rest: number;
};

async function measure(opened: Opened, print: Print): Promise<void> {
  const { loads, count } = opened;
  const rounds: Round[] = [];
  print('  change     p50      p99     last | API server CPU | CPU of the watchers');
  for (let round = 0; round < ROUNDS; round += 1) {
    const one = await change(opened, round + 2);
    rounds.push(one);
    const ms = (value: number): string => `${value.toFixed(0)} ms`.padStart(9);
    const { deliveryMs } = one;
    const times = [quantile(deliveryMs, 0.5), quantile(deliveryMs, 0.99), Math.max(...deliveryMs)];
    print(
      `  ${(round + 1).toString()}   ${times.map(ms).join('')} | ${ms(one.apiMs)} | ${ms(one.clientsMs)}`,
    );
    await sleep(BETWEEN_MS);
  }
  const median = (of: (round: Round) => number): number => quantile(rounds.map(of), 0.5);
  const [apiMs, lastMs] = [median((one) => one.apiMs), median(({ deliveryMs }) => Math.max(...deliveryMs))];
  const clientsMs = median((one) => one.clientsMs);
  print(
    `  median: API server ${apiMs.toFixed(0)} ms CPU = ${((apiMs * 1000) / count).toFixed(0)} us a watcher, last ${lastMs.toFixed(0)} ms; the watchers took ${(clientsMs / apiMs).toFixed(1)} x that CPU on the same cores`,
  );
  const perWatcher = (BARE.apiMs * 1000) / BARE.count;
  print(
    `  for comparison, measured before with a bare client in Go: ${BARE.apiMs} ms CPU = ${perWatcher} us a watcher of ${BARE.count}, p50 ${BARE.p50Ms}, p99 ${BARE.p99Ms}, last ${BARE.lastMs} ms; ratio of the CPU a watcher ${((apiMs * 1000) / count / perWatcher).toFixed(2)}, of the last ${(lastMs / BARE.lastMs).toFixed(2)}`,
  );
  const lost = sum((await statesOf(loads)).map((state) => state.lost));
  print(`  connections lost: ${lost}`);
}

async function change({ api, writer, loads, count, rest }: Opened, round: number): Promise<Round> {
  await Promise.all(loads.map((load) => load.call('forget')));
  const clientsBefore = (await usageOf(loads)).cpuMs;
  const [startMs, apiBefore] = [performance.now(), api.cpuMs()];
  const object = planObject(PLAN_NAMES[3] ?? '', round);
  const { sentMs } = await writer.call<Written>('apply', { resource: CHECKPOINT_PLANS, object });
  await sleep(AFTER_MS);
  let deliveredMs: readonly number[] = [];
  await until('the change at every watcher', async () => {
    deliveredMs = (await statesOf(loads)).flatMap((state) => state.deliveredMs);
    return deliveredMs.length >= count;
  });
  const apiMs = api.cpuMs() - apiBefore - ((performance.now() - startMs) * rest) / 1000;
  const clientsMs = (await usageOf(loads)).cpuMs - clientsBefore;
  return { deliveryMs: deliveredMs.map((atMs) => atMs - sentMs), apiMs, clientsMs };
}

function statesOf(loads: readonly LoadProcess[]): Promise<WatchersState[]> {
  return Promise.all(loads.map((load) => load.call<WatchersState>('state')));
}
